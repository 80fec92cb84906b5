//! Authentication: challenges, tokens, and where credentials never go.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use std::{cell::Cell, rc::Rc};

use super::super::testing::{Asked, Bench, Made, Origin, Reply, layer, options};
use crate::{Error, PullOptions, RegistryAuth};

const CHALLENGE: &str =
    r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:app:pull""#;

fn image() -> Made {
    Made::new("amd64", &[layer(1, 300), layer(2, 300), layer(3, 300)])
}

fn basic() -> RegistryAuth {
    RegistryAuth::Basic {
        username: "gordon".to_owned(),
        password: "p&ss word".into(),
    }
}

fn with_auth(auth: RegistryAuth) -> PullOptions {
    PullOptions {
        auth,
        ..options("r.example/app:1")
    }
}

/// A registry that wants `Bearer good` and a token server that is `token`.
fn guarded(mut token: impl FnMut(&Asked) -> Reply + 'static) -> Bench {
    let origin = Origin::default().tagged("1", &image());
    Bench::new(move |asked| match asked.uri.host() {
        Some("auth.example") => token(asked),
        _ if asked.authorization() == Some("Bearer good") => origin.answer(asked),
        _ => Reply::unauthorized(CHALLENGE),
    })
}

fn token_requests(bench: &Bench) -> Vec<String> {
    let asked = bench.asked();
    asked
        .into_iter()
        .filter(|line| line.contains("auth.example"))
        .collect()
}

const GET: &str = "GET auth.example/token?service=r.example&scope=repository%3Aapp%3Apull";
const GET_AS_USER: &str =
    "GET auth.example/token?service=r.example&scope=repository%3Aapp%3Apull&account=gordon";
const POST: &str = "POST auth.example/token";
const GOOD: &str = r#"{"token":"good","expires_in":300}"#;

#[test]
fn every_kind_of_credentials_gets_its_token() {
    type Server = fn(&Asked) -> Reply;
    let password_form = |asked: &Asked| {
        assert_eq!(
            asked.text(),
            "client_id=strata&scope=repository%3Aapp%3Apull&service=r.example&grant_type=password&username=gordon&password=p%26ss%20word"
        );
        Reply::ok(r#"{"access_token":"good"}"#)
    };
    let refresh_form = |asked: &Asked| {
        let end = "&grant_type=refresh_token&refresh_token=r%2Bt";
        assert!(asked.text().ends_with(end), "{}", asked.text());
        Reply::ok(GOOD)
    };
    let anonymous = |asked: &Asked| {
        assert_eq!(asked.authorization(), None);
        Reply::ok(r#"{"token":"","access_token":"good","expires_in":1e99,"issued_at":"x"}"#)
    };
    fn get_only<const STATUS: u16>(asked: &Asked) -> Reply {
        if asked.method == "POST" {
            return Reply::status(STATUS).body("<html>no</html>");
        }
        assert_eq!(
            asked.authorization(),
            Some("Basic Z29yZG9uOnAmc3Mgd29yZA==")
        );
        Reply::ok(GOOD)
    }
    let identity = || RegistryAuth::IdentityToken("r+t".into());
    for (auth, server, requests) in [
        (RegistryAuth::Anonymous, anonymous as Server, &[GET][..]),
        (basic(), password_form, &[POST]),
        (basic(), get_only::<400>, &[POST, GET_AS_USER]),
        (basic(), get_only::<401>, &[POST, GET_AS_USER]),
        (basic(), get_only::<404>, &[POST, GET_AS_USER]),
        (basic(), get_only::<405>, &[POST, GET_AS_USER]),
        (identity(), refresh_form, &[POST]),
        (
            RegistryAuth::RegistryToken("good".into()),
            |_| Reply::status(500),
            &[],
        ),
    ] {
        let bench = guarded(server);
        bench.pull_with(&with_auth(auth)).unwrap();
        assert_eq!(token_requests(&bench), requests);
        bench.store.check();
    }
}

#[test]
fn a_basic_registry_gets_the_password_with_every_request() {
    let origin = Origin::default().tagged("1", &image());
    let bench = Bench::new(move |asked| match asked.authorization() {
        Some("Basic Z29yZG9uOnAmc3Mgd29yZA==") => origin.answer(asked),
        _ => Reply::unauthorized(r#"bAsIc realm="x""#),
    });
    bench.pull_with(&with_auth(basic())).unwrap();
    let refused = bench.asked().len();
    assert_eq!(refused, 7, "one challenge, then six requests");
}

#[test]
fn refusals_are_worded_as_dockerd_words_them() {
    let denied = "pull access denied for r.example/app, repository does not exist or may require 'docker login'";
    let no_basic = "failed to resolve reference \"r.example/app:1\": authorization failed: no basic auth credentials";
    let wrong = "authentication required - incorrect username or password";
    let scope = r#",error="insufficient_scope""#;
    type Case = (RegistryAuth, String, &'static str, u16, Error);
    let cases: [Case; 6] = [
        (RegistryAuth::Anonymous, format!("{CHALLENGE}{scope}"), r#"{"token":"weak"}"#, 200, Error::NotFound(denied.to_owned())),
        (RegistryAuth::Anonymous, "Basic realm=x".to_owned(), "", 200, Error::LoginMissing(no_basic.to_owned())),
        (basic(), "Basic realm=x".to_owned(), "", 200, Error::Unauthorized(wrong.to_owned())),
        (basic(), CHALLENGE.to_owned(), r#"{"details":"incorrect username or password"}"#, 401, Error::Unauthorized(wrong.to_owned())),
        (RegistryAuth::RegistryToken("stale".into()), CHALLENGE.to_owned(), "", 200, Error::Unauthorized(wrong.to_owned())),
        (RegistryAuth::Anonymous, "Negotiate".to_owned(), "", 200, Error::Unauthorized(
            "failed to resolve reference \"r.example/app:1\": unexpected status from HEAD request to https://r.example/v2/app/manifests/1: 401 Unauthorized".to_owned(),
        )),
    ];
    for (auth, challenge, token, status, expected) in cases {
        let bench = Bench::new(move |asked| match asked.uri.host() {
            Some("auth.example") => Reply::status(status).body(token),
            _ => Reply::unauthorized(&challenge),
        });
        assert_eq!(bench.pull_with(&with_auth(auth)).unwrap_err(), expected);
        assert!(bench.web.log.borrow().len() <= 6);
        bench.store.check();
    }
}

#[test]
fn token_servers_that_fail_are_told_apart_from_missing_images() {
    type Judge = fn(&Error) -> bool;
    for (reply, judge) in [
        (
            Reply::status(404),
            (|e| matches!(e, Error::NotFound(_))) as Judge,
        ),
        (Reply::ok("{}"), |e| matches!(e, Error::Unavailable(_))),
        (Reply::ok(r#"{"token":"a\nb"}"#), |e| {
            matches!(e, Error::Unavailable(_))
        }),
        (Reply::ok("x".repeat(2 << 20)), |e| {
            matches!(e, Error::Unavailable(_))
        }),
        (Reply::status(403), |e| matches!(e, Error::Denied(_))),
    ] {
        let mut reply = Some(reply);
        let bench = guarded(move |_| reply.take().unwrap());
        let error = bench.pull("r.example/app:1").unwrap_err();
        assert!(judge(&error), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("auth.example/token") && !text.contains("scope"),
            "{text}"
        );
    }
}

#[test]
fn a_token_is_renewed_in_the_middle_and_once_for_all_layers() {
    let current = Rc::new(Cell::new(0));
    let issued = current.clone();
    let origin = Origin::default().tagged("1", &image());
    let bench = Bench::new(move |asked| {
        if asked.uri.host() == Some("auth.example") {
            issued.set(issued.get() + 1);
            return Reply::ok(format!(r#"{{"token":"t{}"}}"#, issued.get()));
        }
        let good = asked.authorization() == Some(format!("Bearer t{}", issued.get()).as_str());
        // The first token is revoked as soon as the layers begin.
        if !good || (asked.is("GET", "/blobs/") && issued.get() == 1) {
            return Reply::unauthorized(&format!("{CHALLENGE},error=\"invalid_token\""));
        }
        origin.answer(asked)
    });
    bench.pull("r.example/app:1").unwrap();
    assert_eq!(current.get(), 2);
    assert!(bench.events.retries().is_empty());
}

#[test]
fn a_token_about_to_end_is_replaced_before_it_is_refused() {
    // At 25 KiB/s the large layer, which goes first, outlives the token.
    let slow = Made::new("amd64", &[layer(1, 10), layer(2, 8_000_000)]);
    let origin = Origin::default().tagged("1", &slow);
    let mut bench = Bench::new(move |asked| match asked.uri.host() {
        Some("auth.example") => Reply::ok(GOOD),
        _ if asked.authorization() == Some("Bearer good") => origin.answer(asked),
        _ => {
            assert_eq!(asked.authorization(), None);
            Reply::unauthorized(CHALLENGE)
        }
    });
    bench.engine.settings.parallel_layers = 1;
    bench.pull("r.example/app:1").unwrap();
    assert_eq!(token_requests(&bench), [GET, GET]);
}

#[test]
fn a_rotated_identity_token_is_used_from_then_on() {
    let mut round = 0;
    let origin = Origin::default().tagged("1", &image());
    let bench = Bench::new(move |asked| {
        if asked.uri.host() == Some("auth.example") {
            round += 1;
            assert!(
                asked
                    .text()
                    .ends_with(&format!("refresh_token=r{}", round - 1))
            );
            return Reply::ok(format!(
                r#"{{"token":"t{round}","refresh_token":"r{round}"}}"#
            ));
        }
        let wanted = if asked.is("GET", "/blobs/") {
            "Bearer t2"
        } else {
            "Bearer t1"
        };
        match asked.authorization() {
            Some(sent) if sent == wanted => origin.answer(asked),
            _ => Reply::unauthorized(CHALLENGE),
        }
    });
    let auth = RegistryAuth::IdentityToken("r0".into());
    bench.pull_with(&with_auth(auth)).unwrap();
}

#[test]
fn passwords_go_nowhere_unencrypted() {
    let plain = CHALLENGE.replace("https://auth", "http://auth");
    let bench = Bench::new(move |asked| {
        assert_ne!(asked.uri.host(), Some("auth.example"));
        Reply::unauthorized(&plain)
    });
    let error = bench.pull_with(&with_auth(basic())).unwrap_err();
    assert!(
        matches!(&error, Error::Denied(text) if text.contains("plain HTTP")),
        "{error}"
    );
}

#[test]
fn redirects_to_another_host_leave_credentials_and_headers_behind() {
    let image = image();
    let origin = Origin::default().tagged("1", &image);
    let bench = Bench::new(move |asked| {
        if asked.uri.host() == Some("cdn.example") {
            assert_eq!(asked.authorization(), None);
            assert_eq!(asked.header("x-meta-a"), None);
            assert_eq!(asked.header("accept-encoding"), Some("identity"));
            return origin.answer(asked);
        }
        if asked.authorization() != Some("Bearer mine") {
            return Reply::status(403);
        }
        assert_eq!(asked.header("x-meta-a"), Some("b"));
        if asked.is("GET", "/blobs/") && !asked.is("GET", "/here/") {
            // Once around on the same host, with credentials, then away.
            let path = asked.uri.path().replace("/blobs/", "/blobs/here/");
            return Reply::redirect(302, &path);
        }
        if asked.is("GET", "/here/") {
            let path = asked.uri.path().replace("/here", "");
            return Reply::redirect(307, &format!("https://cdn.example{path}?sig=secret"));
        }
        origin.answer(asked)
    });
    let options = PullOptions {
        headers: vec![
            ("X-Meta-A".to_owned(), "b".to_owned()),
            ("Authorization".to_owned(), "Bearer smuggled".to_owned()),
            ("X-Meta-\n".to_owned(), "c".to_owned()),
        ],
        ..with_auth(RegistryAuth::RegistryToken("mine".into()))
    };
    bench.pull_with(&options).unwrap();
    bench.store.check();
}

#[test]
fn redirects_that_lead_nowhere_end_in_an_error_without_queries() {
    for (location, why) in [
        ("/v2/app/manifests/1?sig=secret", "circle"),
        ("http://r.example/x?sig=secret", "plain http"),
        ("ftp://r.example/x?sig=secret", "cannot be used"),
    ] {
        let bench = Bench::new(move |_| Reply::redirect(307, location));
        let error = bench.pull("r.example/app:1").unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("secret"), "{error}");
        assert!(bench.web.log.borrow().len() <= 3, "not tried again");
    }
    let mut hop = 0;
    let bench = Bench::new(move |_| {
        hop += 1;
        Reply::redirect(307, &format!("/{hop}"))
    });
    let error = bench.pull("r.example/app:1").unwrap_err().to_string();
    assert!(error.contains("too often"), "{error}");
    assert_eq!(bench.web.log.borrow().len(), 11);
}
