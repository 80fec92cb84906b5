//! Loading some platforms only.

use futures::executor::block_on;
use serde_json::json;
use strata_oci::{Digest, archive::layout::blob_path, media_type};

use super::{
    Made, archive, docker::docker_entries, entry, index_entry, layout_entry, load_for, named,
};
use crate::{
    Error, Store as _, Target,
    catalog::fixture::{engine, entry as on},
};

/// An archive with an index of two platforms that share a layer, named `multi:1`; `lost`
/// is left out.
fn multi(lost: Option<&Digest>) -> (Made, Made, Vec<u8>) {
    let amd = Made::new(&[b"base".to_vec(), b"amd".to_vec()]);
    let arm = Made::on("arm64", &[b"base".to_vec(), super::large(9)]);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [on(&amd.manifest().0, "linux/amd64"), on(&arm.manifest().0, "linux/arm64")],
    });
    let index = index.to_string().into_bytes();
    let target = Target {
        media_type: media_type::OCI_INDEX.to_owned(),
        digest: Digest::sha256(&index),
        size: index.len() as u64,
    };
    let mut entries = vec![entry(&blob_path(&target.digest), index)];
    entries.extend(amd.blobs());
    entries.extend(arm.blobs());
    if let Some(lost) = lost {
        let path = blob_path(lost);
        entries.retain(|entry| !entry.starts_with(path.as_bytes()));
    }
    entries.push(index_entry(&[named(&target, "docker.io/library/multi:1")]));
    entries.push(layout_entry());
    (amd, arm, archive(&entries))
}

#[test]
fn only_the_content_asked_for_stays() {
    let (amd, arm, bytes) = multi(None);
    let engine = engine();
    load_for(&engine, &bytes, &["linux/amd64"]).unwrap();
    let here = |made: &Made| {
        let layers = made.layers.iter();
        let layers = layers.map(|layer| engine.store.has(&Digest::sha256(layer)));
        let config = engine.store.has(&Digest::sha256(&made.config));
        [config, engine.store.has(&made.manifest().0.digest)]
            .into_iter()
            .chain(layers)
            .collect::<Vec<_>>()
    };
    assert_eq!(here(&amd), [true, true, true, true]);
    assert_eq!(here(&arm), [false, false, true, false], "the shared layer");
    load_for(&engine, &bytes, &["linux/arm64"]).unwrap();
    assert_eq!(here(&amd), [true; 4], "was here before");
    assert_eq!(here(&arm), [true; 4]);
}

#[test]
fn a_name_is_set_again_when_it_reaches_more() {
    let (_, _, bytes) = multi(None);
    let engine = engine();
    let store = &engine.store;
    let set = || {
        let (_, names) = block_on(store.names("images")).unwrap();
        (names[0].created, names[0].updated, names[0].labels.len())
    };
    for (now, words, expected) in [
        (1, "linux/amd64", (1, 1, 0)),
        // A prune beside this does not know the other platform.
        (2, "linux/arm64", (1, 2, 0)),
        (3, "linux/arm64", (1, 2, 0)),
    ] {
        store.at(now);
        load_for(&engine, &bytes, &[words]).unwrap();
        assert_eq!(set(), expected, "{now}");
    }
}

#[test]
fn what_is_asked_for_must_be_there() {
    let (_, arm, bytes) = multi(None);
    let layer = Digest::sha256(&arm.layers[1]);
    let (_, _, partial) = multi(Some(&layer));
    let manifest = arm.manifest().0.digest;
    let (_, _, without) = multi(Some(&manifest));
    let rows: [(&[u8], &[&str], String); 4] = [
        (
            &bytes,
            &["linux/arm/v5"],
            "image multi:1 was loaded, but doesn't provide the requested platform ([linux/arm/v5])"
                .to_owned(),
        ),
        (
            &bytes,
            &["linux/s390x", "linux/riscv64"],
            "image multi:1 was loaded, but doesn't provide the requested platform ([linux/s390x linux/riscv64])"
                .to_owned(),
        ),
        (
            &partial,
            &["linux/arm64"],
            format!(
                "requested platform(s) ([linux/arm64]) found, but some content is missing: content digest {layer}: not found"
            ),
        ),
        (
            &without,
            &["linux/arm64"],
            format!(
                "requested platform(s) ([linux/arm64]) found, but some content is missing: content digest {manifest}: not found"
            ),
        ),
    ];
    for (bytes, platforms, expected) in rows {
        let engine = engine();
        let error = load_for(&engine, bytes, platforms).unwrap_err();
        assert_eq!(error, Error::PlatformMismatch(expected));
        assert_eq!(engine.store.names_of("images"), [""; 0]);
    }
    // What nobody asked for may be missing, and one of several is enough.
    load_for(&engine(), &partial, &["linux/amd64"]).unwrap();
    load_for(&engine(), &bytes, &["linux/amd64", "linux/s390x"]).unwrap();
    load_for(&engine(), &partial, &[]).unwrap();
}

#[test]
fn single_images_are_judged_by_their_config() {
    let image = Made::on("arm64", &[b"layer".to_vec()]);
    let (target, _) = image.manifest();
    let mut entries = vec![layout_entry(), index_entry(&[named(&target, "a:1")])];
    entries.extend(image.blobs());
    let layout = archive(&entries);
    let docker = archive(&docker_entries(&image, &["a:1"]));
    load_for(&engine(), &layout, &["linux/arm64"]).unwrap();
    load_for(&engine(), &docker, &["linux/arm64"]).unwrap();
    let error = |bytes| {
        let error = load_for(&engine(), bytes, &["linux/amd64"]).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        error(&layout),
        "image a:1 was loaded, but doesn't provide the requested platform ([linux/amd64])"
    );
    assert_eq!(
        error(&docker),
        "requested platform(s) ([linux/amd64]) not found: image might be filtered out"
    );
}
