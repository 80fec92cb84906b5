//! Which place a setting is taken from.

use std::collections::HashMap;

use super::*;
use crate::cli::arguments::Arguments;

fn options(line: &str) -> Options {
    Arguments::parse_from_words(line.split(' '))
        .unwrap()
        .options
}

fn home() -> Surroundings {
    Surroundings::of(&HashMap::from([("HOME", "/home/u".into())]))
}

fn merge(line: &str, file: &str) -> Settings {
    Settings::merge(options(line), SettingsFile::parse(file).unwrap(), &home()).unwrap()
}

const FILE: &str = r#"
store = "/file"
parallel-layers = 8
verify-diff-ids-first = true
memory-limit = "1GiB"
mirror = ["docker.io=http://file:1", "docker.io=http://file:2"]
allow-registry = []
allow-unsafe-redirects = true
listen = ["unix:///file.sock"]
allow-host = ["file.lan"]
tls-cert = "/file.pem"
tls-key = "/file.key"
tls-client-ca = "/ca.pem"
stall-limit = 5
"#;

#[test]
fn defaults_hold_where_nobody_says_anything() {
    let settings = merge("strata images", "");
    assert_eq!(
        settings.capabilities.store,
        PathBuf::from("/home/u/.local/share/strata")
    );
    assert_eq!(settings.capabilities.allowed_registries, None);
    assert!(!settings.capabilities.allow_unsafe_redirects);
    assert_eq!(settings.capabilities.limits.parallel_layers, 4);
    assert_eq!(settings.capabilities.platform, None);
    let socket = "/home/u/.local/share/strata.sock".into();
    assert_eq!(settings.listen, [Listener::Unix(socket)]);
    assert_eq!(settings.tls, None);
    assert_eq!(settings.allowed_hosts, [""; 0]);
    assert_eq!(settings.capabilities.limits.stall.as_secs(), 60);
    assert_eq!(settings.log, "warn");
}

#[test]
fn the_file_wins_over_defaults() {
    let settings = merge("strata images", FILE);
    assert_eq!(settings.capabilities.store, PathBuf::from("/file"));
    assert_eq!(settings.capabilities.limits.parallel_layers, 8);
    assert_eq!(settings.capabilities.limits.memory, 1 << 30);
    assert!(settings.capabilities.limits.verify_diff_ids_first);
    // An empty list is not "any".
    assert_eq!(settings.capabilities.allowed_registries, Some(vec![]));
    assert!(settings.capabilities.allow_unsafe_redirects);
    assert_eq!(settings.listen, [Listener::Unix("/file.sock".into())]);
    assert_eq!(settings.allowed_hosts, ["file.lan"]);
    assert_eq!(settings.capabilities.limits.stall.as_secs(), 5);
}

#[test]
fn options_win_over_the_file_and_lists_are_replaced_as_a_whole() {
    let line = "strata serve --store /option --parallel-layers 2 --verify-diff-ids-first=false \
                --allow-unsafe-redirects=no --mirror docker.io=http://option:1 --listen tcp://127.0.0.1:0 \
                --allow-host a.lan --allow-host b.lan --tls-cert /option.pem --stall-limit 7";
    let settings = merge(line, FILE);
    assert_eq!(settings.capabilities.store, PathBuf::from("/option"));
    assert_eq!(settings.capabilities.limits.parallel_layers, 2);
    assert!(!settings.capabilities.limits.verify_diff_ids_first);
    assert!(!settings.capabilities.allow_unsafe_redirects);
    let mirror = ("docker.io".to_owned(), "http://option:1".to_owned());
    assert_eq!(settings.capabilities.mirrors, [mirror]);
    assert_eq!(settings.listen, ["tcp://127.0.0.1:0".parse().unwrap()]);
    assert_eq!(settings.allowed_hosts, ["a.lan", "b.lan"]);
    assert_eq!(settings.capabilities.limits.stall.as_secs(), 7);
    let tls = settings.tls.unwrap();
    assert_eq!(tls.certificate, PathBuf::from("/option.pem"));
    assert_eq!(tls.key, PathBuf::from("/file.key"));
    assert_eq!(tls.client_authorities, PathBuf::from("/ca.pem"));
}

#[test]
fn tls_is_mutual_or_not_at_all() {
    let line = "strata serve --tls-cert /a --tls-key /b";
    let error = Settings::merge(options(line), SettingsFile::default(), &home()).unwrap_err();
    assert!(error.to_string().contains("--tls-client-ca"), "{error}");
    let line = "strata serve --tls-cert /a";
    let error = Settings::merge(options(line), SettingsFile::default(), &home()).unwrap_err();
    let missing = "--tls-key and --tls-client-ca";
    assert!(error.to_string().contains(missing), "{error}");
}

/// Variables can be set safely only for another process, so the test runs itself once more.
#[test]
fn the_environment_wins_over_the_file_and_loses_to_options() {
    const INSIDE: &str = "STRATA_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        let settings = merge("strata serve --parallel-layers 2", FILE);
        assert_eq!(settings.capabilities.store, PathBuf::from("/environment"));
        assert_eq!(settings.capabilities.limits.parallel_layers, 2);
        let hosts: Vec<_> = settings.capabilities.mirrors.iter().map(|m| &m.0).collect();
        assert_eq!(hosts, ["docker.io", "ghcr.io"]);
        assert_eq!(settings.listen.len(), 2);
        assert!(!settings.capabilities.limits.verify_diff_ids_first);
        return;
    }
    let name = concat!(
        module_path!(),
        "::the_environment_wins_over_the_file_and_loses_to_options"
    );
    // The test runner's names leave out the crate.
    let (_, name) = name.split_once("::").unwrap();
    let inside = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(INSIDE, "1")
        .env("STRATA_STORE", "/environment")
        .env("STRATA_PARALLEL_LAYERS", "3")
        .env("STRATA_MIRROR", "docker.io=http://a:1,ghcr.io=http://b:1")
        .env("STRATA_LISTEN", "tcp://127.0.0.1:0,unix:///e.sock")
        .env("STRATA_VERIFY_DIFF_IDS_FIRST", "no")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&inside.stdout);
    assert!(
        inside.status.success() && output.contains("1 passed"),
        "{output}"
    );
}

#[test]
fn a_platform_is_exact_only_when_typed() {
    let settings = merge("strata pull alpine", "platform = \"linux/aarch64\"");
    assert_eq!(
        settings.capabilities.platform.as_deref(),
        Some("linux/arm64")
    );
    assert!(settings.exact_platforms.is_empty());
    let settings = merge(
        "strata pull --platform linux/386 alpine",
        "platform = \"linux/arm64\"",
    );
    assert_eq!(settings.exact_platforms[0].architecture, "386");
    let settings = merge(
        "strata save --platform linux/386 --platform linux/arm64 alpine",
        "platform = \"linux/riscv64\"",
    );
    assert_eq!(settings.exact_platforms.len(), 2);
    assert_eq!(
        settings.capabilities.platform.as_deref(),
        Some("linux/riscv64")
    );
}

#[test]
fn a_store_needs_a_place() {
    let nowhere = Surroundings::default();
    let file = SettingsFile::default();
    let error = Settings::merge(options("strata images"), file, &nowhere).unwrap_err();
    assert!(error.to_string().contains("--store"), "{error}");
}

#[test]
fn mirrors_are_a_registry_and_a_url() {
    let mirror: Mirror = "docker.io=http://127.0.0.1:5000/".parse().unwrap();
    assert_eq!(
        (&*mirror.host, &*mirror.url),
        ("docker.io", "http://127.0.0.1:5000")
    );
    for text in [
        "docker.io",
        "=http://a",
        "docker.io=a:5000",
        "docker.io=http://",
        "a/b=http://c",
    ] {
        assert!(text.parse::<Mirror>().is_err(), "{text}");
    }
}
