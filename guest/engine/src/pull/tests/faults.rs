//! Registries that fail: with the specification's errors, with others, or without a word.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>

use super::super::testing::{Bench, Made, Origin, Reply, layer};
use crate::{Error, Event, Store as _};

fn image() -> Made {
    Made::new("amd64", &[layer(1, 300)])
}

/// A registry whose GET of the manifest is answered by `reply`, always.
fn failing(reply: impl Fn() -> Reply + 'static) -> Bench {
    let origin = Origin::default().tagged("1", &image());
    Bench::new(move |asked| match asked.is("GET", "/manifests/") {
        true => reply(),
        false => origin.answer(asked),
    })
}

#[test]
fn the_registrys_words_become_the_error() {
    let digest = image().digest;
    let unexpected = |status: &str| {
        format!(
            "failed to fetch manifest {digest} of r.example/app:1: unexpected status from GET request to https://r.example/v2/app/manifests/{digest}: {status}"
        )
    };
    let text = str::to_owned;
    type Case = (u16, &'static str, Error, usize);
    let cases: [Case; 11] = [
        (
            403,
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
            Error::Denied(text(
                "error from registry: requested access to the resource is denied",
            )),
            1,
        ),
        (
            403,
            "<html>captive</html>",
            Error::Denied(unexpected("403 Forbidden")),
            1,
        ),
        (
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":"x"}]}"#,
            Error::Unauthorized(text("error from registry: authentication required - x")),
            1,
        ),
        (404, "", Error::NotFound(unexpected("404 Not Found")), 1),
        (
            400,
            r#"{"errors":[{"code":"NAME_INVALID","message":"invalid repository name"},{"code":"X","message":"y"}]}"#,
            Error::InvalidArgument(text("error from registry: invalid repository name; y")),
            1,
        ),
        (
            418,
            "",
            Error::Unavailable(unexpected("418 I'm a teapot")),
            1,
        ),
        (
            500,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"boom"}]}"#,
            Error::Unavailable(text("error from registry: boom")),
            5,
        ),
        (
            502,
            "<html>",
            Error::Unavailable(unexpected("502 Bad Gateway")),
            5,
        ),
        (
            504,
            "",
            Error::Unavailable(unexpected("504 Gateway Timeout")),
            5,
        ),
        (
            408,
            "",
            Error::Unavailable(unexpected("408 Request Timeout")),
            5,
        ),
        (
            405,
            "",
            Error::Unsupported(unexpected("405 Method Not Allowed")),
            1,
        ),
    ];
    for (status, body, expected, requests) in cases {
        let bench = failing(move || Reply::status(status).body(body));
        assert_eq!(bench.pull("r.example/app:1").unwrap_err(), expected);
        let asked = bench.asked();
        let gets = asked.iter().filter(|line| line.starts_with("GET")).count();
        assert_eq!(gets, requests, "{status}");
        assert_eq!(bench.events.retries().len(), requests - 1);
        bench.store.check();
    }
}

#[test]
fn a_registry_that_asks_to_wait_is_waited_for_within_reason() {
    for (retry_after, waited, passed_on) in [
        (Some("3"), Some(3), None),
        // 2026-01-01T00:00:00Z is when the clock starts.
        (Some("Thu, 01 Jan 2026 00:00:07 GMT"), Some(7), None),
        (Some("Thu, 01 Jan 2015 00:00:07 GMT"), Some(0), None),
        (Some("0"), Some(0), None),
        (Some("21600"), None, Some(21600)),
    ] {
        let origin = Origin::default().tagged("1", &image());
        let mut refusals = 1;
        let bench = Bench::new(move |asked| {
            if asked.is("GET", "/manifests/") && (refusals > 0 || passed_on.is_some()) {
                refusals -= 1;
                let reply = Reply::status(429).body(
                    r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#,
                );
                return match retry_after {
                    Some(value) => reply.header("retry-after", value),
                    None => reply,
                };
            }
            origin.answer(asked)
        });
        let result = bench.pull("r.example/app:1");
        let delays: Vec<u64> = bench
            .events
            .0
            .borrow()
            .iter()
            .filter_map(|event| match event {
                Event::Retry(retry) => Some(u64::from(retry.delay) / 1000),
                _ => None,
            })
            .collect();
        assert_eq!(delays, Vec::from_iter(waited), "{retry_after:?}");
        match passed_on {
            None => drop(result.unwrap()),
            Some(_) => assert_eq!(
                result.unwrap_err(),
                Error::RateLimited {
                    message: "error from registry: You have reached your pull rate limit."
                        .to_owned(),
                    retry_after: passed_on,
                }
            ),
        }
    }
    let bench = failing(|| Reply::status(429));
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(
        matches!(
            error,
            Error::RateLimited {
                retry_after: None,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(bench.events.retries().len(), 4);
}

#[test]
fn nobody_there_is_said_with_the_address() {
    let bench = Bench::new(|_| Reply::refused());
    assert_eq!(
        bench.pull("r.example/app:1").unwrap_err(),
        Error::Unavailable(
            "failed to resolve reference \"r.example/app:1\": failed to do request: Head \"https://r.example/v2/app/manifests/1\": connection refused".to_owned()
        )
    );
    assert_eq!(bench.asked().len(), 5);
    let elapsed = bench.clock.elapsed().as_millis();
    assert!((2000..6000).contains(&elapsed), "{elapsed}");
}

#[test]
fn what_the_host_forbids_is_not_tried_again() {
    let denied = || Error::Denied("r.example is not an allowed registry".to_owned());
    let bench = Bench::new(move |_| Reply::fails(denied()));
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(
        matches!(&error, Error::Denied(text) if text.ends_with("is not an allowed registry")),
        "{error:?}"
    );
    assert_eq!(bench.asked().len(), 1);
}

#[test]
fn a_failing_layer_ends_the_pull_and_keeps_the_others() {
    let image = Made::new("amd64", &[layer(1, 200), layer(2, 900_000)]);
    let bad = image.layer(1).to_string();
    let origin = Origin::default().tagged("1", &image);
    let bench = Bench::new(move |asked| match asked.is("GET", &bad) {
        true => Reply::status(403),
        false => origin.answer(asked),
    });
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error:?}");
    assert!(bench.store.listed().is_empty());
    bench.store.check();
}

#[test]
fn warnings_are_shown_once_each() {
    let origin = Origin::default().tagged("1", &image());
    let bench = Bench::new(move |asked| {
        origin
            .answer(asked)
            .header("warning", "299 - \"this registry \\\"retires\\\" soon\"")
    });
    bench.pull("r.example/app:1").unwrap();
    let events = bench.events.brief();
    let warnings: Vec<&String> = events
        .iter()
        .filter(|event| event.starts_with("warning"))
        .collect();
    assert_eq!(warnings, ["warning this registry \"retires\" soon"]);
}

#[test]
fn what_is_damaged_here_is_fetched_again() {
    let image = image();
    let config = image.json()["config"]["digest"].as_str().map(str::to_owned);
    let config = strata_oci::Digest::parse(&config.unwrap()).unwrap();
    for digest in [image.layer(0), config, image.digest.clone()] {
        for (bytes, is_known) in [(&b"other"[..], true), (b"other", false), (b"", false)] {
            let bench = Bench::with(Origin::default().tagged("1", &image));
            bench.pull("r.example/app:1").unwrap();
            bench.store.replace(&digest, bytes, is_known);
            bench.pull("r.example/app:1").unwrap();
            bench.store.check();
        }
    }
}

#[test]
fn where_content_came_from_is_noted() {
    let image = image();
    let bench = Bench::with(Origin::default().tagged("1", &image));
    bench.pull("r.example/app:1").unwrap();
    let all = [&image.digest, &image.config_digest, &image.layer(0)];
    for digest in all {
        let sources = bench.clock.run(bench.store.sources(digest));
        assert_eq!(sources.unwrap(), ["r.example/app"], "{digest}");
    }
    let noted = |bench: &Bench| {
        let calls = bench.store.calls();
        calls.into_iter().any(|call| call == "note_source")
    };
    assert!(noted(&bench));
    bench.pull("r.example/app:1").unwrap();
    assert!(!noted(&bench));
}
