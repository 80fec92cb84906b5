//! Credentials: offered to those who ask for them, and to nobody else.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use strata_tests::fault::{Access, Fault, FaultRegistry, Phase, Rule, Tokens};
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::Layer;
use strata_tests::server::{Pulled, Server};
use strata_tests::store;
use tempfile::TempDir;

const SECRET: &str = "correct-horse-battery";

struct House {
    server: Server,
    registry: FaultRegistry,
    reference: String,
    _store: TempDir,
}

impl House {
    async fn new(access: Access) -> Result<Self> {
        let store = tempfile::tempdir()?;
        let server = Server::start(store.path(), &[]).await?;
        let registry = FaultRegistry::start().await?;
        let reference = registry.add("some/image", "1", &small("authenticated")?);
        registry.protect(access);
        Ok(Self {
            server,
            registry,
            reference,
            _store: store,
        })
    }

    async fn pull(&self, auth: &Value) -> Result<Pulled> {
        let header = URL_SAFE.encode(auth.to_string());
        let pulled = self
            .server
            .pull_with(&self.reference, &[("x-registry-auth", &header)])
            .await?;
        for (place, text) in [
            ("answer", pulled.answer.text()),
            ("log", self.server.log()?),
        ] {
            ensure!(
                !text.contains(SECRET),
                "the {place} holds the password: {text}"
            );
        }
        Ok(pulled)
    }
}

fn password() -> Value {
    json!({"username": "ann", "password": SECRET})
}

fn users() -> Vec<(String, String)> {
    vec![("ann".to_owned(), SECRET.to_owned())]
}

fn tokens() -> Tokens {
    Tokens {
        users: users(),
        anonymous: false,
        ..Tokens::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_credentials_are_sent_after_the_challenge() -> Result<()> {
    let house = House::new(Access::Basic("ann".to_owned(), SECRET.to_owned())).await?;
    house.pull(&password()).await?.ok()?;
    let first = house.registry.log().into_iter().next();
    ensure!(
        first.is_some_and(|seen| seen.header("authorization").is_none()),
        "sent unasked"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_auth_member_is_a_name_and_password_too() -> Result<()> {
    let house = House::new(Access::Basic("ann".to_owned(), SECRET.to_owned())).await?;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("ann:{SECRET}"));
    house.pull(&json!({"auth": auth})).await?.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_or_missing_credentials_are_refused() -> Result<()> {
    let house = House::new(Access::Basic("ann".to_owned(), SECRET.to_owned())).await?;
    let error = house.pull(&json!({})).await?.failed()?;
    ensure!(error.contains("no basic auth credentials"), "{error}");
    house
        .pull(&json!({"username": "ann", "password": "wrong"}))
        .await?
        .failed()?;

    let house = House::new(Access::Bearer(tokens())).await?;
    let pulled = house
        .pull(&json!({"username": "ann", "password": "wrong"}))
        .await?;
    ensure!(pulled.answer.status == 401, "{}", pulled.answer.status);
    ensure!(
        pulled.failed()?.contains("incorrect username or password"),
        "{}",
        pulled.failed()?
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_token_is_fetched_when_asked_for() -> Result<()> {
    let house = House::new(Access::Bearer(Tokens::default())).await?;
    house.pull(&json!({})).await?.ok()?;
    let token = &house.registry.seen(Phase::Token)[0];
    ensure!(
        token.header("authorization").is_none() && token.query.contains("scope="),
        "{token:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_token_is_posted_for_and_fetched_where_post_is_unknown() -> Result<()> {
    let house = House::new(Access::Bearer(tokens())).await?;
    house.pull(&password()).await?.ok()?;
    ensure!(house.registry.seen(Phase::Token)[0].method == "POST");

    let house = House::new(Access::Bearer(Tokens {
        post: false,
        expires_in: None,
        ..tokens()
    }))
    .await?;
    house.pull(&password()).await?.ok()?;
    let methods: Vec<String> = house
        .registry
        .seen(Phase::Token)
        .into_iter()
        .map(|seen| seen.method)
        .collect();
    ensure!(
        methods.starts_with(&["POST".to_owned(), "GET".to_owned()]),
        "{methods:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_and_registry_tokens_are_used() -> Result<()> {
    let refresh = Some("refresh-me".to_owned());
    let house = House::new(Access::Bearer(Tokens {
        refresh,
        ..tokens()
    }))
    .await?;
    house
        .pull(&json!({"identitytoken": "refresh-me"}))
        .await?
        .ok()?;
    let token = &house.registry.seen(Phase::Token)[0];
    ensure!(
        token.body.contains("grant_type=refresh_token"),
        "{}",
        token.body
    );

    let house = House::new(Access::Bearer(tokens())).await?;
    house
        .pull(&json!({"registrytoken": "ready-made"}))
        .await?
        .failed()?;
    let sent = house
        .registry
        .log()
        .into_iter()
        .any(|seen| seen.header("authorization") == Some("Bearer ready-made"));
    ensure!(sent, "the registry token was not sent");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_auth_header_is_anonymous() -> Result<()> {
    let house = House::new(Access::Bearer(Tokens::default())).await?;
    house
        .server
        .pull_with(&house.reference, &[("x-registry-auth", "%%%not base64%%%")])
        .await?
        .ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_in_mid_pull_is_renewed() -> Result<()> {
    let house = House::new(Access::Bearer(Tokens {
        uses: Some(8),
        ..tokens()
    }))
    .await?;
    let mut image = Image::builder(Schema::Oci);
    // Eight uses outlast the layers in flight, so that no request meets two expired tokens in a row.
    for seed in 0..24 {
        image = image.layer(Layer::noise(seed, 100_000)?, "COPY noise /");
    }
    house.registry.add("some/image", "1", &image.build());
    house.pull(&password()).await?.ok()?;
    ensure!(house.registry.seen(Phase::Token).len() > 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_scope_means_access_denied() -> Result<()> {
    let house = House::new(Access::Bearer(Tokens {
        insufficient: true,
        ..tokens()
    }))
    .await?;
    let pulled = house.pull(&password()).await?;
    let error = pulled.failed()?;
    let expected = "repository does not exist or may require 'docker login'";
    ensure!(
        error.starts_with("pull access denied for ") && error.contains(expected),
        "{error}"
    );
    ensure!(pulled.answer.status == 404, "{}", pulled.answer.status);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_do_not_follow_a_redirect_to_another_host() -> Result<()> {
    for access in [
        Access::Basic("ann".to_owned(), SECRET.to_owned()),
        Access::Bearer(tokens()),
    ] {
        let house = House::new(access).await?;
        // Another address, and the same address with another port.
        for address in ["127.0.0.2", "127.0.0.1"] {
            let other = FaultRegistry::start_at(address).await?;
            let image = small(&format!("redirected to {}", other.host))?;
            house.registry.behave();
            house.registry.add("some/image", "1", &image);
            other.add("some/image", "1", &image);
            for blob in image.layers.iter().chain(&image.configs) {
                let target = format!(
                    "{}/v2/some/image/blobs/{}?signature=abc",
                    other.url(),
                    blob.digest
                );
                for phase in [Phase::Layer, Phase::Config] {
                    let rule =
                        Rule::new(phase, Fault::Redirect(307, target.clone())).about(&blob.digest);
                    house.registry.rule(rule);
                }
            }
            house.pull(&password()).await?.ok()?;
            let seen = other.log();
            ensure!(seen.len() == 2, "{} requests at {address}", seen.len());
            for request in seen {
                ensure!(
                    request.header("authorization").is_none(),
                    "sent to {address}: {request:?}"
                );
                ensure!(
                    request.query == "signature=abc",
                    "the query was lost: {}",
                    request.query
                );
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_address_keeps_credentials_from_other_registries() -> Result<()> {
    let house = House::new(Access::Basic("ann".to_owned(), SECRET.to_owned())).await?;
    let auth =
        json!({"username": "ann", "password": SECRET, "serveraddress": "registry.example.com"});
    house.pull(&auth).await?.failed()?;
    let leaked = house
        .registry
        .log()
        .into_iter()
        .any(|seen| seen.header("authorization").is_some());
    ensure!(
        !leaked,
        "credentials for registry.example.com went to {}",
        house.registry.host
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_asked_first_and_its_failure_is_not_final() -> Result<()> {
    let (origin, mirror) = (FaultRegistry::start().await?, FaultRegistry::start().await?);
    let store = tempfile::tempdir()?;
    let options = [
        format!("docker.io={}", mirror.url()),
        format!("{}={}", origin.host, mirror.url()),
    ];
    let server = Server::start(
        store.path(),
        &["--mirror", &options[0], "--mirror", &options[1]],
    )
    .await?;

    mirror.add("library/mirrored", "1", &small("mirrored")?);
    server.pull("docker.io/library/mirrored:1").await?.ok()?;
    let log = mirror.log();
    ensure!(
        log.iter().all(|seen| seen.query.contains("ns=docker.io")),
        "{log:?}"
    );
    let list = server.http.get("/images/json").await?.json()?;
    assert_eq!(list[0]["RepoTags"], json!(["mirrored:1"]));

    let reference = origin.add("only/origin", "1", &small("only at the origin")?);
    server.pull(&reference).await?.ok()?;
    ensure!(!mirror.log().is_empty() && !origin.log().is_empty());
    mirror
        .always(Phase::Head, Fault::status(500))
        .always(Phase::Manifest, Fault::HangUp);
    let reference = origin.add("broken/mirror", "1", &small("the mirror breaks")?);
    server.pull(&reference).await?.ok()?;
    store::check(store.path())
}
