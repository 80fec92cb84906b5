//! Small archives for `POST /images/load`.

use super::tape::{
    BLOCK, archive, blob, blob_path, docker, extension, file, gzip, header, index, layout, named,
    oci, pax, record, sized, special,
};
use super::{House, all, pieces};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::{Layer, noise, sha256};

/// Larger than what is stored in one call, so that it goes the way of large content.
const LARGE: usize = 300 << 10;

/// Name, entries, what the error names; nothing if it loads.
type Case = (&'static str, Vec<Vec<u8>>, &'static [&'static str]);

/// The cases one after the other, each from and to the same state.
async fn judge(house: &House, cases: Vec<Case>) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, entries, words) in cases {
        let judged = one(house, archive(&entries), words).await;
        wrong.extend(judged.err().map(|error| format!("{name}: {error:#}")));
    }
    all(wrong)
}

async fn one(house: &House, bytes: Vec<u8>, words: &[&str]) -> Result<()> {
    let verdict = house.load(pieces(bytes)).await?;
    if words.is_empty() {
        verdict.ok()?;
        let gone = house.server.http.delete("/images/bad:1?force=1").await?;
        gone.expect_status(&[200]).context("it has no name")?;
    } else {
        verdict.names(words)?;
    }
    house.is_as_before().await
}

fn layer() -> Result<Layer> {
    Layer::from_text("etc/name", "bad", strata_tests::layer::Compression::Plain)
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_entries_are_refused_in_either_format() -> Result<()> {
    let outside = &["leads out of the archive"][..];
    let links = &["links to", "out of the archive"][..];
    let device = &["is a device or pipe"][..];
    let long = "n".repeat(10_000);
    let odd: Vec<Case> = vec![
        (
            "a parent",
            vec![file("../a", "x")],
            &["\"../a\" leads out of the archive"],
        ),
        ("a parent within", vec![file("a/../../b", "x")], outside),
        (
            "a parent in blobs",
            vec![file("blobs/sha256/../../x", "x")],
            outside,
        ),
        (
            "an absolute name",
            vec![file("/etc/passwd", "x")],
            &["\"/etc/passwd\" leads out of"],
        ),
        (
            "a long parent",
            vec![extension(b'L', "../".repeat(50)), file("x", "x")],
            outside,
        ),
        (
            "a pax parent",
            vec![pax(&[("path", "../x")]), file("x", "x")],
            &["\"../x\" leads out"],
        ),
        (
            "a link out",
            vec![special("a/link", b'2', "../../etc/passwd")],
            links,
        ),
        (
            "an absolute link",
            vec![special("link", b'2', "/etc/passwd")],
            links,
        ),
        (
            "a pax link out",
            vec![pax(&[("linkpath", "../../x")]), special("a", b'2', "b")],
            links,
        ),
        (
            "a hard link out",
            vec![special("link", b'1', "../x")],
            outside,
        ),
        (
            "an absolute hard link",
            vec![special("link", b'1', "/etc/passwd")],
            outside,
        ),
        (
            "a character device",
            vec![special("null", b'3', "")],
            device,
        ),
        ("a block device", vec![special("sda", b'4', "")], device),
        ("a pipe", vec![special("pipe", b'6', "")], device),
        (
            "a GNU sparse file",
            vec![special("sparse", b'S', "")],
            &["\"sparse\" is a sparse file"],
        ),
        (
            "a pax sparse file",
            vec![pax(&[("GNU.sparse.major", "1")]), file("holes", "x")],
            &["\"holes\" is a sparse file"],
        ),
        (
            "a long name",
            vec![extension(b'L', &long), file("x", "")],
            &["name of 10000 bytes"],
        ),
        (
            "a long pax name",
            vec![pax(&[("path", &long)]), file("x", "")],
            &["name of 10000 bytes"],
        ),
        (
            "a long target",
            vec![extension(b'K', &long), special("x", b'2', "")],
            &["10000 bytes"],
        ),
        (
            "two documents",
            vec![file("index.json", "1"), file("./index.json", "2")],
            &["two different entries \"index.json\""],
        ),
        (
            "a wrong checksum",
            vec![{
                let mut bytes = file("x", "x");
                bytes[0] = b'y';
                bytes
            }],
            &["invalid tar header at byte 0"],
        ),
        (
            "text for a header",
            vec![vec![b'?'; BLOCK]],
            &["invalid tar header at byte 0"],
        ),
        (
            "a lone block of zeros",
            vec![vec![0; BLOCK]],
            &["invalid tar header at byte 512"],
        ),
    ];
    let house = House::new().await?;
    for base in [oci(&small("base")?), docker(&layer()?.bytes)] {
        let cases = odd.iter().cloned().map(|(name, mut entries, words)| {
            entries.extend(base.clone());
            (name, entries, words)
        });
        judge(&house, cases.collect()).await?;
    }
    house.is_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pax_headers_are_read_strictly() -> Result<()> {
    let broken = &["invalid tar extension header"][..];
    let length = &["a pax record has a wrong length"][..];
    let size = &["a pax size is no size"][..];
    let mut huge = header("x", b'x', "", 2 << 20).as_bytes().to_vec();
    huge.resize(huge.len() + (2 << 20), b'1');
    let negative = {
        let mut header = header("x", b'0', "", 0);
        header.as_old_mut().size = [0xff; 12];
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let odd: Vec<Case> = vec![
        (
            "a length of nothing",
            vec![extension(b'x', "0 a=b\n"), file("x", "")],
            length,
        ),
        (
            "a length too short",
            vec![extension(b'x', "5 a=bc\n"), file("x", "")],
            length,
        ),
        (
            "a length too long",
            vec![extension(b'x', "99 a=b\n"), file("x", "")],
            length,
        ),
        (
            "a length beyond numbers",
            vec![
                extension(b'x', format!("{} a=b\n", "9".repeat(40))),
                file("x", ""),
            ],
            length,
        ),
        (
            "a negative length",
            vec![extension(b'x', "-6 a=b\n"), file("x", "")],
            length,
        ),
        (
            "no length",
            vec![extension(b'x', "a=b\n"), file("x", "")],
            length,
        ),
        (
            "no equals sign",
            vec![extension(b'x', "6 abc\n"), file("x", "")],
            length,
        ),
        (
            "no line feed",
            vec![extension(b'x', "5 a=b"), file("x", "")],
            length,
        ),
        (
            "nothing in it",
            vec![extension(b'x', ""), file("x", "")],
            broken,
        ),
        (
            "two of them",
            vec![pax(&[("path", "a")]), pax(&[("path", "b")]), file("x", "")],
            &["an entry has two of its kind"],
        ),
        (
            "two long names",
            vec![extension(b'L', "a"), extension(b'L', "b"), file("x", "")],
            &["an entry has two of its kind"],
        ),
        (
            "for all entries",
            vec![extension(b'g', record("path", "x"))],
            &["changes every entry"],
        ),
        (
            "a name that ends early",
            vec![pax(&[("path", "a\0b")]), file("x", "")],
            &["zero byte"],
        ),
        (
            "a size that is none",
            vec![pax(&[("size", "many")]), file("x", "")],
            size,
        ),
        (
            "a negative size",
            vec![pax(&[("size", "-1")]), file("x", "")],
            size,
        ),
        (
            "a size beyond numbers",
            vec![pax(&[("size", &"9".repeat(30))]), file("x", "")],
            size,
        ),
        ("2 MiB", vec![huge], &["extension header has 2097152 bytes"]),
        (
            "a size of nonsense",
            vec![negative],
            &["invalid tar header"],
        ),
    ];
    let house = House::new().await?;
    let base = oci(&small("base")?);
    let mut cases: Vec<Case> = odd
        .into_iter()
        .map(|(name, entries, words)| (name, [entries, base.clone()].concat(), words))
        .collect();
    let last = vec![base.concat(), pax(&[("path", "x")])];
    cases.push(("no entry after it", last, &["no entry follows it"]));
    // Of a key given twice the last counts, as everywhere.
    let twice = pax(&[("path", "../../etc"), ("path", "fine")]);
    let fine = [vec![twice, file("x", "")], base.clone()].concat();
    cases.push(("a key twice", fine, &[]));
    let fine = [vec![extension(b'g', record("comment", "x"))], base].concat();
    cases.push(("a comment for all", fine, &[]));
    judge(&house, cases).await?;
    house.is_well().await
}

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
            &["unsupported media type"],
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
        for block in 0..whole.len() / BLOCK {
            for more in [0, 1, 511] {
                let length = block * BLOCK + more;
                let name = format!("{form} cut at {length} of {}", whole.len());
                let said = format!("unexpected end of archive after {length} bytes");
                let said = if length == 0 {
                    "unrecognized image format"
                } else {
                    &said
                };
                check(name, whole[..length].to_vec(), &[said]).await;
            }
        }
        let zipped = gzip(&whole);
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
        let said = format!("{name} data does not decompress");
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
        &["invalid tar header at byte 0"],
    )
    .await;
    all(wrong)?;
    house.is_well().await
}
