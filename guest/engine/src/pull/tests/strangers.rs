//! Addresses that somebody else chose, and answers that do not end: what a registry, or the
//! author of a manifest, can make this client do.

use std::time::Duration;

use strata_oci::media_type;

use super::super::testing::{Asked, Bench, Made, Origin, Reply, layer, options};
use crate::{Error, Mirror, PullOptions, Reach, RegistryAuth, Zone};

fn image() -> Made {
    Made::new("amd64", &[layer(1, 300)])
}

fn login(reference: &str) -> PullOptions {
    PullOptions {
        auth: RegistryAuth::Basic {
            username: "gordon".to_owned(),
            password: "hunter2".into(),
        },
        ..options(reference)
    }
}

/// How far every request could reach, with its host.
fn reaches(bench: &Bench) -> Vec<(String, Reach)> {
    let asked = bench.web.log.borrow();
    let host = |it: &Asked| it.uri.authority().unwrap().to_string();
    asked.iter().map(|it| (host(it), it.reach)).collect()
}

#[test]
fn what_a_registry_names_may_be_where_the_registry_is() {
    for zone in [Zone::Public, Zone::Private, Zone::Loopback] {
        let origin = Origin::default().tagged("1", &image());
        let bench = Bench::new(move |asked| {
            let reply = match asked.uri.host().unwrap() {
                "auth.example" => Reply::ok(r#"{"token":"good"}"#),
                "cdn.example" => origin.answer(asked),
                _ if asked.authorization() != Some("Bearer good") => {
                    Reply::unauthorized(r#"Bearer realm="https://auth.example/token""#)
                }
                _ if asked.is("GET", "/blobs/") => {
                    Reply::redirect(307, &format!("https://cdn.example{}", asked.uri.path()))
                }
                _ => origin.answer(asked),
            };
            reply.zone(zone)
        });
        bench.pull("r.example/app:1").unwrap();
        for (host, reach) in reaches(&bench) {
            match &*host {
                "r.example" => assert_eq!(reach, Reach::Any),
                _ => assert_eq!(reach, Reach::From(zone), "{host}"),
            }
        }
    }
}

#[test]
fn who_was_reached_out_there_names_nothing_in_here() {
    let bench = Bench::new(|asked| match asked.uri.host().unwrap() {
        "r.example" => Reply::redirect(307, "https://cdn.example/x").zone(Zone::Private),
        "cdn.example" => Reply::redirect(307, "https://inner.example/x"),
        _ => Reply::status(404),
    });
    bench.pull("r.example/app:1").unwrap_err();
    let reaches: Vec<Reach> = reaches(&bench).into_iter().map(|(_, it)| it).collect();
    assert_eq!(
        reaches,
        [Reach::Any, Reach::From(Zone::Private), Reach::PUBLIC]
    );
}

#[test]
fn addresses_in_a_manifest_are_public_wherever_the_registry_is() {
    let made = image();
    let mut json = made.json();
    json["layers"][0]["mediaType"] = media_type::OCI_FOREIGN_LAYER.into();
    json["layers"][0]["urls"] =
        serde_json::json!(["http://169.254.169.254/x", "https://a.example/l"]);
    let image = made.manifest(json);
    let origin = Origin::default().tagged("1", &image);
    let bench = Bench::new(move |asked| match asked.uri.host().unwrap() {
        "169.254.169.254" => Reply::fails(Error::Denied("the address is private".to_owned())),
        "a.example" => Reply::redirect(302, "https://b.example/l"),
        "b.example" => Reply::ok(layer(1, 300)),
        _ => origin.answer(asked).zone(Zone::Loopback),
    });
    bench.pull_with(&login("r.example/app:1")).unwrap();
    bench.store.check();
    for (host, reach) in reaches(&bench) {
        if host != "r.example" {
            assert_eq!(reach, Reach::PUBLIC, "{host}");
        }
    }
    let asked = bench.web.log.borrow();
    assert!(asked.iter().all(|it| it.authorization().is_none()));
}

#[test]
fn credentials_go_to_a_token_server_as_they_were_asked_for() {
    for (registry, realm, sent) in [
        ("https", "https", true),
        ("http", "http", true),
        ("http", "https", true),
        ("https", "http", false),
    ] {
        let mut bench = Bench::new(move |asked| match asked.uri.host().unwrap() {
            "auth.example" => Reply::status(403),
            _ if asked.uri.scheme_str() != Some(registry) => Reply::refused(),
            _ => Reply::unauthorized(&format!(r#"Bearer realm="{realm}://auth.example/token""#)),
        });
        // That it may be asked over plain HTTP says nothing about how it was.
        bench.engine.settings.insecure_registries = vec!["r.example".to_owned()];
        let error = bench.pull_with(&login("r.example/app:1")).unwrap_err();
        let asked = bench.asked();
        let at_server = asked.iter().any(|line| line.contains("auth.example"));
        assert_eq!(at_server, sent, "{registry} {realm}: {error}");
        assert!(matches!(error, Error::Denied(_)), "{error}");
    }
}

#[test]
fn a_document_that_drips_is_given_up_and_one_that_is_slow_is_not() {
    let origin = Origin::default().tagged("1", &image());
    let bench = Bench::new(move |asked| {
        let reply = origin.answer(asked);
        match asked.is("GET", "/manifests/") {
            true => reply.drips(Duration::from_secs(1)),
            false => reply,
        }
    });
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(
        matches!(&error, Error::QuotaExceeded(text) if text.contains("35 seconds")),
        "{error}"
    );
    assert!(bench.clock.elapsed() < Duration::from_secs(37));
    assert!(bench.events.retries().is_empty());

    // Two MiB at 25 KiB/s.
    let blanks = " ".repeat(2 << 20);
    let config = format!(r#"{blanks}{{"os":"linux","architecture":"amd64"}}"#);
    let slow = Made::with_config(media_type::OCI_CONFIG, config.as_bytes(), &[]);
    let bench = Bench::with(Origin::default().tagged("1", &slow));
    bench.pull("r.example/app:1").unwrap();
    assert!(bench.clock.elapsed() > Duration::from_secs(60));
}

#[test]
fn an_error_that_drips_is_told_by_its_status() {
    let bench = Bench::new(|asked| match asked.method == "HEAD" {
        true => Reply::status(405),
        false => Reply::status(403)
            .body(vec![b' '; 1000])
            .drips(Duration::from_secs(1)),
    });
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(
        matches!(&error, Error::Denied(text) if text.contains("403")),
        "{error}"
    );
    assert!(bench.clock.elapsed() < Duration::from_secs(7));
}

#[test]
fn a_registry_that_wants_to_wait_for_ever_is_reported_at_once() {
    for (status, wait) in [
        (429, "1000000000"),
        (429, "99999999999999999999999999"),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let bench = Bench::new(move |_| Reply::status(status).header("retry-after", wait));
        bench.pull("r.example/app:1").unwrap_err();
        assert!(bench.clock.elapsed() < Duration::from_secs(30), "{wait}");
    }
}

#[test]
fn tags_are_bounded_in_number_pages_and_time() {
    let all = PullOptions {
        all_tags: true,
        ..options("r.example/app")
    };
    let page = |tags: &[String], number: usize| {
        let link = format!("</v2/app/tags/list?last={number}>; rel=\"next\"");
        Reply::ok(serde_json::json!({ "tags": tags }).to_string()).header("link", &link)
    };
    let mut number = 0;
    let endless = Bench::new(move |_| {
        number += 1;
        page(&[format!("t{number}")], number)
    });
    let error = endless.pull_with(&all).unwrap_err().to_string();
    assert!(error.contains("more than 1000 pages"), "{error}");

    let mut number = 0;
    let many = Bench::new(move |_| {
        number += 1;
        let tags: Vec<String> = (0..20_000).map(|it| format!("{number}-{it}")).collect();
        page(&tags, number)
    });
    let error = many.pull_with(&all).unwrap_err().to_string();
    assert!(error.contains("more than 100000 tags"), "{error}");

    let mut number = 0;
    let slow = Bench::new(move |_| {
        number += 1;
        page(&[], number).drips(Duration::from_secs(2))
    });
    let error = slow.pull_with(&all).unwrap_err().to_string();
    assert!(error.contains("more than 600 seconds"), "{error}");

    let long = Bench::new(|_| Reply::ok(format!(r#"{{"tags":["{}"]}}"#, "a".repeat(129))));
    assert!(long.pull_with(&all).unwrap().is_empty());
}

#[test]
fn a_captive_portal_is_named() {
    for method in ["HEAD", "GET"] {
        let bench = Bench::new(move |asked| match asked.uri.host().unwrap() {
            "portal.example" => Reply::ok("<html>").header("content-type", "Text/HTML; charset=x"),
            _ if asked.method == method => Reply::redirect(302, "https://portal.example/?a=b"),
            _ => Reply::status(200),
        });
        let error = bench.pull("r.example/app:1").unwrap_err().to_string();
        assert!(
            error.contains("https://portal.example/ answered with a web page"),
            "{error}"
        );
    }
}

#[test]
fn what_a_registry_says_does_not_drive_a_terminal() {
    let said =
        r#"{"errors":[{"code":"DENIED","message":"\u001b[31ma\r\n\u202eb","detail":"\u001b[2J"}]}"#;
    let manifest = r#"{"schemaVersion":2,"mediaType":"x/\u001b[2Jy","config":{},"layers":[]}"#;
    for (status, body) in [(403, said), (200, manifest)] {
        let bench = Bench::new(move |asked| match asked.method == "HEAD" {
            true => Reply::status(405),
            false => Reply::status(status).body(body),
        });
        let error = bench.pull("r.example/app:1").unwrap_err();
        let error = error.printable().to_string();
        assert!(
            !error.contains(char::is_control) && !error.contains('\u{202e}'),
            "{error:?}"
        );
    }
}

#[test]
fn a_mirrors_answer_is_told_when_the_registry_gives_none() {
    type Case = (fn(&Asked) -> Reply, fn(&Asked) -> Reply, bool, &'static str);
    let missing = |_: &Asked| Reply::status(404);
    let full = |_: &Asked| Reply::status(403).body(r#"{"message":"quota"}"#);
    let cases: [Case; 3] = [
        (
            missing,
            |_| Reply::refused(),
            true,
            "docker.io/library/alpin:1: not found at m.example:5000, and registry-1.docker.io cannot be asked: ",
        ),
        (
            full,
            |_| Reply::refused(),
            false,
            "mirror m.example:5000 failed: ",
        ),
        (
            full,
            |_| Reply::status(404),
            true,
            "docker.io/library/alpin:1: not found",
        ),
    ];
    for (mirror, registry, not_found, words) in cases {
        let mut bench = Bench::new(move |asked| match asked.uri.host() {
            Some("m.example") => mirror(asked),
            _ => registry(asked),
        });
        bench.engine.settings.mirrors = vec![Mirror {
            host: "docker.io".to_owned(),
            url: "http://m.example:5000".to_owned(),
        }];
        let error = bench.pull("alpin:1").unwrap_err();
        assert_eq!(matches!(error, Error::NotFound(_)), not_found, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        if not_found {
            assert!(bench.events.retries().is_empty(), "{error}");
        }
    }
}
