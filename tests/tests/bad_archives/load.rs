//! Odd entries and headers, for `POST /images/load`.

use super::tape::{BLOCK, archive, docker, extension, file, header, oci, pax, record, special};
use super::{House, all, pieces};
use anyhow::{Context, Result};
use strata_tests::image::small;
use strata_tests::layer::{Compression, Layer};

/// Name, entries, what the error names; nothing if it loads.
pub(crate) type Case = (&'static str, Vec<Vec<u8>>, &'static [&'static str]);

/// The cases one after the other, each from and to the same state.
pub(crate) async fn judge(house: &House, cases: Vec<Case>) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, entries, words) in cases {
        let judged = one(house, archive(&entries), words).await;
        wrong.extend(judged.err().map(|error| format!("{name}: {error:#}")));
    }
    all(wrong)
}

/// Loads an archive, or is refused in these words; then all is as it was.
pub(crate) async fn one(house: &House, bytes: Vec<u8>, words: &[&str]) -> Result<()> {
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

/// A small plain layer.
pub(crate) fn layer() -> Result<Layer> {
    Layer::from_text("etc/name", "bad", Compression::Plain)
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
            vec![
                pax(&[("GNU.sparse.map", "0,1"), ("GNU.sparse.numblocks", "1")]),
                file("holes", "x"),
            ],
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
