//! What an archive has inside.

use serde_json::json;
use strata_oci::archive::layout::blob_path;

use super::{content, files, json_file, save, save_for};
use crate::{
    Error,
    catalog::fixture::{PLAIN, Recipe, TestEngine, attestation, engine, entry, pointer},
    memory::Memory,
};

const ARM: Recipe<'_> = Recipe {
    platform: "linux/arm64",
    layers: &["base", "arm"],
    ..PLAIN
};
const AMD: Recipe<'_> = Recipe {
    layers: &["base", "amd"],
    ..PLAIN
};

/// An index of two platforms and an attestation, named `multi:1`.
fn multi() -> (TestEngine, [crate::Target; 4]) {
    let engine = engine();
    let store = &engine.store;
    let (arm, amd) = (store.image(&ARM), store.image(&AMD));
    let about = store.image(&Recipe {
        layers: &["in-toto"],
        platform: "linux/unknown",
        ..PLAIN
    });
    let index = store.index(&[
        entry(&arm, "linux/arm64"),
        entry(&amd, "linux/amd64"),
        attestation(&about, &amd),
    ]);
    store.name("images", "docker.io/library/multi:1", &index, &[]);
    (engine, [index, arm, amd, about])
}

fn paths(archive: &[u8]) -> Vec<String> {
    files(archive).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn entries_come_in_the_order_of_their_names() {
    let engine = engine();
    engine.store.named("docker.io/library/a:1", &PLAIN);
    let archive = save(&engine, &["a:1"]).unwrap();
    let paths = paths(&archive);
    assert!(paths.is_sorted());
    assert_eq!(paths[..2], ["blobs/", "blobs/sha256/"]);
    let rest = &paths[paths.len() - 4..];
    assert_eq!(
        rest,
        ["index.json", "manifest.json", "oci-layout", "repositories"]
    );
    assert_eq!(paths.len(), 2 + 3 + 4);
    let layout = content(&archive, "oci-layout").unwrap();
    assert_eq!(layout, br#"{"imageLayoutVersion":"1.0.0"}"#);
}

#[test]
fn documents_name_the_image() {
    let engine = engine();
    let target = engine.store.named("docker.io/library/a:1", &AMD);
    let archive = save(&engine, &["a:1"]).unwrap();
    let mut descriptor = pointer(&target);
    descriptor["annotations"] = json!({
        "io.containerd.image.name": "docker.io/library/a:1",
        "org.opencontainers.image.ref.name": "1",
    });
    assert_eq!(
        json_file(&archive, "index.json"),
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [descriptor],
        })
    );
    let layers = ["base", "amd"].map(|layer| blob_path(&Memory::layer(layer)));
    let row = &json_file(&archive, "manifest.json")[0];
    assert_eq!(row["RepoTags"], json!(["a:1"]));
    assert_eq!(row["Layers"], json!(layers));
    let repositories = content(&archive, "repositories").unwrap();
    let top = Memory::layer("amd");
    let expected = format!("{{\"a\":{{\"1\":\"{}\"}}}}\n", top.encoded());
    assert_eq!(String::from_utf8(repositories).unwrap(), expected);
}

#[test]
fn a_repository_stands_for_its_tags_and_an_id_for_no_name() {
    let engine = engine();
    let target = engine.store.named("docker.io/library/a:1", &PLAIN);
    engine.store.named("docker.io/library/a:latest", &ARM);
    engine.store.named("docker.io/library/b:1", &AMD);
    let store = &engine.store;
    let digest = target.digest.as_str();
    let pulled = format!("docker.io/library/a@{digest}");
    store.name("images", &pulled, &target, &[]);
    let tags = |names: &[&str]| {
        let archive = save(&engine, names).unwrap();
        let index = json_file(&archive, "index.json");
        let entries = index["manifests"].as_array().unwrap().clone();
        let name = |entry: serde_json::Value| match entry["annotations"].as_object() {
            Some(annotations) => annotations["io.containerd.image.name"]
                .as_str()
                .unwrap()
                .to_owned(),
            None => "-".to_owned(),
        };
        entries.into_iter().map(name).collect::<Vec<_>>()
    };
    let (first, latest) = ("docker.io/library/a:1", "docker.io/library/a:latest");
    assert_eq!(tags(&["a"]), [first, latest]);
    assert_eq!(tags(&["a:1", "a", "b:1"]).len(), 3);
    assert_eq!(tags(&["b:1", "a:1"]), ["docker.io/library/b:1", first]);
    let by_digest = format!("a@{digest}");
    for id in [digest, &digest[7..], &digest[7..19], &by_digest] {
        assert_eq!(tags(&[id]), ["-"], "{id}");
        let archive = save(&engine, &[id]).unwrap();
        assert_eq!(
            json_file(&archive, "manifest.json")[0]["RepoTags"],
            json!(null)
        );
        assert_eq!(content(&archive, "repositories"), None);
    }
}

#[test]
fn no_names_give_an_archive_without_images() {
    let archive = save(&engine(), &[]).unwrap();
    assert_eq!(paths(&archive), ["index.json", "oci-layout"]);
    assert_eq!(
        json_file(&archive, "index.json")["manifests"],
        json!([]),
        "not null"
    );
}

#[test]
fn an_index_goes_with_all_that_is_here() {
    let (engine, [index, arm, amd, about]) = multi();
    let archive = save(&engine, &["multi"]).unwrap();
    for target in [&index, &arm, &amd, &about] {
        let path = blob_path(&target.digest);
        assert!(content(&archive, &path).is_some(), "{path}");
    }
    let manifest = json_file(&archive, "manifest.json");
    let top = blob_path(&Memory::layer("amd"));
    assert_eq!(manifest.as_array().unwrap().len(), 1);
    assert_eq!(manifest[0]["Layers"][1], json!(top), "the host's platform");
    // What is not whole goes without its content.
    engine.store.lose(&Memory::layer("arm"));
    let archive = save(&engine, &["multi"]).unwrap();
    assert!(content(&archive, &blob_path(&arm.digest)).is_some());
    assert_eq!(files(&archive).len(), 2 + 1 + 4 + 1 + 3 + 4);
}

#[test]
fn platforms_select_content() {
    let (engine, [index, arm, amd, about]) = multi();
    let archive = save_for(&engine, &["multi:1"], &["linux/arm64"]).unwrap();
    let entry = &json_file(&archive, "index.json")["manifests"][0];
    assert_eq!(entry["digest"], json!(arm.digest));
    assert_eq!(content(&archive, &blob_path(&index.digest)), None);
    assert_eq!(content(&archive, &blob_path(&amd.digest)), None);

    let both = ["linux/amd64", "linux/arm64"];
    let archive = save_for(&engine, &["multi:1"], &both).unwrap();
    let entry = &json_file(&archive, "index.json")["manifests"][0];
    assert_eq!(entry["digest"], json!(index.digest));
    assert!(content(&archive, &blob_path(&amd.digest)).is_some());
    assert!(content(&archive, &blob_path(&arm.digest)).is_some());
    assert_eq!(content(&archive, &blob_path(&about.digest)), None);
}

#[test]
fn foreign_layers_stay_out() {
    let engine = engine();
    let target = engine.store.image(&PLAIN);
    let bytes = engine.store.bytes(&target.digest).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let text = text.replace("application/vnd.oci.image.layer.v1.tar", foreign);
    let json = serde_json::from_str(&text).unwrap();
    let target = engine.store.document(&target.media_type, &json);
    let name = "docker.io/library/w:1";
    engine.store.name("images", name, &target, &[]);
    let archive = save(&engine, &["w:1"]).unwrap();
    let layer = blob_path(&Memory::layer("layer"));
    assert_eq!(content(&archive, &layer), None);
    let row = &json_file(&archive, "manifest.json")[0];
    assert_eq!(row["Layers"], json!([layer]));
}

#[test]
fn what_cannot_be_saved_is_told_before_the_first_byte() {
    let (engine, _) = multi();
    engine.store.named("docker.io/library/a:1", &PLAIN);
    engine.store.named(
        "docker.io/library/lost:1",
        &Recipe {
            layers: &["lost"],
            ..PLAIN
        },
    );
    engine.store.lose(&Memory::layer("lost"));
    engine.store.named(
        "docker.io/library/gone:1",
        &Recipe {
            layers: &["gone"],
            ..PLAIN
        },
    );
    let gone = engine.store.target_of("docker.io/library/gone:1").unwrap();
    engine.store.lose(&gone);
    engine.store.lose(&Memory::layer("arm"));
    let rows: [(&[&str], &[&str], String); 8] = [
        (&["nosuch"], &[], "No such image: nosuch:latest".to_owned()),
        (&["a:1", "a:2"], &[], "No such image: a:2".to_owned()),
        (
            &["lost:1"],
            &[],
            format!(
                "content of image lost:1 is incomplete: {} is missing or damaged, pull it again",
                Memory::layer("lost")
            ),
        ),
        (
            &["gone:1"],
            &[],
            format!(
                "content of image gone:1 is incomplete: {gone} is missing or damaged, pull it again"
            ),
        ),
        (
            &["a:1"],
            &["linux/arm64"],
            "image with reference a:1 was found but does not provide the specified platform (linux/arm64)"
                .to_owned(),
        ),
        (
            &["multi:1"],
            &["linux/amd64", "linux/s390x"],
            "image with reference multi:1 was found but does not provide the specified platform (linux/s390x)"
                .to_owned(),
        ),
        (
            &["multi:1"],
            &["linux/arm64"],
            format!(
                "content of image multi:1 is incomplete: {} is missing or damaged, pull it again",
                Memory::layer("arm")
            ),
        ),
        (
            &["multi:1"],
            &["linux/amd64", "linux/arm64"],
            format!(
                "content of image multi:1 is incomplete: {} is missing or damaged, pull it again",
                Memory::layer("arm")
            ),
        ),
    ];
    for (names, platforms, expected) in rows {
        let error = save_for(&engine, names, platforms).unwrap_err();
        assert_eq!(error, Error::NotFound(expected));
    }
    let error = save(&engine, &["UPPER"]).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)), "{error}");
}

#[test]
fn what_goes_before_it_is_leased_is_told_before_the_first_byte() {
    let engine = engine();
    let target = engine.store.named("docker.io/library/a:1", &PLAIN);
    save(&engine, &["a:1"]).unwrap();
    // It is known to be whole, so that nothing else asks for sizes.
    let lost = target.digest.clone();
    engine
        .store
        .before("stat_all", move |store| store.lose(&lost));
    let error = save(&engine, &["a:1"]).unwrap_err();
    let expected = format!(
        "{} was removed from the store just now, pull its image again",
        target.digest
    );
    assert_eq!(error, Error::NotFound(expected));
    assert_eq!(engine.store.leases(), 0);
}
