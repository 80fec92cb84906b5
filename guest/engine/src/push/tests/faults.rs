//! Registries that refuse, cut, lie about offsets or lose uploads.

use strata_oci::Digest;

use super::super::testing::{Asked, Bench, Registry, Reply, layer, options};
use crate::{Error, Phase};

const LARGE: usize = 17 << 10;

fn large(answer: impl FnMut(&mut Registry, &Asked) -> Reply + 'static) -> (Bench, Digest) {
    let bench = Bench::bent(answer);
    bench.image("r.example/app:1", "amd64", &[layer(1, LARGE)]);
    (bench, Digest::sha256(&layer(1, LARGE)))
}

fn small(answer: impl FnMut(&mut Registry, &Asked) -> Reply + 'static) -> (Bench, Digest) {
    let bench = Bench::bent(answer);
    bench.image("r.example/app:1", "amd64", &[layer(1, 3000)]);
    (bench, Digest::sha256(&layer(1, 3000)))
}

fn count(bench: &Bench, method: &str) -> usize {
    let log = bench.web.log.borrow();
    log.iter().filter(|asked| asked.method == method).count()
}

#[test]
fn a_registry_that_claims_too_much_gets_all_of_it_in_one_request() {
    for claim in ["0-8192", "0-17407", "0-99999999999999"] {
        let (bench, digest) = large(move |registry, asked| {
            let reply = registry.answer(asked);
            match asked.method == "PATCH" {
                true => reply.header("range", claim),
                false => reply,
            }
        });
        bench.push("r.example/app:1").unwrap();
        assert_eq!(count(&bench, "PATCH"), 1);
        assert_eq!(bench.events.retries().len(), 1);
        assert!(bench.registry.borrow().has("app", &digest));
    }
}

#[test]
fn a_registry_that_never_gets_on_is_given_up() {
    type Answer = fn(&mut Registry, &Asked) -> Reply;
    // Says it took nothing, refuses every range, cuts every chunk, loses every
    // upload, cannot be asked for an offset.
    let nothing: Answer = |registry, asked| match asked.method == "PATCH" {
        true => registry.answer(&asked.cut_after(0)),
        false => registry.answer(asked),
    };
    let refuses: Answer = |registry, asked| match asked.method == "PATCH" {
        true => Reply::status(416),
        false => registry.answer(asked),
    };
    let cuts: Answer = |registry, asked| match asked.method == "PATCH" {
        true => Reply::cut(),
        false => registry.answer(asked),
    };
    let loses: Answer = |registry, asked| {
        if asked.method == "PATCH" {
            registry.uploads.clear();
        }
        registry.answer(asked)
    };
    let mute: Answer = |registry, asked| match asked.method.as_str() {
        "PATCH" => Reply::cut(),
        "GET" => registry.answer(asked).without("range"),
        _ => registry.answer(asked),
    };
    for answer in [nothing, refuses, cuts, loses, mute] {
        let (mut bench, digest) = large(answer);
        bench.engine.settings.parallel_layers = 1;
        let error = bench.push("r.example/app:1").unwrap_err();
        assert!(!error.to_string().is_empty());
        assert_eq!(bench.events.retries().len(), 4, "{error}");
        assert!(!bench.registry.borrow().has("app", &digest));
        assert_eq!(bench.registry.borrow().tagged("app", "1"), None);
    }
}

#[test]
fn a_lost_upload_starts_over() {
    let mut patches = 0;
    let (bench, digest) = large(move |registry, asked| {
        patches += usize::from(asked.method == "PATCH");
        if asked.method == "PATCH" && patches == 2 {
            registry.uploads.clear();
        }
        registry.answer(asked)
    });
    bench.push("r.example/app:1").unwrap();
    assert_eq!(count(&bench, "PATCH"), 5);
    assert!(bench.registry.borrow().has("app", &digest));
    let uploading = bench.events.uploading();
    assert_eq!(
        uploading.iter().filter(|at| **at == 0).count(),
        2,
        "{uploading:?}"
    );
}

#[test]
fn a_lost_answer_to_the_last_request_is_made_up_for() {
    for large_layer in [true, false] {
        let mut puts = 0;
        let lossy = move |registry: &mut Registry, asked: &Asked| {
            let reply = registry.answer(asked);
            let is_layer = asked.is("PUT", "/uploads/") && reply.status == 201;
            puts += usize::from(is_layer);
            match is_layer && puts <= 2 {
                true => Reply::cut(),
                false => reply,
            }
        };
        let (bench, digest) = if large_layer {
            large(lossy)
        } else {
            small(lossy)
        };
        bench.push("r.example/app:1").unwrap();
        assert_eq!(
            count(&bench, "PUT"),
            3,
            "config, layer, manifest: each once"
        );
        let uploaded = format!("{:?} {}", Phase::Uploaded, digest.short());
        assert!(bench.events.brief().contains(&uploaded));
    }
}

#[test]
fn a_registry_without_chunks_gets_the_blob_whole() {
    for status in [405, 400, 501, 415] {
        let (bench, digest) = large(move |registry, asked| match asked.method == "PATCH" {
            true => Reply::status(status),
            false => registry.answer(asked),
        });
        bench.push("r.example/app:1").unwrap();
        assert_eq!(count(&bench, "PATCH"), 1, "{status}");
        assert!(bench.registry.borrow().has("app", &digest));
    }
}

#[test]
fn pieces_that_do_not_fit_together_are_sent_once_more_and_whole() {
    for lies_again in [false, true] {
        let mut puts = 0;
        let (bench, digest) = large(move |registry, asked| {
            let is_blob = asked.is("PUT", "/uploads/");
            let is_config = is_blob && asked.body.len() < 1000 && !asked.body.is_empty();
            puts += usize::from(is_blob && !is_config);
            match is_blob && !is_config && (puts == 1 || lies_again) {
                true => Reply::error(400, "DIGEST_INVALID"),
                false => registry.answer(asked),
            }
        });
        let result = bench.push("r.example/app:1");
        assert_eq!(result.is_ok(), !lies_again);
        assert_eq!(bench.registry.borrow().has("app", &digest), !lies_again);
        assert_eq!(count(&bench, "PATCH"), 3);
    }
}

#[test]
fn what_passes_is_tried_again_and_seen() {
    for (reply, waits) in [
        (Reply::status(503), "150"),
        (Reply::status(408), "150"),
        (Reply::status(429).header("retry-after", "7"), "7000"),
        (Reply::cut(), "150"),
    ] {
        for (method, part) in [
            ("HEAD", "/manifests/"),
            ("HEAD", "/blobs/"),
            ("POST", "/uploads/"),
            ("PUT", "/uploads/"),
            ("PUT", "/manifests/"),
        ] {
            let mut reply = Some(reply.clone());
            let (bench, _) =
                small(
                    move |registry, asked| match asked.is(method, part) && reply.is_some() {
                        true => reply.take().unwrap(),
                        false => registry.answer(asked),
                    },
                );
            bench.push("r.example/app:1").unwrap();
            let retries: Vec<String> = bench.events.brief();
            let expected = format!("retry 2 in {waits} ms");
            assert!(retries.contains(&expected), "{method} {part}: {retries:?}");
        }
    }
    let (bench, _) = small(|_, _| Reply::status(429).header("retry-after", "3600"));
    let error = bench.push("r.example/app:1").unwrap_err();
    assert!(
        matches!(
            error,
            Error::RateLimited {
                retry_after: Some(3600),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(bench.asked().len(), 1);
}

#[test]
fn a_registry_that_lied_about_having_a_blob_gets_it() {
    let bench = Bench::bent(|registry, asked| match asked.is("HEAD", "/blobs/") {
        true => Reply::status(200),
        false => registry.answer(asked),
    });
    let target = bench.image("r.example/app:1", "amd64", &[layer(1, 3000)]);
    bench.push("r.example/app:1").unwrap();
    assert_eq!(
        bench.registry.borrow().tagged("app", "1"),
        Some(target.digest)
    );
    assert_eq!(count(&bench, "PUT"), 4, "refused, two blobs, accepted");

    // One that has everything and still refuses is given up.
    let (bench, _) = small(|registry, asked| match asked.is("PUT", "/manifests/") {
        true => Reply::error(400, "MANIFEST_BLOB_UNKNOWN"),
        false => registry.answer(asked),
    });
    let error = bench.push("r.example/app:1").unwrap_err();
    assert!(
        matches!(&error, Error::ManifestInvalid(text) if text.contains("manifest blob unknown")),
        "{error:?}"
    );
    assert_eq!(count(&bench, "PUT"), 4);
}

#[test]
fn refused_manifests_are_explained_and_not_tried_again() {
    type Judge = fn(&Error) -> bool;
    for (reply, judge) in [
        (
            Reply::status(413),
            (|error| matches!(error, Error::QuotaExceeded(text) if text.contains("too large")))
                as Judge,
        ),
        (
            Reply::error(400, "MANIFEST_INVALID"),
            |error| matches!(error, Error::ManifestInvalid(text) if text.contains("manifest invalid") && text.contains("not converted")),
        ),
        (Reply::status(415), |error| {
            matches!(error, Error::ManifestInvalid(_))
        }),
        (
            Reply::status(201).header("docker-content-digest", Digest::sha256(b"other").as_str()),
            |error| matches!(error, Error::DigestMismatch { .. }),
        ),
        (Reply::error(403, "DENIED"), |error| {
            matches!(error, Error::Denied(_))
        }),
        (Reply::error(400, "TAG_INVALID"), |error| {
            matches!(error, Error::InvalidArgument(_))
        }),
    ] {
        let (bench, _) = small(
            move |registry, asked| match asked.is("PUT", "/manifests/") {
                true => reply.clone(),
                false => registry.answer(asked),
            },
        );
        let error = bench.push("r.example/app:1").unwrap_err();
        assert!(judge(&error), "{error:?}");
        assert!(bench.events.retries().is_empty());
    }
    // A digest of another algorithm is no other digest.
    let (bench, _) = small(|registry, asked| {
        let other = Digest::of(strata_oci::digest::Algorithm::Sha512, b"");
        registry
            .answer(asked)
            .header("docker-content-digest", other.as_str())
    });
    bench.push("r.example/app:1").unwrap();
}

#[test]
fn a_dropped_push_leaves_no_lease_and_the_next_one_goes_on() {
    let (bench, digest) = large(|registry, asked| registry.answer(asked));
    let options = options("r.example/app:1");
    let push = bench.engine.push(&options, &bench.events);
    let enough = || bench.events.uploading().contains(&(16 << 10));
    assert!(bench.clock.run_until(push, enough).is_none());
    bench.check_leases();
    assert_eq!(bench.registry.borrow().tagged("app", "1"), None);
    bench.asked();
    bench.push("r.example/app:1").unwrap();
    assert!(bench.registry.borrow().has("app", &digest));
    let configs = bench.asked();
    let opened = configs
        .iter()
        .filter(|line| line.starts_with("POST"))
        .count();
    assert_eq!(opened, 1, "the config was through: {configs:#?}");
}

#[test]
fn an_upload_without_an_address_is_an_error() {
    for location in [
        None,
        Some("ftp://r.example/u"),
        Some("http://store.example/u?s=secret"),
    ] {
        let (bench, _) = small(move |registry, asked| match asked.method == "POST" {
            true => match location {
                Some(location) => Reply::status(202).header("location", location),
                None => Reply::status(202),
            },
            false => registry.answer(asked),
        });
        let error = bench.push("r.example/app:1").unwrap_err().to_string();
        assert!(error.contains("failed to push r.example/app:1"), "{error}");
        assert!(!error.contains("secret"));
        assert!(bench.events.retries().is_empty());
    }
}
