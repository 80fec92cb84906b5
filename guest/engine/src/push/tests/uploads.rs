//! Blobs on the way: chunks, offsets, and where uploads move to.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>

use strata_oci::Digest;

use super::super::testing::{Asked, Bench, Registry, Reply, layer};

/// The MiB of tests.
const MIB: usize = 1 << 10;
/// The size of a blob that takes three chunks, not one request.
const LARGE: usize = 17 * MIB;

/// A machine with one image of one large layer, whose registry is `answer`.
fn large(answer: impl FnMut(&mut Registry, &Asked) -> Reply + 'static) -> (Bench, Digest) {
    let bench = Bench::bent(answer);
    bench.image("r.example/app:1", "amd64", &[layer(1, LARGE)]);
    (bench, Digest::sha256(&layer(1, LARGE)))
}

/// The chunks sent, `first-last`.
fn chunks(bench: &Bench) -> Vec<String> {
    let log = bench.web.log.borrow();
    let chunks = log.iter().filter(|asked| asked.method == "PATCH");
    chunks
        .map(|asked| asked.header("content-range").unwrap().to_owned())
        .collect()
}

/// How often something was asked.
fn count(bench: &Bench, method: &str, part: &str) -> usize {
    let log = bench.web.log.borrow();
    log.iter().filter(|asked| asked.is(method, part)).count()
}

const FIRST: &str = "0-8191";
const SECOND: &str = "8192-16383";
const THIRD: &str = "16384-17407";

#[test]
fn a_push_asks_sends_and_tags_in_this_order() {
    let bench = Bench::new();
    let target = bench.image("r.example/app:1", "amd64", &[layer(1, 3000), Vec::new()]);
    let done = bench.push("r.example/app:1").unwrap();
    assert_eq!(done[0].digest, target.digest);
    assert_eq!(done[0].size, target.size);
    assert!(done[0].changed);
    let asked = bench.asked();
    assert_eq!(asked[0], "HEAD app/manifests/1");
    assert_eq!(asked.last().unwrap(), "PUT app/manifests/1");
    let puts = asked.iter().filter(|line| line.starts_with("PUT"));
    assert_eq!(puts.count(), 4, "three blobs and the manifest: {asked:#?}");
    let (media_type, bytes) =
        bench.registry.borrow().manifests[&("app".to_owned(), "1".to_owned())].clone();
    assert_eq!(media_type, target.media_type);
    assert!(target.digest.verifies(&bytes));
    let (one, two) = (Digest::sha256(&layer(1, 3000)), Digest::sha256(b""));
    let (one, two) = (one.short(), two.short());
    assert_eq!(
        bench.events.brief(),
        [
            "resolved r.example/app:1".to_owned(),
            format!("Queued {one}"),
            format!("Queued {two}"),
            format!("Uploaded {one}"),
            format!("Uploaded {two}"),
            "completed r.example/app:1 true".to_owned(),
        ]
    );

    // All of it is there now: nothing is sent.
    let done = bench.push("r.example/app:1").unwrap();
    assert!(!done[0].changed);
    let asked = bench.asked();
    assert!(
        asked.iter().all(|line| line.starts_with("HEAD")),
        "{asked:#?}"
    );
    assert!(
        bench
            .events
            .brief()
            .contains(&format!("AlreadyExists {one}"))
    );
}

#[test]
fn what_is_large_goes_in_chunks_and_the_rest_in_one_request() {
    let (bench, digest) = large(|registry, asked| registry.answer(asked));
    bench.push("r.example/app:1").unwrap();
    assert_eq!(chunks(&bench), [FIRST, SECOND, THIRD]);
    assert!(bench.registry.borrow().has("app", &digest));
    let mib = MIB as u64;
    assert_eq!(bench.events.uploading(), [0, 8 * mib, 16 * mib, 17 * mib]);

    let bench = Bench::new();
    bench.image("r.example/app:1", "amd64", &[layer(1, 16 * MIB)]);
    bench.push("r.example/app:1").unwrap();
    assert!(chunks(&bench).is_empty());
}

#[test]
fn chunks_are_as_large_as_the_registry_wants() {
    for (least, expected) in [
        ("10240", &["0-10239", "10240-17407"][..]),
        ("512", &[FIRST, SECOND, THIRD]),
        ("18446744073709551615", &["0-17407"]),
        ("many", &[FIRST, SECOND, THIRD]),
    ] {
        let (bench, _) = large(move |registry, asked| {
            let reply = registry.answer(asked);
            match asked.method == "POST" {
                true => reply.header("oci-chunk-min-length", least),
                false => reply,
            }
        });
        bench.push("r.example/app:1").unwrap();
        assert_eq!(chunks(&bench), expected, "{least}");
    }
}

#[test]
fn every_answer_may_move_the_upload_and_its_query_stays() {
    type Write = fn(&str) -> String;
    let relative: Write = |path| path.to_owned();
    let absolute: Write = |path| format!("https://r.example{path}");
    let no_tls: Write = |path| format!("http://r.example{path}");
    let host_only: Write = |path| format!("r.example{path}");
    let elsewhere: Write = |path| format!("https://store.example{path}");
    for (write, host) in [
        (relative, "r.example"),
        (absolute, "r.example"),
        (no_tls, "r.example"),
        (host_only, "r.example"),
        (elsewhere, "store.example"),
    ] {
        let (bench, digest) = large(move |registry, asked| {
            if asked.host() == "store.example" {
                assert_eq!(asked.authorization(), None);
                assert_eq!(asked.header("x-meta-a"), None);
            } else {
                assert_eq!(asked.authorization(), Some("Bearer mine"));
                assert_eq!(asked.header("x-meta-a"), Some("b"));
            }
            let reply = registry.answer(asked);
            match reply.get("location").map(write) {
                Some(location) => reply.header("location", &location),
                None => reply,
            }
        });
        let mut options = super::super::testing::options("r.example/app:1");
        options.auth = crate::RegistryAuth::RegistryToken("mine".into());
        options.headers = vec![("X-Meta-A".to_owned(), "b".to_owned())];
        bench.push_with(&options).unwrap();
        assert!(bench.registry.borrow().has("app", &digest));
        let log = bench.web.log.borrow();
        let sent = log.iter().filter(|asked| asked.method == "PATCH");
        assert!(sent.clone().all(|asked| asked.host() == host));
        let mut states: Vec<_> = sent.map(|asked| asked.query("_state")).collect();
        states.dedup();
        assert_eq!(states.len(), 3, "each chunk went to the newest address");
    }
}

#[test]
fn redirects_carry_the_body_along() {
    let mut moved = false;
    let (bench, digest) = large(move |registry, asked| {
        if asked.method == "PATCH" && !std::mem::replace(&mut moved, true) {
            return Reply::status(307).header("location", &format!("{}&again=1", asked.uri));
        }
        registry.answer(asked)
    });
    bench.push("r.example/app:1").unwrap();
    assert!(bench.registry.borrow().has("app", &digest));
    assert_eq!(chunks(&bench), [FIRST, FIRST, SECOND, THIRD]);
    assert!(bench.events.retries().is_empty());

    let (bench, _) = large(|registry, asked| match asked.method == "POST" {
        true => Reply::status(308).header("location", "/v2/app/blobs/uploads/"),
        false => registry.answer(asked),
    });
    bench.push("r.example/app:1").unwrap_err();
    assert!(count(&bench, "POST", "") <= 4 * 6, "bounded");
}

#[test]
fn a_cut_chunk_goes_on_where_the_registry_says_it_is() {
    for (arrived, expected) in [
        (0, &[FIRST, SECOND, SECOND, THIRD][..]),
        (5, &[FIRST, SECOND, "8197-16388", "16389-17407"]),
        (8 * MIB, &[FIRST, SECOND, THIRD]),
    ] {
        let mut patches = 0;
        let (bench, digest) = large(move |registry, asked| {
            patches += usize::from(asked.method == "PATCH");
            if asked.method == "PATCH" && patches == 2 {
                let _: Reply = registry.answer(&asked.cut_after(arrived));
                return Reply::cut();
            }
            registry.answer(asked)
        });
        bench.push("r.example/app:1").unwrap();
        assert_eq!(chunks(&bench), expected, "{arrived}");
        assert_eq!(count(&bench, "GET", "/uploads/"), 1);
        assert_eq!(count(&bench, "POST", "/uploads/"), 2, "config and layer");
        assert_eq!(bench.events.retries().len(), 1);
        assert!(bench.registry.borrow().has("app", &digest));
    }
}

#[test]
fn a_refused_range_is_asked_about() {
    let mut patches = 0;
    let (bench, digest) = large(move |registry, asked| {
        patches += usize::from(asked.method == "PATCH");
        if asked.method == "PATCH" && patches == 2 {
            // Half of what it had is gone.
            for bytes in registry.uploads.values_mut() {
                bytes.truncate(4 * MIB);
            }
        }
        registry.answer(asked)
    });
    bench.push("r.example/app:1").unwrap();
    assert_eq!(chunks(&bench)[2], "4096-12287");
    assert!(bench.registry.borrow().has("app", &digest));
}

#[test]
fn an_upload_kept_in_part_goes_on_from_there() {
    let mut patches = 0;
    let (bench, digest) = large(move |registry, asked| {
        patches += usize::from(asked.method == "PATCH");
        match asked.method == "PATCH" && patches == 1 {
            true => registry.answer(&asked.cut_after(MIB)),
            false => registry.answer(asked),
        }
    });
    bench.push("r.example/app:1").unwrap();
    assert_eq!(chunks(&bench)[1], "1024-9215");
    assert!(bench.registry.borrow().has("app", &digest));
}

#[test]
fn a_silent_registry_is_believed_to_have_taken_the_chunk() {
    let (bench, digest) = large(|registry, asked| {
        let reply = registry.answer(asked);
        // The upload is number 1 or 2, and stays where it was opened.
        match asked.method == "PATCH" {
            true => reply.without("range").without("location"),
            false => reply,
        }
    });
    bench.push("r.example/app:1").unwrap();
    assert_eq!(chunks(&bench), [FIRST, SECOND, THIRD]);
    assert!(bench.registry.borrow().has("app", &digest));
}
