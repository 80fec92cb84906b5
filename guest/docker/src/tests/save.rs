//! Save: its parameters, the archive, and failures before and within it.

use strata_engine::{Error, memory::Bytes};
use strata_http::Gone;

use super::{
    client::{Client, call, call_as},
    fake::{Fake, Step, last_call},
};

const SAVE: &str = "GET /images/get?names=a";
const AMD: &str = r#"platform={"os":"linux","architecture":"amd64"}"#;
const ARM: &str = r#"platform={"os":"linux","architecture":"arm64"}"#;

fn write(text: &str) -> Step {
    Step::Write(text.as_bytes().to_vec())
}

fn copy(text: &str, length: u64) -> Step {
    Step::Copy(Bytes::of(text.as_bytes().to_vec()), length)
}

#[test]
fn an_archive_is_its_bytes_in_order() {
    for line in [SAVE, "GET /images/a/get", "GET /v1.24/images/a/get"] {
        let fake = Fake::scripted([
            Step::Yield,
            write("one "),
            copy("two ", 4),
            write(""),
            write("three"),
        ]);
        let client = call(&fake, line);
        assert_eq!((client.code(), client.text()), (200, "one two three"));
        assert_eq!(client.headers["content-type"], "application/x-tar");
        assert_eq!(client.headers["api-version"], "1.54");
        assert!(!client.headers.contains_key("content-length"));
        assert!(!client.aborted);
    }
    let fake = Fake::scripted([copy("content first", 13)]);
    assert_eq!(call(&fake, SAVE).text(), "content first");
    let client = call(&Fake::default(), SAVE);
    assert_eq!((client.code(), client.text()), (200, ""));
    assert_eq!(client.headers["content-type"], "application/x-tar");
}

#[test]
fn names_come_from_the_query_or_the_path() {
    for (path, names) in [
        (
            "/images/get?names=a:1&names=b%2Fc&names=sha256:0",
            r#"["a:1", "b/c", "sha256:0"]"#,
        ),
        ("/images/get", "[]"),
        ("/images/get?names=", r#"[""]"#),
        (
            "/images/docker.io/library/a:1/get",
            r#"["docker.io/library/a:1"]"#,
        ),
        ("/images/a/get?names=b", r#"["a"]"#),
    ] {
        let fake = Fake::default();
        assert_eq!(call(&fake, &format!("GET {path}")).code(), 200, "{path}");
        let expected = format!("save SaveOptions {{ names: {names}, platforms: [] }}");
        assert_eq!(last_call(&fake), expected, "{path}");
    }
}

#[test]
fn platforms_depend_on_the_version() {
    let both = &format!("{AMD}&{ARM}");
    for (version, query, expected) in [
        ("", both.as_str(), &["amd64", "arm64"][..]),
        ("/v1.52", both, &["amd64", "arm64"]),
        ("/v1.51", ARM, &["arm64"]),
        ("/v1.48", &format!("platform=&{ARM}"), &["arm64"]),
        ("/v1.47", both, &[]),
        ("/v1.47", "platform=nonsense", &[]),
        ("", "platform=", &[]),
    ] {
        let fake = Fake::default();
        let line = format!("GET {version}/images/get?names=a&{query}");
        assert_eq!(call(&fake, &line).code(), 200, "{line}");
        let asked = last_call(&fake);
        for architecture in ["amd64", "arm64"] {
            let is_expected = expected.contains(&architecture);
            assert_eq!(asked.contains(architecture), is_expected, "{line}: {asked}");
        }
    }
    let several = "multiple platform parameters are not supported in this API version; use API version 1.52 or later";
    for (path, query, message) in [
        ("/v1.51/images/get", both.as_str(), several),
        ("/v1.48/images/a/get", both, several),
        (
            "/images/a/get",
            "platform={}",
            "both OS and Architecture must be provided",
        ),
    ] {
        let fake = Fake::default();
        let client = call(&fake, &format!("GET {path}?{query}"));
        assert_eq!(client.code(), 400, "{path}");
        assert_eq!(client.text(), format!("{{\"message\":\"{message}\"}}\n"));
        assert!(fake.calls.borrow().is_empty());
    }
}

#[test]
fn a_failure_before_the_first_byte_has_its_status() {
    for (error, status) in [
        (Error::NotFound("No such image: a:latest".to_owned()), 404),
        (
            Error::InvalidArgument("invalid reference format".to_owned()),
            400,
        ),
    ] {
        let message = format!("{{\"message\":\"{error}\"}}\n");
        let fake = Fake::scripted([Step::Yield, write(""), Step::Fail(error)]);
        let client = call(&fake, SAVE);
        assert_eq!((client.code(), client.text()), (status, message.as_str()));
        assert_eq!(client.headers["content-type"], "application/json");
        assert!(!client.aborted);
    }
}

#[test]
fn a_failure_within_the_archive_breaks_it_off() {
    for (script, sent) in [
        (
            vec![write("one"), Step::Fail(Error::Internal("disk".to_owned()))],
            "one",
        ),
        // The store has fewer bytes than it said.
        (vec![write("one "), copy("tw", 3), write("never")], "one tw"),
        (vec![copy("tw", 3)], "tw"),
    ] {
        let client = call(&Fake::scripted(script), SAVE);
        assert_eq!((client.code(), client.text()), (200, sent));
        assert!(client.aborted);
    }
}

#[test]
fn a_client_that_leaves_ends_the_save() {
    for leaves_at in [0, 1] {
        let fake = Fake::scripted([write("one"), copy("two", 3), Step::Hang]);
        let mut client = Client {
            leaves_at: Some(leaves_at),
            ..Client::default()
        };
        assert_eq!(call_as(&mut client, &fake, SAVE), Err(Gone));
        assert!(!client.aborted, "nobody is there to be told");
        assert_eq!(fake.script.borrow().len(), 2 - leaves_at, "goes no further");
    }
}
