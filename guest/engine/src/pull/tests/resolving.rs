//! Resolving: tags and digests to documents, odd answers and lying headers included.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>

use http::Method;
use strata_oci::{
    Digest,
    digest::Algorithm,
    media_type::{DOCKER_MANIFEST, DOCKER_SCHEMA1_SIGNED, OCI_INDEX, OCI_MANIFEST},
};

use super::super::testing::{Asked, Bench, Made, Origin, Reply, layer, options};
use crate::{Error, PullOptions};

fn image() -> Made {
    Made::new("amd64", &[layer(1, 300)])
}

/// An honest registry whose answers about manifests go through `change`.
fn bent(change: impl Fn(&Asked, Reply) -> Reply + 'static) -> Bench {
    let origin = Origin::default().tagged("1", &image());
    Bench::new(move |asked| {
        let reply = origin.answer(asked);
        match asked.uri.path().contains("/manifests/") {
            true => change(asked, reply),
            false => reply,
        }
    })
}

#[test]
fn odd_heads_are_made_up_for_by_a_get() {
    let digest = image().digest;
    let sha512 = Digest::of(Algorithm::Sha512, &image().manifest);
    let by_tag = "GET r.example/v2/app/manifests/1".to_owned();
    let by_digest = format!("GET r.example/v2/app/manifests/{digest}");
    type Change = Box<dyn Fn(&Asked, Reply) -> Reply>;
    let on_head = |change: fn(Reply) -> Reply| -> Change {
        Box::new(move |asked, reply| match asked.method {
            Method::HEAD => change(reply),
            _ => reply,
        })
    };
    let always = |change: fn(Reply) -> Reply| -> Change { Box::new(move |_, reply| change(reply)) };
    for (change, asked, expected) in [
        (on_head(|reply| reply), &by_digest, &digest),
        (
            on_head(|reply| reply.without("content-length")),
            &by_digest,
            &digest,
        ),
        (
            on_head(|reply| reply.without("docker-content-digest")),
            &by_tag,
            &digest,
        ),
        (
            always(|reply| reply.without("docker-content-digest")),
            &by_tag,
            &digest,
        ),
        (
            always(|reply| reply.header("docker-content-digest", "sha256:../../x")),
            &by_tag,
            &digest,
        ),
        (
            on_head(|reply| reply.without("content-type")),
            &by_tag,
            &digest,
        ),
        (
            always(|reply| reply.without("content-type")),
            &by_tag,
            &digest,
        ),
        (on_head(|_| Reply::status(405)), &by_tag, &digest),
        (
            always(|reply| {
                reply.header(
                    "content-type",
                    "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
                )
            }),
            &by_digest,
            &digest,
        ),
    ] {
        let bench = bent(change);
        let completed = bench.pull("r.example/app:1").unwrap();
        assert_eq!(bench.asked()[1], *asked);
        assert_eq!(completed[0].digest, *expected);
        let target = bench.store.target("r.example/app:1").unwrap();
        assert_eq!(target.media_type, OCI_MANIFEST);
        bench.store.check();
    }
    let other = sha512.to_string();
    let bench = bent(move |asked, reply| match asked.is("HEAD", "/manifests/1") {
        true => reply.header("docker-content-digest", &other),
        false if asked.is("GET", "sha512:") => {
            Reply::ok(image().manifest).header("content-type", OCI_MANIFEST)
        }
        false => reply,
    });
    assert_eq!(bench.pull("r.example/app:1").unwrap()[0].digest, sha512);
    bench.store.check();
}

#[test]
fn documents_that_are_wrong_are_refused_and_not_kept() {
    let image = image();
    let mut both = image.json();
    both["manifests"] = serde_json::json!([]);
    let mut escaping = image.json();
    escaping["layers"][0]["digest"] = "sha256:../../../etc/passwd".into();
    let mut oversized = image.json();
    oversized["padding"] = "x".repeat(4 * 1048 * 1048).into();
    let document = |json: &serde_json::Value| json.to_string().into_bytes();
    type Judge = fn(&Error) -> bool;
    let is_invalid = (|error| matches!(error, Error::ManifestInvalid(_))) as Judge;
    let is_unsupported = (|error| matches!(error, Error::Unsupported(_))) as Judge;
    let is_argument = (|error| matches!(error, Error::InvalidArgument(text) if text.contains("r.example/app:1")))
        as Judge;
    for (media_type, bytes, judge) in [
        (DOCKER_MANIFEST, image.manifest.clone(), is_invalid),
        (OCI_INDEX, image.manifest.clone(), is_invalid),
        (OCI_MANIFEST, document(&both), is_invalid),
        (OCI_MANIFEST, document(&escaping), is_invalid),
        (OCI_MANIFEST, document(&oversized), is_invalid),
        (OCI_MANIFEST, b"{\"schemaVersion\":2,".to_vec(), is_invalid),
        (OCI_MANIFEST, b"\xff\xfe".to_vec(), is_invalid),
        (OCI_MANIFEST, b"".to_vec(), is_invalid),
        (
            "application/vnd.example.thing",
            image.manifest.clone(),
            is_unsupported,
        ),
        ("text/html", b"<html>".to_vec(), |error| {
            matches!(error, Error::Unavailable(_))
        }),
        (DOCKER_SCHEMA1_SIGNED, b"{}".to_vec(), is_argument),
        (
            "application/json",
            br#"{"schemaVersion":1,"fsLayers":[]}"#.to_vec(),
            is_argument,
        ),
    ] {
        let origin = Origin::default().document("1", media_type, &bytes);
        let bench = Bench::with(origin);
        let error = bench.pull("r.example/app:1").unwrap_err();
        assert!(judge(&error), "{media_type}: {error:?}");
        assert!(bench.store.is_empty(), "{media_type}");
        assert!(bench.events.brief().is_empty(), "{media_type}");
        bench.store.check();
    }
}

#[test]
fn documents_with_lying_headers_or_bytes_are_caught() {
    let other = Digest::sha256(b"other").to_string();
    type Change = Box<dyn Fn(&Asked, Reply) -> Reply>;
    let on_get = |change: fn(Reply) -> Reply| -> Change {
        Box::new(move |asked, reply| match asked.method {
            Method::GET => change(reply),
            _ => reply,
        })
    };
    let lying_digest: Change = Box::new(move |asked, reply| match asked.method {
        Method::HEAD => Reply::status(405),
        _ => reply.header("docker-content-digest", &other),
    });
    type Judge = fn(&Error) -> bool;
    let mismatch = (|error| matches!(error, Error::DigestMismatch { .. })) as Judge;
    for (change, judge) in [
        (on_get(|_| Reply::ok("{}")), mismatch),
        (lying_digest, mismatch),
        (on_get(|reply| reply.end_after(20)), mismatch),
        (
            on_get(|reply| reply.header("content-length", "99999999")),
            |error| matches!(error, Error::ManifestInvalid(_)),
        ),
        (on_get(|reply| reply.cut_after(20)), |error| {
            matches!(error, Error::Unavailable(_))
        }),
        (
            on_get(|_| Reply::ok(vec![b' '; 5_000_000]).without("content-length")),
            |error| matches!(error, Error::ManifestInvalid(_)),
        ),
    ] {
        let bench = bent(change);
        let error = bench.pull("r.example/app:1").unwrap_err();
        assert!(judge(&error), "{error:?}");
        assert!(bench.store.is_empty());
        bench.store.check();
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let bench = Bench::with(Origin::default());
    assert_eq!(
        bench.pull("app:nope").unwrap_err(),
        Error::NotFound(
            "failed to resolve reference \"docker.io/library/app:nope\": docker.io/library/app:nope: not found".to_owned()
        )
    );
    let all = PullOptions {
        all_tags: true,
        ..options("app")
    };
    let bench = Bench::new(|_| Reply::status(404));
    assert_eq!(
        bench.pull_with(&all).unwrap_err(),
        Error::NotFound("repository app not found".to_owned())
    );
}

#[test]
fn tags_are_read_page_by_page() {
    let image = image();
    let origin = ["a", "b", "c"]
        .iter()
        .fold(Origin::default(), |origin, tag| origin.tagged(tag, &image));
    let bench = Bench::new(move |asked| {
        if !asked.uri.path().ends_with("/tags/list") {
            return origin.answer(asked);
        }
        let (body, link) = match asked.uri.query() {
            None => (
                r#"{"tags":["b"]}"#,
                "</v2/app/tags/list?last=b>; rel=\"next\"",
            ),
            Some("last=b") => (
                r#"{"tags":null}"#,
                "<https://r.example/v2/app/tags/list?last=c&n=1>; rel=next",
            ),
            Some(_) => return Reply::ok(r#"{"tags":["a","b","c","not a tag"]}"#),
        };
        Reply::ok(body).header("link", link)
    });
    let all = PullOptions {
        all_tags: true,
        ..options("r.example/app")
    };
    let completed = bench.pull_with(&all).unwrap();
    let tags: Vec<_> = completed
        .iter()
        .map(|done| done.reference.tag().unwrap())
        .collect();
    assert_eq!(tags, ["a", "b", "c"]);
    for link in [
        "<https://evil.example/v2/app/tags/list?last=b>; rel=\"next\"",
        "</v2/app/tags/list?last=b>; rel=\"next\"",
    ] {
        let bench = Bench::new(move |_| Reply::ok(r#"{"tags":["b"]}"#).header("link", link));
        let error = bench.pull_with(&all).unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(bench.web.log.borrow().len() <= 2, "a circle ends");
    }
}
