//! Authentication of pushes.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use std::{cell::Cell, rc::Rc};

use super::super::testing::{Asked, Bench, Registry, Reply, layer, options};
use crate::{Error, PushOptions, RegistryAuth};

/// A registry whose token server is `token` and which wants `Bearer good` of what
/// `guards` says; its challenge names what the request needs.
fn guarded(
    mut token: impl FnMut(&Asked) -> Reply + 'static,
    guards: impl Fn(&Asked) -> &'static str + 'static,
) -> Bench {
    Bench::bent(move |registry, asked| {
        if asked.host() == "auth.example" {
            return token(asked);
        }
        let wanted = guards(asked);
        if asked.authorization() == Some(wanted) {
            return registry.answer(asked);
        }
        Reply::unauthorized(&challenge(asked))
    })
}

fn challenge(asked: &Asked) -> String {
    let actions = match asked.method.as_str() {
        "HEAD" | "GET" => "pull",
        _ => "push,pull",
    };
    format!(
        r#"Bearer realm="https://auth.example/token",service="r",scope="repository:app:{actions}",error="insufficient_scope""#
    )
}

fn tokens(bench: &Bench) -> Vec<String> {
    let log = bench.web.log.borrow();
    let tokens = log.iter().filter(|asked| asked.host() == "auth.example");
    tokens
        .map(|asked| match asked.method == "POST" {
            true => String::from_utf8(asked.body.clone()).unwrap(),
            false => asked.uri.query().unwrap().to_owned(),
        })
        .collect()
}

#[test]
fn one_token_to_read_and_write_serves_the_whole_push() {
    let bench = guarded(
        |_| Reply::status(200).body(r#"{"token":"good"}"#),
        |_| "Bearer good",
    );
    bench.image("r.example/app:1", "amd64", &[layer(1, 300), layer(2, 300)]);
    bench.push("r.example/app:1").unwrap();
    assert_eq!(
        tokens(&bench),
        ["service=r&scope=repository%3Aapp%3Apull%2Cpush"]
    );
}

#[test]
fn a_token_is_renewed_in_the_middle_of_an_upload_and_the_body_sent_again() {
    let issued = Rc::new(Cell::new(0));
    let (count, current) = (issued.clone(), issued.clone());
    let mut patches = 0;
    let bench = Bench::bent(move |registry: &mut Registry, asked| {
        if asked.host() == "auth.example" {
            count.set(count.get() + 1);
            return Reply::status(200).body(format!(r#"{{"token":"t{}"}}"#, count.get()));
        }
        patches += usize::from(asked.method == "PATCH");
        let revoked = patches == 2 && current.get() == 1;
        let good = format!("Bearer t{}", current.get());
        match asked.authorization() == Some(&good) && !revoked {
            true => registry.answer(asked),
            false => Reply::unauthorized(&challenge(asked)),
        }
    });
    let target = bench.image("r.example/app:1", "amd64", &[layer(1, 17 << 10)]);
    bench.push("r.example/app:1").unwrap();
    assert_eq!(issued.get(), 2);
    assert!(bench.events.retries().is_empty());
    assert_eq!(
        bench.registry.borrow().tagged("app", "1"),
        Some(target.digest)
    );
}

#[test]
fn a_mount_asks_for_its_own_token_and_lives_without_it() {
    for source_allowed in [true, false] {
        let token = move |asked: &Asked| {
            let with_source = asked.uri.query().unwrap().contains("base");
            match (with_source, source_allowed) {
                (false, _) => Reply::status(200).body(r#"{"token":"good"}"#),
                (true, true) => Reply::status(200).body(r#"{"token":"wide"}"#),
                (true, false) => Reply::status(403),
            }
        };
        let guards = |asked: &Asked| match asked.is("POST", "mount=") {
            true => "Bearer wide",
            false => "Bearer good",
        };
        let bench = guarded(token, guards);
        let target = bench.unnamed("amd64", &[layer(1, 300)]);
        let labels = [("source.r.example", "base")];
        bench
            .store
            .name("images", "r.example/app:1", &target, &labels);
        let digest = strata_oci::Digest::sha256(&layer(1, 300));
        bench.registry.borrow_mut().have("base", &digest);
        bench.push("r.example/app:1").unwrap();
        let tokens = tokens(&bench);
        assert!(
            tokens.contains(
                &"service=r&scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull"
                    .to_owned()
            ),
            "{tokens:?}"
        );
        let plain = tokens.iter().filter(|it| !it.contains("base"));
        assert_eq!(plain.count(), 1, "{tokens:?}");
        let mounted = bench
            .events
            .brief()
            .contains(&format!("Mounted {}", digest.short()));
        assert_eq!(mounted, source_allowed);
    }
}

#[test]
fn a_refused_push_is_worded_as_dockerd_words_it() {
    let denied = "push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";
    let basic = RegistryAuth::Basic {
        username: "gordon".to_owned(),
        password: "wrong".into(),
    };
    type Case = (RegistryAuth, fn(&Asked) -> Reply, Error);
    let cases: [Case; 4] = [
        (
            RegistryAuth::Anonymous,
            |asked| match asked.host() == "auth.example" {
                true => Reply::status(200).body(r#"{"token":"weak"}"#),
                false => Reply::unauthorized(&challenge(asked)),
            },
            Error::Denied(denied.to_owned()),
        ),
        (
            RegistryAuth::Anonymous,
            |_| Reply::unauthorized("Basic realm=x"),
            Error::LoginMissing(
                "failed to push r.example/app:1: authorization failed: no basic auth credentials"
                    .to_owned(),
            ),
        ),
        (
            basic,
            |_| Reply::unauthorized("Basic realm=x"),
            Error::Unauthorized(
                "authentication required - incorrect username or password".to_owned(),
            ),
        ),
        (
            RegistryAuth::Anonymous,
            |asked| match asked.method == "POST" {
                true => Reply::error(403, "DENIED"),
                false => Reply::status(404),
            },
            Error::Denied("error from registry: denied".to_owned()),
        ),
    ];
    for (auth, answer, expected) in cases {
        let mut bench = Bench::bent(move |_, asked| answer(asked));
        bench.engine.settings.parallel_layers = 1;
        bench.image("r.example/app:1", "amd64", &[layer(1, 300)]);
        let options = PushOptions {
            auth,
            ..options("r.example/app:1")
        };
        let mut error = bench.push_with(&options).unwrap_err();
        if let Error::Unauthorized(text) | Error::LoginMissing(text) = &mut error
            && let Some((before, rest)) = text.split_once(": blob sha256:")
        {
            *text = format!("{before}{}", rest.split_at(64).1);
        }
        assert_eq!(error, expected);
        assert!(bench.events.retries().is_empty());
    }
}

#[test]
fn credentials_that_may_only_write_can_push() {
    for status in [401, 403, 405] {
        let bench = Bench::bent(move |registry, asked| match asked.method == "HEAD" {
            true => Reply::status(status),
            false => registry.answer(asked),
        });
        let target = bench.image("r.example/app:1", "amd64", &[layer(1, 300)]);
        bench.push("r.example/app:1").unwrap();
        assert_eq!(
            bench.registry.borrow().tagged("app", "1"),
            Some(target.digest)
        );
    }
}
