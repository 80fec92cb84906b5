//! Entries and helpers of a `config.json`.

use std::time::Duration;

use super::*;
use crate::cli::credential_helper::tests::install;
use crate::cli::terminal::tests::captured;

/// The credentials as `kind:words`, so that they can be compared.
fn spell(auth: RegistryAuth) -> String {
    match auth {
        RegistryAuth::Anonymous => "anonymous".into(),
        RegistryAuth::Basic { username, password } => {
            format!("basic:{username}:{}", password.expose())
        }
        RegistryAuth::IdentityToken(token) => format!("identity:{}", token.expose()),
        RegistryAuth::RegistryToken(token) => format!("registry:{}", token.expose()),
    }
}

async fn look_up(file: &str, registry: &str, folder: &Path) -> (anyhow::Result<String>, String) {
    let settings = DockerSettings::parse(file.as_bytes()).unwrap();
    let helpers = Helpers {
        folder: Some(folder.into()),
        patience: Duration::from_secs(20),
    };
    let (terminal, captured) = captured();
    let auth = settings.credentials(registry, &helpers, &terminal).await;
    (auth.map(spell), captured.remarks())
}

#[tokio::test]
async fn entries_are_found_by_every_name_of_their_registry() {
    // dTpwOnc= is u:p:w, dTpwAAA= has two zero bytes at its end.
    for (file, registry, expected) in [
        ("{}", "ghcr.io", "anonymous"),
        (
            r#"{"auths":{"ghcr.io":{"auth":"dTpwOnc="}}}"#,
            "ghcr.io",
            "basic:u:p:w",
        ),
        (
            r#"{"auths":{"ghcr.io":{"auth":"dTpwAAA="}}}"#,
            "ghcr.io",
            "basic:u:p",
        ),
        (
            r#"{"auths":{"ghcr.io":{"auth":"dTpwOnc="}}}"#,
            "quay.io",
            "anonymous",
        ),
        (r#"{"auths":{"ghcr.io":{}}}"#, "ghcr.io", "anonymous"),
        (
            r#"{"auths":{"https://ghcr.io/v2/":{"auth":"dTpwOnc="}}}"#,
            "ghcr.io",
            "basic:u:p:w",
        ),
        (
            r#"{"auths":{"http://a:5000":{"auth":"dTpwOnc="}}}"#,
            "a:5000",
            "basic:u:p:w",
        ),
        (
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOnc="}}}"#,
            "docker.io",
            "basic:u:p:w",
        ),
        (
            r#"{"auths":{"docker.io":{"auth":"dTpwOnc="}}}"#,
            "docker.io",
            "basic:u:p:w",
        ),
        (
            r#"{"auths":{"https://docker.io":{"auth":"dTpwOnc="}}}"#,
            "docker.io",
            "basic:u:p:w",
        ),
        (
            r#"{"auths":{"a.io":{"auth":"dTpwOnc=","identitytoken":"i"}}}"#,
            "a.io",
            "identity:i",
        ),
        (
            r#"{"auths":{"a.io":{"registrytoken":"r"}}}"#,
            "a.io",
            "registry:r",
        ),
        (
            r#"{"auths":{"a.io":{"username":"u","password":"p"}}}"#,
            "a.io",
            "basic:u:p",
        ),
        (
            r#"{"HttpHeaders":{},"psFormat":"x","auths":{}}"#,
            "a.io",
            "anonymous",
        ),
    ] {
        let (auth, _) = look_up(file, registry, Path::new("/nonexistent")).await;
        assert_eq!(auth.unwrap(), expected, "{file}");
    }
}

#[tokio::test]
async fn nothing_and_null_are_no_settings_and_names_have_any_case() {
    let nowhere = Path::new("/nonexistent");
    for (file, expected) in [
        ("", "anonymous"),
        (" \n", "anonymous"),
        ("null", "anonymous"),
        ("{}", "anonymous"),
        (
            r#"{"auths": null, "credHelpers": null, "credsStore": null, "HttpHeaders": null}"#,
            "anonymous",
        ),
        (r#"{"auths": {"a.io": null}}"#, "anonymous"),
        (
            r#"{"auths": {"a.io": {"auth": null, "email": null}}, "credHelpers": {"a.io": null}}"#,
            "anonymous",
        ),
        (
            r#"{"auths": {"a.io": {"auth": "dTpwOnc=", "email": null, "identitytoken": null}}}"#,
            "basic:u:p:w",
        ),
        (
            r#"{"Auths": {"a.io": {"AUTH": "dTpwOnc="}}}"#,
            "basic:u:p:w",
        ),
        (
            r#"{"auths": {"a.io": {"auth": "dTpwOnc="}}} and more"#,
            "basic:u:p:w",
        ),
    ] {
        let (auth, _) = look_up(file, "a.io", nowhere).await;
        assert_eq!(auth.unwrap(), expected, "{file}");
    }
    for file in ["[]", "7", r#"{"auths": []}"#, r#"{"credsStore": 1}"#, "{"] {
        assert!(DockerSettings::parse(file.as_bytes()).is_err(), "{file}");
    }
}

#[tokio::test]
async fn the_environment_wins_over_the_file_where_it_knows_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let entry = r#"{"auths":{"a.io":{"auth":"dTpwOnc="},"b.io":{"auth":"dTpwOnc="}}}"#;
    std::fs::write(&file, entry).unwrap();
    // bTpu is m:n.
    for (environment, registry, expected, remarked) in [
        (
            r#"{"auths":{"a.io":{"auth":"bTpu"}}}"#,
            "a.io",
            "basic:m:n",
            false,
        ),
        (
            r#"{"auths":{"a.io":{"auth":"bTpu"}}}"#,
            "b.io",
            "basic:u:p:w",
            false,
        ),
        (
            r#"{"credsStore":"gone","auths":null}"#,
            "a.io",
            "basic:u:p:w",
            false,
        ),
        ("", "a.io", "basic:u:p:w", false),
        ("{hunter2", "a.io", "basic:u:p:w", true),
    ] {
        let sources = Sources {
            file: Some(file.clone()),
            environment: Some(environment.into()),
        };
        let (terminal, captured) = captured();
        let helpers = Helpers::default();
        let auth = sources.credentials(registry, &helpers, &terminal).await;
        assert_eq!(spell(auth.unwrap()), expected, "{environment}");
        let remarks = captured.remarks();
        assert_eq!(
            remarks.contains("DOCKER_AUTH_CONFIG"),
            remarked,
            "{remarks}"
        );
        assert!(!remarks.contains("hunter2"), "{remarks}");
    }
}

#[tokio::test]
async fn a_helper_of_the_registry_wins_over_the_general_one_and_that_over_entries() {
    let folder = tempfile::tempdir().unwrap();
    let answer = |user| format!(r#"printf '{{"Username":"{user}","Secret":"%s"}}' "$(cat)""#);
    install(folder.path(), "own", &answer("own"));
    install(folder.path(), "general", &answer("general"));
    install(
        folder.path(),
        "empty",
        "echo credentials not found in native keychain; exit 1",
    );
    let entry = r#""auths":{"ghcr.io":{"auth":"dTpwOnc="}}"#;
    let hub = r#""credHelpers":{"https://index.docker.io/v1/":"own"}"#;
    for (file, registry, expected) in [
        (
            r#"{"credsStore":"general","credHelpers":{"ghcr.io":"own"}}"#,
            "ghcr.io",
            "basic:own:ghcr.io",
        ),
        (
            r#"{"credsStore":"general","credHelpers":{"ghcr.io":"own"}}"#,
            "a.io",
            "basic:general:a.io",
        ),
        (
            &format!(r#"{{"credsStore":"general",{entry}}}"#),
            "ghcr.io",
            "basic:general:ghcr.io",
        ),
        (
            &format!(r#"{{"credsStore":"empty",{entry}}}"#),
            "ghcr.io",
            "basic:u:p:w",
        ),
        (
            &format!("{{{hub}}}"),
            "docker.io",
            "basic:own:https://index.docker.io/v1/",
        ),
        (
            r#"{"credHelpers":{"docker.io":"own"}}"#,
            "docker.io",
            "basic:own:https://index.docker.io/v1/",
        ),
    ] {
        let (auth, _) = look_up(file, registry, folder.path()).await;
        assert_eq!(auth.unwrap(), expected, "{file}");
    }
}

#[tokio::test]
async fn only_a_broken_helper_of_the_registry_stops_a_pull() {
    let nowhere = Path::new("/nonexistent");
    let (auth, remarks) = look_up(r#"{"credsStore":"desktop"}"#, "ghcr.io", nowhere).await;
    assert_eq!(auth.unwrap(), "anonymous");
    assert!(remarks.contains("docker-credential-desktop"), "{remarks}");

    let (auth, _) = look_up(r#"{"credHelpers":{"a.io":"gone"}}"#, "a.io", nowhere).await;
    let message = format!("{:#}", auth.unwrap_err());
    assert!(message.starts_with("no credentials for a.io"), "{message}");
    assert!(message.contains("docker-credential-gone"), "{message}");
}

#[tokio::test]
async fn errors_name_the_place_and_keep_the_secret() {
    let bad = DockerSettings::parse(br#"{"auths": {"a.io": {"auth": hunter2}}}"#);
    let message = format!("{:#}", bad.err().unwrap());
    assert!(
        message.contains("line 1") && !message.contains("hunter2"),
        "{message}"
    );

    // aHVudGVyMg== is hunter2, without a colon.
    let file = r#"{"auths":{"a.io":{"auth":"aHVudGVyMg=="}}}"#;
    let (auth, _) = look_up(file, "a.io", Path::new("/nonexistent")).await;
    let message = format!("{:#}", auth.unwrap_err());
    assert!(
        message.contains("a.io") && message.contains("log in again"),
        "{message}"
    );
    assert!(
        !message.contains("hunter2") && !message.contains("aHVud"),
        "{message}"
    );
}

#[test]
fn a_missing_file_means_no_credentials() {
    assert!(DockerSettings::read(Path::new("/nonexistent/config.json")).is_ok());
}
