//! Content that is missing, damaged or cut off, for `POST /images/load`.

use super::load::{Case, judge, layer, one};
use super::tape::{
    BLOCK, archive, blob, blob_path, docker, file, gzip, has_whole_entries, index, layout, named,
    oci, sized, special,
};
use super::{House, all};
use anyhow::Result;
use serde_json::{Value, json};
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::{Layer, noise, sha256};

/// Larger than what is stored in one call, so that it goes the way of large content.
const LARGE: usize = 300 << 10;

/// A layout whose image has a large layer, as its parts.
fn large() -> Result<Image> {
    Ok(Image::builder(Schema::Oci)
        .layer(Layer::noise(3, LARGE)?, "COPY noise /")
        .build())
}

/// A layout around one document in place of the manifest.
fn around(document: &Value) -> Vec<Vec<u8>> {
    let text = document.to_string();
    let descriptor = json!({
        "mediaType": Schema::Oci.manifest(), "digest": sha256(text.as_bytes()), "size": text.len(),
        "annotations": {"io.containerd.image.name": "docker.io/library/bad:1"},
    });
    let path = blob_path(&sha256(text.as_bytes()));
    vec![file(&path, text), index(&[descriptor]), layout()]
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_missing_or_not_what_it_says_is_named() -> Result<()> {
    let image = small("layout")?;
    let big = large()?;
    let without = |image: &Image, digest: &str| {
        let parts = image.contents().filter(|part| part.digest != digest);
        let mut entries: Vec<Vec<u8>> = parts.map(blob).collect();
        entries.push(index(&[named(image, "docker.io/library/bad:1")]));
        entries.push(layout());
        entries
    };
    let torn = |image: &Image| {
        let digest = &image.layers[0].digest;
        let mut bytes = image.layers[0].bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let mut entries = without(image, digest);
        entries.insert(0, file(&blob_path(digest), bytes));
        entries
    };
    let resized = |part: &str| {
        let mut manifest: Value = serde_json::from_slice(&image.root.bytes).unwrap();
        let size = manifest.pointer_mut(part).unwrap();
        *size = json!(size.as_u64().unwrap() + 1);
        let parts = image.layers.iter().chain(&image.configs).map(blob);
        [parts.collect(), around(&manifest)].concat()
    };
    let mut descriptor = named(&image, "docker.io/library/bad:1");
    descriptor["size"] = json!(7);
    let mut wrong_size = oci(&image);
    wrong_size.splice(3..4, [index(&[descriptor])]);
    let config = &image.configs[0];
    let oversized = sized(
        &blob_path(&config.digest),
        b'0',
        config.bytes.len() as u64 + 1,
        &config.bytes,
    );
    let undersized = sized(
        &blob_path(&config.digest),
        b'0',
        config.bytes.len() as u64 - 1,
        &config.bytes,
    );
    let beyond = sized("huge", b'0', 1 << 40, b"little");
    let damaged = &["the archive is damaged"][..];
    let incomplete = &["bad:1 is incomplete in the archive", "is missing"][..];
    let sizes = &["failed size validation"][..];
    let twice = [vec![blob(config)], oci(&image)].concat();
    let cases: Vec<Case> = vec![
        (
            "no layer",
            without(&image, &image.layers[0].digest),
            incomplete,
        ),
        ("no config", without(&image, &config.digest), incomplete),
        (
            "no manifest",
            without(&image, &image.root.digest),
            &["bad:1 is not in the archive", "is missing"],
        ),
        (
            "no index",
            [&oci(&image)[..3], &[layout()]].concat(),
            &["missing index.json"],
        ),
        (
            "neither index nor layout",
            oci(&image)[..3].to_vec(),
            &["unrecognized image format"],
        ),
        ("a small layer torn", torn(&image), damaged),
        ("a large layer torn", torn(&big), damaged),
        ("the same blob twice", twice, &[]),
        ("a layer of another size", resized("/layers/0/size"), sizes),
        ("a config of another size", resized("/config/size"), sizes),
        ("a manifest of another size", wrong_size, sizes),
        (
            "a blob longer than its bytes",
            [vec![oversized], without(&image, &config.digest)].concat(),
            damaged,
        ),
        (
            "a blob shorter than its bytes",
            [vec![undersized], without(&image, &config.digest)].concat(),
            damaged,
        ),
        (
            "a file of a TiB that is not there",
            [vec![beyond], oci(&image)].concat(),
            &["cut off"],
        ),
        (
            "a manifest that is none",
            around(&json!({"schemaVersion": 2})),
            &["unsupported media type", "neither a manifest nor an index"],
        ),
        (
            "a manifest that is a list",
            around(&json!([1, 2])),
            &["manifest"],
        ),
        (
            "a name with line breaks",
            {
                let mut entries = oci(&image);
                entries[3] = index(&[named(&image, "a\nb")]);
                entries
            },
            &["control characters"],
        ),
    ];
    let house = House::new().await?;
    judge(&house, cases).await?;
    house.is_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_archives_are_held_to_their_manifest() -> Result<()> {
    let layer = layer()?;
    let good = docker(&layer.bytes);
    let rows = |rows: Value| {
        let entry = file("manifest.json", rows.to_string());
        vec![good[0].clone(), good[1].clone(), entry]
    };
    let row = |config: &str, tag: &str, layers: &[&str]| {
        rows(json!([{"Config": config, "RepoTags": [tag], "Layers": layers}]))
    };
    let ring = special("ring", b'2', "ring");
    let other = file("one/layer.tar", "another");
    let many = vec!["one/layer.tar"; 20_000];
    let cases: Vec<Case> = vec![
        (
            "no manifest",
            good[..2].to_vec(),
            &["unrecognized image format"],
        ),
        (
            "no config",
            good[1..].to_vec(),
            &["image config \"config.json\" not found"],
        ),
        (
            "no layer",
            vec![good[0].clone(), good[2].clone()],
            &["layer \"one/layer.tar\" not found"],
        ),
        (
            "a layer of other content",
            vec![good[0].clone(), other.clone(), good[2].clone()],
            &["the archive is damaged: layer \"one/layer.tar\" should be"],
        ),
        (
            "the same layer twice",
            [vec![good[1].clone()], good.clone()].concat(),
            &[],
        ),
        (
            "two layers of one name",
            [vec![other], good.clone()].concat(),
            &["two different entries \"one/layer.tar\""],
        ),
        (
            "a config out of the archive",
            row("../config.json", "bad:1", &["one/layer.tar"]),
            &["../config.json"],
        ),
        (
            "a layer out of the archive",
            row("config.json", "bad:1", &["/etc/passwd"]),
            &["/etc/passwd"],
        ),
        (
            "a config that is a layer",
            row("one/layer.tar", "bad:1", &["one/layer.tar"]),
            &["config"],
        ),
        (
            "a ring of links",
            [vec![ring], row("ring", "bad:1", &["one/layer.tar"])].concat(),
            &["image config \"ring\" not found"],
        ),
        (
            "too few layers",
            row("config.json", "bad:1", &[]),
            &["layers length mismatch: expected 0, got 1"],
        ),
        (
            "too many layers",
            row("config.json", "bad:1", &many),
            &["manifest.json has 20000 layers"],
        ),
        (
            "a name that is none",
            row("config.json", "BAD NAME", &["one/layer.tar"]),
            &["normalize image ref \"BAD NAME\""],
        ),
        (
            "a name with a digest",
            row(
                "config.json",
                &format!("bad@{}", sha256(b"")),
                &["one/layer.tar"],
            ),
            &["invalid tag"],
        ),
        ("rows that are none", rows(json!([1])), &["manifest.json"]),
        (
            "no JSON",
            [good[..2].to_vec(), vec![file("manifest.json", "{")]].concat(),
            &["manifest.json"],
        ),
    ];
    let house = House::new().await?;
    judge(&house, cases).await?;
    house.is_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_anywhere_or_no_archive_leaves_nothing() -> Result<()> {
    let house = House::new().await?;
    let mut wrong = Vec::new();
    let mut check = async |name: String, bytes: Vec<u8>, words: &[&str]| {
        let judged = one(&house, bytes, words).await;
        wrong.extend(judged.err().map(|error| format!("{name}: {error:#}")));
    };
    for (form, entries) in [
        ("layout", oci(&small("cut")?)),
        ("docker", docker(&layer()?.bytes)),
    ] {
        let whole = archive(&entries);
        let content = whole.len() - 2 * BLOCK;
        for block in 0..whole.len() / BLOCK {
            for more in [0, 1, 511] {
                let length = block * BLOCK + more;
                let name = format!("{form} cut at {length} of {}", whole.len());
                let said = format!("unexpected end of archive after {length} bytes");
                let cut = whole[..length].to_vec();
                let words = match has_whole_entries(&cut) {
                    _ if length == 0 => &["unrecognized image format"][..],
                    // All is there but the end, and what pads the last file.
                    true if length + BLOCK > content => &[],
                    // Whatever is found missing first.
                    true => &[""],
                    false => &[said.as_str()],
                };
                check(name, cut, words).await;
            }
        }
        let zipped = gzip(&whole)?;
        for length in (12..zipped.len()).step_by(zipped.len() / 16) {
            let name = format!("{form}, zipped, cut at {length} of {}", zipped.len());
            check(name, zipped[..length].to_vec(), &["gzip data is cut short"]).await;
        }
        let mut torn = zipped.clone();
        let crc = torn.len() - 6;
        torn[crc] ^= 1;
        check(
            format!("{form}, zipped, torn"),
            torn,
            &["gzip data does not decompress"],
        )
        .await;
        check(format!("{form}, zipped, whole"), zipped, &[]).await;
    }
    let garbage = noise(5, 100_000);
    for (name, magic) in [
        ("gzip", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..]),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("bzip2", b"BZh91AY&SY"),
        ("xz", &[0xfd, b'7', b'z', b'X', b'Z', 0]),
    ] {
        let said = match name {
            // Random bytes ask for more memory than there is.
            "zstd" => "the zstd data asks for a window of".to_owned(),
            _ => format!("{name} data does not decompress"),
        };
        check(
            format!("{name} of nonsense"),
            [magic, &garbage].concat(),
            &[&said],
        )
        .await;
    }
    check(
        "nonsense".to_owned(),
        garbage,
        &["invalid tar header at byte 0", "no tar archive"],
    )
    .await;
    all(wrong)?;
    house.is_well().await
}
