//! Loading Docker archives, as every version of Docker and other tools write them.

use serde_json::{Value, json};
use strata_oci::{Digest, media_type};

use super::{Made, archive, entry, large, load, refusal, special, titles};
use crate::catalog::fixture::{TestEngine, engine};

/// The entry `manifest.json`.
pub(super) fn manifest_entry(rows: Value) -> Vec<u8> {
    entry("manifest.json", rows.to_string())
}

/// An archive as Docker wrote it before it knew OCI: `<id>/layer.tar`, `<hex>.json`.
pub(super) fn docker_entries(made: &Made, tags: &[&str]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut layers = Vec::new();
    for (number, layer) in made.layers.iter().enumerate() {
        let id = Digest::sha256(&[u8::try_from(number).unwrap(); 3]);
        let id = id.encoded();
        entries.push(special(&format!("{id}/"), b'5', ""));
        entries.push(entry(&format!("{id}/VERSION"), "1.0"));
        entries.push(entry(&format!("{id}/json"), "{}"));
        entries.push(entry(&format!("{id}/layer.tar"), layer));
        layers.push(format!("{id}/layer.tar"));
    }
    let config = format!("{}.json", Digest::sha256(&made.config).encoded());
    entries.push(entry(&config, &made.config));
    let row = json!({"Config": config, "RepoTags": tags, "Layers": layers});
    entries.push(manifest_entry(json!([row])));
    entries.push(entry("repositories", "{}"));
    entries
}

fn image() -> Made {
    Made::new(&[b"small".to_vec(), large(1), large(2)])
}

/// The manifest an image got.
fn manifest(engine: &TestEngine, name: &str) -> Value {
    let digest = engine.store.target_of(name).unwrap();
    serde_json::from_slice(&engine.store.bytes(&digest).unwrap()).unwrap()
}

/// What the manifest of `made` must be.
fn expected(made: &Made) -> Value {
    let layers = made.layers.iter().map(|layer| {
        let digest = Digest::sha256(layer);
        json!({"mediaType": media_type::DOCKER_LAYER, "digest": digest, "size": layer.len()})
    });
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::DOCKER_MANIFEST,
        "config": {
            "mediaType": media_type::DOCKER_CONFIG,
            "digest": Digest::sha256(&made.config),
            "size": made.config.len(),
        },
        "layers": layers.collect::<Vec<_>>(),
    })
}

#[test]
fn entries_may_come_in_any_order() {
    let made = image();
    let mut entries = docker_entries(&made, &["a", "quay.io/b:2"]);
    for _ in 0..entries.len() {
        entries.rotate_left(1);
        let engine = engine();
        let loaded = load(&engine, &archive(&entries)).unwrap();
        assert_eq!(titles(loaded), ["a:latest", "quay.io/b:2"]);
        let found = manifest(&engine, "docker.io/library/a:latest");
        assert_eq!(found, expected(&made));
        // The layers came as they are, and so they stay.
        for layer in &made.layers {
            assert!(engine.store.has(&Digest::sha256(layer)));
        }
    }
}

#[test]
fn layers_may_be_links_and_have_any_name() {
    let made = image();
    let hex = |bytes: &[u8]| Digest::sha256(bytes).encoded().to_owned();
    let [a, b, c] = [0, 1, 2].map(|number| format!("{}.tar", hex(&made.layers[number])));
    // skopeo: files by digest, and links from where Docker had them.
    let id = |number: u8| hex(&[number; 3]);
    let skopeo = [
        entry(&a, &made.layers[0]),
        special(&format!("{}/layer.tar", id(0)), b'2', &format!("../{a}")),
        entry(&b, &made.layers[1]),
        special(&format!("{}/layer.tar", id(1)), b'2', &format!("../{b}")),
        entry(&c, &made.layers[2]),
        entry("config.json", &made.config),
    ];
    // Old Docker: equal layers once, links before and after them.
    let linked = [
        special("1/layer.tar", b'2', "../2/layer.tar"),
        entry("2/layer.tar", &made.layers[0]),
        entry("3/layer.tar", &made.layers[1]),
        special("4/layer.tar", b'1', "5/layer.tar"),
        special("5/layer.tar", b'2', "../6/layer.tar"),
        entry("6/layer.tar", &made.layers[2]),
        entry("config.json", &made.config),
    ];
    // Other builders: by digest, in the place of content, but no layout.
    let blobs: Vec<_> = made.blobs().split_off(1);
    let path = |bytes: &[u8]| format!("blobs/sha256/{}", hex(bytes));
    let config = "config.json".to_owned();
    let rows: [(Vec<Vec<u8>>, String, [String; 3]); 4] = [
        (skopeo.to_vec(), config.clone(), [a, b, c.clone()]),
        (
            skopeo.to_vec(),
            config.clone(),
            [
                format!("{}/layer.tar", id(0)),
                format!("./{}/layer.tar", id(1)),
                c,
            ],
        ),
        (
            linked.to_vec(),
            config,
            ["1/layer.tar", "3/layer.tar", "4/layer.tar"].map(str::to_owned),
        ),
        (
            blobs,
            path(&made.config),
            [0, 1, 2].map(|number| path(&made.layers[number])),
        ),
    ];
    for (mut entries, config, layers) in rows {
        let row = json!({"Config": config, "RepoTags": ["a:1"], "Layers": layers});
        for _ in 0..2 {
            entries.rotate_left(3);
            for first in [false, true] {
                let mut entries = entries.clone();
                let at = if first { 0 } else { entries.len() };
                entries.insert(at, manifest_entry(json!([row])));
                let engine = engine();
                load(&engine, &archive(&entries)).unwrap();
                let found = manifest(&engine, "docker.io/library/a:1");
                assert_eq!(found, expected(&made), "{config}");
            }
        }
    }
}

/// An image whose one layer starts like this, and unpacks to another.
fn compressed(magic: &[u8], size: usize) -> Made {
    let mut layer = magic.to_vec();
    layer.resize(size, 1);
    Made {
        config: Made::new(&[b"plain".to_vec()]).config,
        layers: vec![layer],
    }
}

#[test]
fn compressed_layers_stay_compressed() {
    for (magic, media_type) in [
        (&b"\x1f\x8b\x08"[..], media_type::DOCKER_LAYER_GZIP),
        (b"\x28\xb5\x2f\xfd", media_type::DOCKER_LAYER_ZSTD),
    ] {
        for size in [10, 300 << 10] {
            let made = compressed(magic, size);
            let engine = engine();
            load(&engine, &archive(&docker_entries(&made, &["a:1"]))).unwrap();
            let found = manifest(&engine, "docker.io/library/a:1");
            assert_eq!(found["layers"][0]["mediaType"], json!(media_type));
        }
    }
}

#[test]
fn diff_ids_are_checked_at_once_or_later_and_only_once() {
    let bytes = archive(&docker_entries(&compressed(b"\x1f\x8b\x08", 10), &["a:1"]));
    let later = engine();
    load(&later, &bytes).unwrap();
    assert_eq!(later.store.count("expect_diff_ids"), 1);
    load(&later, &bytes).unwrap();
    assert_eq!(later.store.count("expect_diff_ids"), 0);

    // The store in memory takes every layer for plain, so this one is not what it should be.
    let mut first = engine();
    first.settings.verify_diff_ids_first = true;
    let found = refusal(&first, &bytes);
    assert!(found.contains("its config says"), "{found}");

    let plain = engine();
    load(&plain, &archive(&docker_entries(&image(), &["a:1"]))).unwrap();
    assert_eq!(plain.store.count("expect_diff_ids"), 0, "known by digest");
}

#[test]
fn rows_without_tags_have_no_name_and_several_rows_are_several_images() {
    let (one, two) = (Made::new(&[b"one".to_vec()]), Made::new(&[b"two".to_vec()]));
    let mut entries = Vec::new();
    let mut rows = Vec::new();
    for (made, tags) in [(&one, json!(null)), (&two, json!(["b:1", "b:2", "b:1"]))] {
        let config = format!("{}.json", Digest::sha256(&made.config).encoded());
        let layer = format!("{}.tar", Digest::sha256(&made.layers[0]).encoded());
        entries.push(entry(&config, &made.config));
        entries.push(entry(&layer, &made.layers[0]));
        rows.push(json!({"Config": config, "RepoTags": tags, "Layers": [layer]}));
    }
    entries.push(manifest_entry(json!(rows)));
    let engine = engine();
    let loaded = load(&engine, &archive(&entries)).unwrap();
    assert_eq!(loaded[0].name, None);
    let titles = titles(loaded);
    assert_eq!(titles[1..], ["b:1", "b:2", "b:1"]);
    let names = engine.store.names_of("images");
    let dangling = format!("moby-dangling@{}", titles[0]);
    let expected = ["docker.io/library/b:1", "docker.io/library/b:2", &dangling];
    assert_eq!(names, expected);
}

#[test]
fn the_second_load_writes_no_layer_it_can_know() {
    let made = image();
    let docker = docker_entries(&made, &["a:1"]);
    // By name, as skopeo has it; by config, when that comes first.
    let by_config: Vec<_> = docker[docker.len() - 3..]
        .iter()
        .chain(&docker[..docker.len() - 3])
        .cloned()
        .collect();
    let named = made.layers.iter().map(|layer| {
        let path = format!("{}.tar", Digest::sha256(layer).encoded());
        (path.clone(), entry(&path, layer))
    });
    let (paths, mut by_name): (Vec<_>, Vec<_>) = named.unzip();
    by_name.push(entry("config.json", &made.config));
    let row = json!({"Config": "config.json", "RepoTags": ["a:1"], "Layers": paths});
    by_name.push(manifest_entry(json!([row])));
    for entries in [by_config, by_name] {
        let engine = engine();
        load(&engine, &archive(&entries)).unwrap();
        assert_eq!(engine.store.count("stage"), 2);
        load(&engine, &archive(&entries)).unwrap();
        // Compared with what they should be.
        let calls = engine.store.calls();
        let count = |call: &str| calls.iter().filter(|it| **it == call).count();
        assert_eq!((count("stage_like"), count("apply")), (2, 0));
        let found = manifest(&engine, "docker.io/library/a:1");
        assert_eq!(found, expected(&made));
    }
}

#[test]
fn a_layer_whose_name_says_nothing_is_compared_with_what_is_here() {
    let made = image();
    // As Docker wrote them before 25: the manifest, and so every digest, comes last.
    let layers = made.layers.iter().enumerate();
    let named = layers.map(|(number, layer)| {
        let path = format!("{number}/layer.tar");
        (path.clone(), entry(&path, layer))
    });
    let (paths, mut entries): (Vec<_>, Vec<_>) = named.unzip();
    entries.push(entry("config.json", &made.config));
    let row = json!({"Config": "config.json", "RepoTags": ["a:1"], "Layers": paths});
    entries.push(manifest_entry(json!([row])));
    let engine = engine();
    load(&engine, &archive(&entries)).unwrap();
    assert!(!engine.store.calls().contains(&"stage_like"));
    load(&engine, &archive(&entries)).unwrap();
    let compared = engine.store.calls();
    let compared = compared.iter().filter(|call| **call == "stage_like");
    assert_eq!(compared.count(), 2);
}

#[test]
fn what_is_missing_or_lies_is_refused() {
    let made = image();
    let entries = docker_entries(&made, &["a:1"]);
    let config = format!("{}.json", Digest::sha256(&made.config).encoded());
    let layer = format!("{}/layer.tar", Digest::sha256(&[1; 3]).encoded());
    let without = |path: &str| {
        let kept = entries.iter().filter(|it| !it.starts_with(path.as_bytes()));
        kept.cloned().collect::<Vec<_>>()
    };
    let with_row = |row: Value| {
        let mut entries = without("manifest.json");
        entries.push(manifest_entry(json!([row])));
        entries
    };
    let row = |tag: &str, layers: &[&str]| {
        let tags = [tag];
        json!({"Config": config, "RepoTags": tags, "Layers": layers})
    };
    let swapped = {
        let mut made = image();
        made.layers.swap(1, 2);
        docker_entries(&made, &["a:1"])
    };
    let [second, third] = [1, 2].map(|number: usize| Digest::sha256(&made.layers[number]));
    let ring = [
        special("x/layer.tar", b'2', "../y/layer.tar"),
        special("y/layer.tar", b'2', "../x/layer.tar"),
    ];
    let mut ringed = with_row(row("a:1", &["x/layer.tar", "x/layer.tar", "x/layer.tar"]));
    ringed.splice(0..0, ring);
    let bzip2 = Made {
        config: Made::new(&[b"plain".to_vec()]).config,
        layers: vec![b"BZh91AY&SY".to_vec()],
    };
    let digest = format!("a@{second}");
    let long = "n".repeat(10_000);
    let rows: Vec<(Vec<Vec<u8>>, String)> = vec![
        (
            without("manifest.json"),
            "unrecognized image format".to_owned(),
        ),
        (
            without(&config),
            format!("image config \"{config}\" not found"),
        ),
        (without(&layer), format!("layer \"{layer}\" not found")),
        (ringed, "layer \"x/layer.tar\" not found".to_owned()),
        (
            with_row(row("a:1", &[&layer])),
            "invalid manifest, layers length mismatch: expected 1, got 3".to_owned(),
        ),
        (
            swapped,
            format!("the archive is damaged: layer \"{layer}\" should be {second} but is {third}"),
        ),
        (
            with_row(row("UPPER", &[])),
            "normalize image ref \"UPPER\": invalid reference format: repository name (library/UPPER) must be lowercase"
                .to_owned(),
        ),
        (
            with_row(row(&digest, &[])),
            format!("invalid tag \"{digest}\""),
        ),
        (
            with_row(row(&long, &[])),
            format!(
                "normalize image ref \"{}\"…: repository name must not be more than 255 characters",
                &long[..200]
            ),
        ),
        (
            with_row(json!({"Config": "../config", "Layers": []})),
            "archive entry \"../config\" leads out of the archive".to_owned(),
        ),
        (
            with_row(json!({"Config": config, "Layers": ["/etc/passwd", "", ""]})),
            "archive entry \"/etc/passwd\" leads out of the archive".to_owned(),
        ),
        (
            docker_entries(&bzip2, &["a:1"]),
            format!(
                "layer \"{}/layer.tar\" is compressed in a way no image layer may be (Bzip2), compress it with gzip",
                Digest::sha256(&[0; 3]).encoded()
            ),
        ),
        (
            {
                let mut entries = without("manifest.json");
                entries.push(entry("manifest.json", "{}"));
                entries
            },
            "untar manifest \"manifest.json\": invalid type: map, expected a sequence"
                .to_owned(),
        ),
    ];
    for (entries, expected) in rows {
        let engine = engine();
        assert_eq!(refusal(&engine, &archive(&entries)), expected);
        assert_eq!(engine.store.leases(), 0);
    }
}
