//! What comes from URLs.

use super::*;
use crate::Error;

const URL: &str = "http://a.example/root.tar?token=secret#part";

#[test]
fn a_url_is_asked_once_and_needs_no_scheme() {
    for (url, asked) in [
        ("http://a.example/x.tar", "http://a.example/x.tar"),
        (
            "HTTPS://a.example:8443/x?y=z",
            "https://a.example:8443/x?y=z",
        ),
        ("a.example/x.tar", "http://a.example/x.tar"),
        ("localhost:5000/x.tar", "http://localhost:5000/x.tar"),
        ("http://a.example/a ü%20", "http://a.example/a%20%C3%BC%20"),
        (URL, "http://a.example/root.tar?token=secret"),
    ] {
        let bench = Bench::online(|_| ok(&root()));
        bench.import_url(url).unwrap();
        assert_eq!(bench.asked(), [asked]);
    }
}

#[test]
fn the_history_says_where_it_came_from_without_the_query() {
    let bench = Bench::online(|_| ok(&root()));
    let id = bench.import_url(URL).unwrap();
    let (_, config) = bench.image(&id);
    let comment = config.history[0].comment.as_deref();
    assert_eq!(comment, Some("Imported from http://a.example/root.tar"));
    let size = root().len();
    assert_eq!(
        bench.events.brief(),
        [
            format!("downloading 0/{size}"),
            format!("downloaded {size}/{size}"),
            "completed a:latest true".to_owned(),
        ]
    );
}

#[test]
fn what_is_no_web_address_is_refused_unasked() {
    for url in [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://a.example/x",
        "http://user:secret@a.example/x",
        "user:secret@a.example/x",
        "http://",
        "http://a b/x",
        "http://a.example/\n",
    ] {
        let bench = Bench::new();
        let error = bench.import_url(url).unwrap_err();
        assert!(
            matches!(error, Error::InvalidArgument(_)),
            "{url}: {error:?}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn refusals_keep_their_class_and_their_reason() {
    let class = |error: &Error| match error {
        Error::NotFound(_) => 404,
        Error::InvalidArgument(_) => 400,
        Error::Unauthorized(_) => 401,
        Error::Denied(_) => 403,
        Error::Unavailable(_) => 503,
        other => panic!("{other:?}"),
    };
    for (status, expected, name) in [
        (404, 404, "404 Not Found"),
        (400, 400, "400 Bad Request"),
        (401, 401, "401 Unauthorized"),
        (403, 403, "403 Forbidden"),
        (429, 503, "429 Too Many Requests"),
        (500, 503, "500 Internal Server Error"),
        (304, 503, "304 Not Modified"),
        // A redirect that leads nowhere.
        (302, 503, "302 Found"),
    ] {
        let bench = Bench::online(move |_| Reply::status(status).body(b" a\x1b[1m\nreason\n"));
        let error = bench.import_url(URL).unwrap_err();
        assert_eq!(class(&error), expected, "{status}");
        let text =
            format!("failed to GET http://a.example/root.tar with status {name}: a [1m reason");
        assert_eq!(error.to_string(), text);
        assert!(bench.events.brief().is_empty());
        bench.assert_empty(name);
    }
    let bench = Bench::online(|_| Reply::status(500).body([b'x'; 5000]));
    let text = bench.import_url(URL).unwrap_err().to_string();
    assert_eq!(text.matches('x').count(), 1 + 1024, "{text}");
}

#[test]
fn a_download_that_ends_early_leaves_nothing() {
    let whole = root();
    for end in [0, 1, 511, 512, 2000, whole.len() - 1] {
        let size = whole.len().to_string();
        let part = whole[..end].to_vec();
        let bench = Bench::online(move |_| {
            Reply::status(200)
                .body(part.clone())
                .header("content-length", &size)
        });
        let error = bench.import_url(URL).unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{end}: {error:?}");
        bench.assert_empty(&end.to_string());
    }
}

/// What a redirect leads to.
enum Lead {
    /// There, with this reach.
    To(&'static str),
    Refused,
}

#[test]
fn redirects_lead_to_public_places_only() {
    use Lead::{Refused, To};
    for (from, location, lead) in [
        ("http://a.example/x", "/y", To("http://a.example/y")),
        (
            "http://a.example/x",
            "https://a.example/y",
            To("https://a.example/y"),
        ),
        (
            "http://127.0.0.1:5000/x",
            "y",
            To("http://127.0.0.1:5000/y"),
        ),
        (
            "https://a.example/x",
            "https://b.example/y",
            To("public https://b.example/y"),
        ),
        (
            "http://a.example/x",
            "http://b.example/y",
            To("public http://b.example/y"),
        ),
        (
            "http://a.example/x",
            "http://1.1.1.1/y",
            To("public http://1.1.1.1/y"),
        ),
        (
            "http://a.example/x",
            "http://a.example:81/y",
            To("public http://a.example:81/y"),
        ),
        ("https://a.example/x", "http://a.example/y", Refused),
        ("https://a.example/x", "http://b.example/y", Refused),
        ("http://a.example/x", "ftp://b.example/y", Refused),
        ("http://a.example/x", "file:///etc/passwd", Refused),
        ("http://a.example/x", "http://u:p@b.example/y", Refused),
        (
            "http://a.example/x",
            "http://127.0.0.1/y",
            To("public http://127.0.0.1/y"),
        ),
        (
            "http://a.example/x",
            "http://localhost/y",
            To("public http://localhost/y"),
        ),
        (
            "http://a.example/x",
            "http://[::ffff:10.0.0.1]/y",
            To("public http://[::ffff:10.0.0.1]/y"),
        ),
        (
            "http://a.example/x",
            "http://169.254.169.254/latest",
            To("public http://169.254.169.254/latest"),
        ),
        (
            "http://127.0.0.1:5000/x",
            "http://127.0.0.1:5001/y",
            To("public http://127.0.0.1:5001/y"),
        ),
    ] {
        let answer = move |url: &str| match url == from {
            true => redirect(location),
            false => ok(&root()),
        };
        let bench = Bench::online(answer);
        let result = bench.import_url(from);
        let asked = bench.asked();
        match lead {
            To(place) => {
                assert!(result.is_ok(), "{location}: {result:?}");
                assert_eq!(asked, [from, place]);
            }
            Refused => {
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Denied(_)), "{location}: {error:?}");
                assert_eq!(asked, [from], "{location}");
                bench.assert_empty(location);
            }
        }
    }
}

#[test]
fn a_refused_redirect_is_named_without_its_query() {
    let bench = Bench::online(|url| match url.contains("10.0.0.1") {
        true => private(),
        false => redirect("http://10.0.0.1:81/y?sig=secret"),
    });
    assert_eq!(
        bench.import_url(URL).unwrap_err().to_string(),
        "http://a.example/root.tar redirects to http://10.0.0.1:81, which is not allowed: failed to GET http://10.0.0.1:81/y: the address is private"
    );
}

#[test]
fn once_sent_elsewhere_a_request_stays_among_public_places() {
    let bench = Bench::online(|url| match url {
        "http://127.0.0.1:1/x" => redirect("http://b.example/1"),
        "http://b.example/1" => redirect("/2"),
        "http://b.example/2" => redirect("http://127.0.0.1:1/y"),
        _ => private(),
    });
    let error = bench.import_url("http://127.0.0.1:1/x").unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error:?}");
    assert_eq!(
        bench.asked(),
        [
            "http://127.0.0.1:1/x",
            "public http://b.example/1",
            "public http://b.example/2",
            "public http://127.0.0.1:1/y"
        ]
    );
}

#[test]
fn a_setting_allows_every_redirect_to_the_web() {
    let Engine { mut settings, .. } = fixture::engine();
    settings.allow_unsafe_redirects = true;
    for (from, location, is_allowed) in [
        ("https://a.example/x", "http://b.example/y", true),
        ("https://a.example/x", "http://127.0.0.1/y", true),
        ("http://a.example/x", "http://localhost:1/y", true),
        ("http://a.example/x", "file:///etc/passwd", false),
    ] {
        let answer = move |url: &str| match url == from {
            true => redirect(location),
            false => ok(&root()),
        };
        let bench = Bench::with(settings.clone(), answer);
        assert_eq!(bench.import_url(from).is_ok(), is_allowed, "{location}");
        let asked = bench.asked();
        let expected: &[&str] = match is_allowed {
            true => &[from, location],
            false => &[from],
        };
        assert_eq!(asked, expected);
    }
}

#[test]
fn redirects_end_after_ten() {
    let bench = Bench::online(|url| redirect(&format!("{url}x")));
    let error = bench.import_url("http://a.example/x").unwrap_err();
    let expected = "failed to GET http://a.example/x: stopped after 10 redirects";
    assert_eq!(error, Error::Unavailable(expected.to_owned()));
    assert_eq!(bench.asked().len(), 11);
}
