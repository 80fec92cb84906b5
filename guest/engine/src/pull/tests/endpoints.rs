//! Mirrors and plain HTTP: who is asked, in which order, and how.

use super::super::testing::{Asked, Bench, Made, Origin, Reply, layer, options};
use crate::{Error, Mirror, PullOptions, RegistryAuth};

fn image() -> Made {
    Made::new("amd64", &[layer(1, 3000)])
}

fn mirrored(answer: impl FnMut(&Asked) -> Reply + 'static) -> Bench {
    let mut bench = Bench::new(answer);
    bench.engine.settings.mirrors = vec![Mirror {
        host: "docker.io".to_owned(),
        url: "http://m.example:5000/hub".to_owned(),
    }];
    bench
}

#[test]
fn a_mirror_serves_everything_and_sees_no_credentials() {
    let origin = Origin::default().tagged("1", &image());
    let bench = mirrored(move |asked| {
        assert_eq!(asked.uri.host(), Some("m.example"));
        assert_eq!(asked.authorization(), None);
        assert!(
            asked
                .uri
                .to_string()
                .starts_with("http://m.example:5000/hub/v2/library/app/")
        );
        assert_eq!(asked.uri.query(), Some("ns=docker.io"));
        origin.answer(asked)
    });
    let options = PullOptions {
        auth: RegistryAuth::RegistryToken("mine".into()),
        ..options("app:1")
    };
    bench.pull_with(&options).unwrap();
    bench.store.check();
}

#[test]
fn a_mirrors_failure_is_not_final() {
    type Mirror = fn(&Asked, Reply) -> Reply;
    let missing: Mirror = |_, _| Reply::status(404);
    let broken: Mirror = |_, _| Reply::status(500);
    let down: Mirror = |_, _| Reply::refused();
    let locked: Mirror = |_, _| Reply::unauthorized("Basic realm=x");
    let lying: Mirror = |asked, reply| match asked.is("GET", "") {
        true => Reply::ok(layer(9, 3000)),
        false => reply,
    };
    let long: Mirror = |asked, reply| match asked.is("GET", "/blobs/") {
        true => Reply::ok(layer(9, 9000)),
        false => reply,
    };
    let cutting: Mirror = |asked, reply| match asked.is("GET", "/blobs/") {
        true => reply.cut_after(100),
        false => reply,
    };
    for (name, mirror, warned) in [
        ("missing", missing, false),
        ("broken", broken, true),
        ("down", down, true),
        ("locked", locked, true),
        ("lying", lying, true),
        ("long", long, true),
        ("cutting", cutting, true),
    ] {
        let origin = Origin::default().tagged("1", &image());
        let bench = mirrored(move |asked| {
            let reply = origin.answer(asked);
            match asked.uri.host() {
                Some("m.example") => mirror(asked, reply),
                _ => reply,
            }
        });
        bench.pull("app:1").unwrap();
        let events = bench.events.brief();
        let has_warning = events
            .iter()
            .any(|event| event.starts_with("warning mirror m.example"));
        assert_eq!(has_warning, warned, "{name}: {events:?}");
        let at_mirror = bench.asked();
        let at_mirror = at_mirror.iter().filter(|line| line.contains("m.example"));
        assert!(at_mirror.count() <= 7, "{name} is left alone in time");
        bench.store.check();
    }
}

#[test]
fn a_missing_tag_is_missing_even_if_the_mirror_is_down() {
    let bench = mirrored(|asked| match asked.uri.host() {
        Some("m.example") => Reply::refused(),
        _ => Reply::status(404),
    });
    let error = bench.pull("app:1").unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
}

#[test]
fn plain_http_is_for_loopback_and_listed_hosts_only() {
    for (host, allowed) in [
        ("localhost:5000", true),
        ("127.0.0.1:5000", true),
        ("listed.example:5000", true),
        ("r.example:5000", false),
    ] {
        let origin = Origin::default().tagged("1", &image());
        let mut bench = Bench::new(move |asked| match asked.uri.scheme_str() {
            Some("http") => origin.answer(asked),
            _ => Reply::refused(),
        });
        bench.engine.settings.insecure_registries = vec!["listed.example:5000".to_owned()];
        let result = bench.pull(&format!("{host}/app:1"));
        assert_eq!(result.is_ok(), allowed, "{host}: {result:?}");
        let asked = bench.asked();
        let plain = asked.iter().filter(|line| line.contains("http://")).count();
        match allowed {
            true => assert_eq!(asked.len() - plain, 1, "TLS is tried once: {asked:?}"),
            false => assert_eq!(plain, 0),
        }
    }
}

#[test]
fn a_tls_registry_stays_one() {
    let origin = Origin::default().tagged("1", &image());
    let bench = Bench::new(move |asked| match asked.uri.scheme_str() {
        Some("https") => origin.answer(asked),
        _ => panic!("TLS works"),
    });
    bench.pull("localhost:5000/app:1").unwrap();

    // A certificate problem is not hidden behind the 400 of a TLS server.
    let bench = Bench::new(|asked| match asked.uri.scheme_str() {
        Some("https") => Reply::fails(Error::Unavailable("unknown issuer".to_owned())),
        _ => Reply::status(400),
    });
    let error = bench.pull("localhost:5000/app:1").unwrap_err().to_string();
    assert!(error.ends_with("unknown issuer"), "{error}");
}
