//! Registries that fail: a clear error or a good image, a store that holds, a server that still answers.

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use strata_tests::fault::{Access, Fault, FaultRegistry, Phase, Rule, Tokens};
use strata_tests::image::{Image, Schema};
use strata_tests::layer::Layer;
use strata_tests::server::{Pulled, Server};
use strata_tests::store;
use tempfile::TempDir;

/// What the registry says beside an error status.
const REGISTRYS_WORDS: &str = "as the test asked";

/// What may come of a pull.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// An error that contains one of these, in any case.
    Fails(&'static [&'static str]),
    /// The image, whole.
    Succeeds,
    /// Either: what counts is that nothing wrong becomes visible.
    Holds,
}

use Outcome::{Fails, Holds, Succeeds};

/// One server for many faulty registries at once: they must not get in each other's way either.
struct House {
    server: Server,
    store: TempDir,
}

impl House {
    async fn new() -> Result<Self> {
        let store = tempfile::tempdir()?;
        Ok(Self {
            server: Server::start(store.path(), &[]).await?,
            store,
        })
    }

    /// Pulls an image of its own from a registry with this script.
    async fn pull(
        &self,
        seed: u64,
        script: &[Rule],
        bearer: bool,
    ) -> Result<(Pulled, FaultRegistry, Image)> {
        let registry = FaultRegistry::start().await?;
        if bearer {
            registry.protect(Access::Bearer(Tokens::default()));
        }
        let image = Image::builder(Schema::Oci)
            .layer(Layer::noise(seed, 200_000)?, "COPY noise /")
            .build();
        let reference = registry.add("faulty/image", "1", &image);
        for rule in script {
            registry.rule(rule.clone());
        }
        Ok((self.server.pull(&reference).await?, registry, image))
    }

    async fn case(
        &self,
        seed: u64,
        name: &str,
        script: Vec<Rule>,
        expected: Outcome,
    ) -> Result<()> {
        let bearer = name.contains("token");
        let pulled = self
            .pull(seed, &script, bearer)
            .await
            .with_context(|| name.to_owned())?;
        judge(name, &pulled.0, expected)
    }

    /// All cases at once, then the store and the server.
    async fn cases(&self, cases: Vec<(String, Vec<Rule>, Outcome)>) -> Result<()> {
        let running =
            cases
                .into_iter()
                .enumerate()
                .map(|(seed, (name, script, expected))| async move {
                    self.case(seed as u64, &name, script, expected).await.err()
                });
        let wrong: Vec<String> = join_all(running)
            .await
            .into_iter()
            .flatten()
            .map(|error| format!("{error:#}"))
            .collect();
        ensure!(
            wrong.is_empty(),
            "{} cases went wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        self.holds().await
    }

    async fn holds(&self) -> Result<()> {
        store::check(self.store.path())?;
        self.server.answers().await
    }
}

fn judge(name: &str, pulled: &Pulled, expected: Outcome) -> Result<()> {
    let shown = || pulled.answer.text();
    match (expected, pulled.error()) {
        (Fails(words), Some(error)) => {
            let lower = error.to_lowercase();
            // A registry's own words, passed on, are as clear as any.
            let own = lower.contains(REGISTRYS_WORDS);
            let clear = own || words.iter().any(|word| lower.contains(word));
            ensure!(clear, "{name}: the error names none of {words:?}: {error}");
        }
        (Fails(_), None) => anyhow::bail!("{name}: succeeded: {}", shown()),
        (Succeeds, _) => pulled.ok().with_context(|| name.to_owned())?,
        (Holds, None) => pulled.ok().with_context(|| name.to_owned())?,
        (Holds, Some(_)) => {}
    }
    if let Some(error) = pulled.error() {
        let lower = error.to_lowercase();
        ensure!(!error.trim().is_empty(), "{name}: an empty error");
        for word in ["wasm", "unreachable", "panic", "backtrace"] {
            ensure!(!lower.contains(word), "{name}: the guest trapped: {error}");
        }
    }
    Ok(())
}

/// What a pull asks for, in order; the token server only where one is asked for.
const PHASES: [Phase; 5] = [
    Phase::Token,
    Phase::Head,
    Phase::Manifest,
    Phase::Config,
    Phase::Layer,
];

#[tokio::test(flavor = "multi_thread")]
async fn an_error_status_at_any_phase_is_reported() -> Result<()> {
    let mut cases = Vec::new();
    for phase in PHASES {
        for (status, code, words) in [
            (
                401,
                "UNAUTHORIZED",
                &[
                    "unauthorized",
                    "authentication",
                    "401",
                    "denied",
                    "credentials",
                ][..],
            ),
            (403, "DENIED", &["denied", "forbidden", "403"]),
            (
                404,
                "NOT_FOUND",
                &["not found", "404", "unknown", "not_found", "denied"],
            ),
            (500, "UNKNOWN", &["500", "internal server error"]),
            (503, "UNAVAILABLE", &["503", "unavailable"]),
        ] {
            let fault = Fault::error(status, code, REGISTRYS_WORDS);
            let name = format!("{status} at {phase:?}").to_lowercase();
            cases.push((name, vec![Rule::new(phase, fault)], Fails(words)));
        }
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_is_waited_out_and_reported_at_last() -> Result<()> {
    let mut cases = Vec::new();
    let past = "Wed, 21 Oct 2015 07:28:00 GMT";
    for phase in PHASES {
        for (what, after) in [
            ("seconds", Some("1")),
            ("a date", Some(past)),
            ("nothing", None),
            ("nonsense", Some("soon")),
        ] {
            let name = format!("429 with {what} at {phase:?}").to_lowercase();
            let rule = Rule::new(phase, Fault::too_many_requests(after)).times(1);
            cases.push((name, vec![rule], Succeeds));
        }
        let name = format!("429 for ever at {phase:?}").to_lowercase();
        let rule = Rule::new(phase, Fault::too_many_requests(Some("0")));
        cases.push((
            name,
            vec![rule],
            Fails(&["too many requests", "toomanyrequests", "429", "rate"]),
        ));
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_at_any_phase_is_retried() -> Result<()> {
    let mut cases = Vec::new();
    for phase in PHASES {
        for (what, fault) in [
            ("hangs up", Fault::HangUp),
            ("is cut", Fault::Cut(50)),
            ("answers 503", Fault::status(503)),
            ("answers 500", Fault::status(500)),
        ] {
            let name = format!("{phase:?} {what} once").to_lowercase();
            cases.push((name, vec![Rule::new(phase, fault).times(1)], Succeeds));
        }
    }
    let twice = [
        Rule::new(Phase::Layer, Fault::Cut(90_000)).times(1),
        Rule::new(Phase::Layer, Fault::Cut(50_000)).times(1),
    ];
    cases.push((
        "the layer is cut twice".to_owned(),
        twice.to_vec(),
        Succeeds,
    ));
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_for_ever_is_reported() -> Result<()> {
    let words: &[&str] = &[
        "connection",
        "closed",
        "reset",
        "eof",
        "incomplete",
        "short",
        "unavailable",
        "ended",
        "cut",
        "broke",
        "size",
    ];
    let mut cases = Vec::new();
    for phase in PHASES {
        let name = format!("{phase:?} hangs up").to_lowercase();
        cases.push((name, vec![Rule::new(phase, Fault::HangUp)], Fails(words)));
        if phase != Phase::Head {
            let name = format!("{phase:?} is cut at its start").to_lowercase();
            cases.push((name, vec![Rule::new(phase, Fault::Cut(0))], Fails(words)));
        }
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_never_become_visible() -> Result<()> {
    let mut cases = Vec::new();
    for phase in [Phase::Manifest, Phase::Config, Phase::Layer] {
        for (what, fault, expected) in [
            ("corrupt", Fault::Corrupt, Fails(&["digest", "invalid"])),
            ("too short", Fault::Short(40), Holds),
            (
                "empty",
                Fault::Short(0),
                Fails(&[
                    "size",
                    "short",
                    "digest",
                    "empty",
                    "ended",
                    "incomplete",
                    "invalid",
                ]),
            ),
            (
                "too long",
                Fault::Long(10),
                Fails(&["size", "long", "digest", "more", "exceed", "larger"]),
            ),
            ("of a longer declared length", Fault::LyingLength(10), Holds),
            (
                "of a shorter declared length",
                Fault::LyingLength(-10),
                Holds,
            ),
            ("without a length", Fault::Chunked, Succeeds),
        ] {
            let name = format!("{phase:?} {what}").to_lowercase();
            cases.push((name, vec![Rule::new(phase, fault)], expected));
        }
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_blob_is_fetched_afresh_by_the_next_pull() -> Result<()> {
    let house = House::new().await?;
    let corrupt = [Rule::new(Phase::Layer, Fault::Corrupt)];
    let (pulled, registry, image) = house.pull(1, &corrupt, false).await?;
    pulled.failed()?;
    registry.behave();
    let reference = format!("{}/faulty/image:1", registry.host);
    house.server.pull(&reference).await?.ok()?;
    let blobs = store::blobs(house.store.path())?;
    assert!(blobs.contains(&image.layers[0].digest));
    house.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_do_ranges_still_gives_the_layer() -> Result<()> {
    let cut = || Rule::new(Phase::Layer, Fault::Cut(90_000)).times(1);
    let mut cases = Vec::new();
    for (what, fault, expected) in [
        ("answers 200", Fault::IgnoreRange, Succeeds),
        ("answers 416", Fault::RefuseRange, Succeeds),
        ("answers another range", Fault::WrongRange, Holds),
    ] {
        cases.push((
            format!("a Range that the server {what}"),
            vec![cut(), Rule::new(Phase::Layer, fault)],
            expected,
        ));
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_loops_end_in_an_error() -> Result<()> {
    let mut cases = Vec::new();
    for phase in [Phase::Head, Phase::Manifest, Phase::Config, Phase::Layer] {
        let name = format!("{phase:?} redirects to itself").to_lowercase();
        cases.push((
            name,
            vec![Rule::new(phase, Fault::RedirectToSelf)],
            Fails(&["redirect"]),
        ));
        let name = format!("{phase:?} redirects nowhere").to_lowercase();
        let nowhere = Fault::Status(307, Vec::new(), String::new());
        cases.push((
            name,
            vec![Rule::new(phase, nowhere)],
            Fails(&["redirect", "location", "307"]),
        ));
        let name = format!("{phase:?} redirects to a file").to_lowercase();
        let file = Fault::Redirect(302, "file:///etc/passwd".to_owned());
        cases.push((
            name,
            vec![Rule::new(phase, file)],
            Fails(&["redirect", "scheme", "location", "unsupported", "url"]),
        ));
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_but_legal_answers_are_understood() -> Result<()> {
    let no_digest = || {
        [Phase::Head, Phase::Manifest]
            .map(|phase| Rule::new(phase, Fault::Without("Docker-Content-Digest")))
            .to_vec()
    };
    let charset = "application/vnd.oci.image.manifest.v1+json; charset=utf-8";
    let with_charset = [Phase::Head, Phase::Manifest]
        .map(|phase| Rule::new(phase, Fault::With("Content-Type", charset.to_owned())))
        .to_vec();
    let lying = format!("sha256:{}", "0".repeat(64));
    let lying = [Phase::Head, Phase::Manifest]
        .map(|phase| Rule::new(phase, Fault::With("Docker-Content-Digest", lying.clone())))
        .to_vec();
    let no_head = || vec![Rule::new(Phase::Head, Fault::status(405))];
    House::new()
        .await?
        .cases(vec![
            ("no Docker-Content-Digest".to_owned(), no_digest(), Succeeds),
            (
                "a Content-Type with a charset".to_owned(),
                with_charset,
                Succeeds,
            ),
            ("HEAD answered 405".to_owned(), no_head(), Succeeds),
            (
                "HEAD answered 405, no digest".to_owned(),
                [no_head(), no_digest()].concat(),
                Succeeds,
            ),
            (
                "another image's digest in the header".to_owned(),
                lying,
                Fails(&["digest", "unknown", "not found"]),
            ),
        ])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_is_not_repeated_to_the_user() -> Result<()> {
    let page = "<html><body><h1>Welcome to the airport wifi</h1></body></html>".to_owned();
    let html = Fault::Status(502, vec![("Content-Type", "text/html".to_owned())], page);
    let house = House::new().await?;
    let (pulled, ..) = house
        .pull(
            1,
            &[
                Rule::new(Phase::Head, html.clone()),
                Rule::new(Phase::Manifest, html),
            ],
            false,
        )
        .await?;
    let error = pulled.failed()?;
    assert!(!error.contains("<h1>") && error.contains("502"), "{error}");
    house.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_seen_in_the_stream() -> Result<()> {
    let house = House::new().await?;
    let (pulled, ..) = house
        .pull(
            1,
            &[Rule::new(Phase::Layer, Fault::status(503)).times(1)],
            false,
        )
        .await?;
    pulled.ok()?;
    let statuses = pulled.statuses();
    assert!(
        statuses
            .iter()
            .any(|status| status.starts_with("Retrying in ")),
        "{statuses:?}"
    );
    Ok(())
}
