//! Archives that are made while they are sent: a million entries, documents without end, bombs.

use super::tape::{archive, docker, file, gzip, header, index, layout, special};
use super::{House, PIECE, all, pieces};
use anyhow::Result;
use bytes::Bytes;
use std::iter::{once, repeat_n};
use strata_tests::layer::sha256;

/// One more than an archive may have.
const ENTRIES: usize = 1_000_001;
/// Zeros of one gzip member of a bomb, and how many members it has: 512 MiB in half a megabyte.
const MEMBER: usize = 16 << 20;
const MEMBERS: usize = 32;

/// So many entries as `entry` makes, in pieces of some hundred.
fn many(
    count: usize,
    entry: impl Fn(usize) -> Vec<u8> + Send + 'static,
) -> impl Iterator<Item = Bytes> + Send + 'static {
    let per_piece = PIECE / 512;
    let starts = (0..count).step_by(per_piece);
    starts.map(move |start| {
        let numbers = start..(start + per_piece).min(count);
        numbers.flat_map(&entry).collect::<Vec<u8>>().into()
    })
}

/// A file of this content over and over, as long as `size`.
fn document(path: &str, start: &str, part: &str, size: usize) -> Vec<u8> {
    let mut content = start.as_bytes().to_vec();
    while content.len() < size {
        content.extend_from_slice(part.as_bytes());
    }
    content.truncate(size);
    file(path, content)
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_without_end_are_refused_in_time() -> Result<()> {
    let house = House::new().await?;
    let folders = many(ENTRIES, |number| special(&format!("d/{number}/"), b'5', ""));
    let verdict = house.load(folders).await?;
    verdict.names(&["the archive has more than 1000000 entries"])?;
    house.is_as_before().await?;
    // Of files and links the names must be kept, so that there may be fewer of them.
    let links = many(ENTRIES, |number| special(&format!("l/{number}"), b'2', "x"));
    let verdict = house.load(links).await?;
    verdict.names(&["the archive has too many files"])?;
    house.is_as_before().await?;
    let files = many(ENTRIES, |number| special(&format!("f/{number}"), b'0', ""));
    let verdict = house.load(files).await?;
    verdict.names(&["the archive has too many files"])?;
    house.is_as_before().await?;
    house.is_well().await
}

/// The longest document that is read.
const MOST: usize = 8 << 20;

/// Proper JSON that is as long as it may be: `start`, `part` over and over, `end`.
fn proper(path: &str, start: &str, part: &str, end: &str) -> Vec<u8> {
    let count = (MOST - start.len() - end.len()) / (part.len() + 1);
    let parts = vec![part; count].join(",");
    file(path, format!("{start}{parts}{end}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_without_end_are_refused_within_memory() -> Result<()> {
    let (manifest, index) = ("manifest.json", "index.json");
    let row = r#"[{"Config":"c","RepoTags":["#;
    let layers = r#"[{"Config":"c","Layers":["#;
    let descriptor = format!(r#"{{"digest":"{}","size":1}}"#, sha256(b""));
    let list = r#"{"schemaVersion":2,"manifests":["#;
    let mut wrong = Vec::new();
    let docker = [
        (
            "100 MB",
            document(manifest, "", " ", 100 << 20),
            "manifest.json has 104857600 bytes",
        ),
        ("nested lists", document(manifest, "", "[", MOST), manifest),
        (
            "nested objects",
            document(manifest, "[", "{\"a\":", MOST),
            manifest,
        ),
        (
            "a text without end",
            document(manifest, "[{\"Config\":\"", "a", MOST),
            manifest,
        ),
        ("rows of nothing", proper(manifest, "[", "{}", "]"), ""),
        (
            "layers without end",
            proper(manifest, layers, "\"a\"", "]}]"),
            "",
        ),
        (
            "names without end",
            proper(manifest, row, "\"a\"", "]}]"),
            "",
        ),
    ];
    let oci = [
        (
            "100 MB",
            document(index, "", " ", 100 << 20),
            "index.json has 104857600 bytes",
        ),
        ("nested lists", document(index, "", "[", MOST), index),
        (
            "nested objects",
            document(index, "", "{\"a\":", MOST),
            index,
        ),
        (
            "numbers",
            document(index, "{\"manifests\":[1", ",1", MOST),
            index,
        ),
        (
            "images without end",
            proper(index, list, &descriptor, "]}"),
            "",
        ),
    ];
    let docker = docker.map(|(name, bad, words)| (name, vec![bad], words));
    let oci = oci.map(|(name, bad, words)| (name, vec![bad, layout()], words));
    for (name, entries, words) in docker.into_iter().chain(oci) {
        let judged = async {
            // One for each: memory that a server has had stays with it.
            let house = House::new().await?;
            house
                .load(pieces(archive(&entries)))
                .await?
                .names(&[words])?;
            house.is_as_before().await?;
            house.is_well().await
        };
        let judged = judged.await;
        wrong.extend(
            judged
                .err()
                .map(|error| format!("{name}: {words}: {error:#}")),
        );
    }
    all(wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_cost_no_memory_and_no_disk_in_the_end() -> Result<()> {
    let house = House::new().await?;
    let member = Bytes::from(gzip(&vec![0; MEMBER])?);
    let bomb = move |before: Vec<u8>, after: Vec<u8>| {
        let (before, after) = (gzip(&before)?, gzip(&after)?);
        let zeros = repeat_n(member.clone(), MEMBERS);
        anyhow::Ok(once(before.into()).chain(zeros).chain(once(after.into())))
    };
    let size = (MEMBERS * MEMBER) as u64;
    let head = |path: &str| header(path, b'0', "", size).as_bytes().to_vec();

    let verdict = house.load(bomb(Vec::new(), Vec::new())?).await?;
    verdict.names(&["unrecognized image format"])?;
    house.is_as_before().await?;

    let verdict = house.load(bomb(head("manifest.json"), Vec::new())?).await?;
    verdict.names(&["manifest.json has 536870912 bytes"])?;
    house.is_as_before().await?;

    // Stored, as a layer may be that large, until it turns out that nothing needs it.
    let rest = archive(&docker(b"layer")[1..]);
    let verdict = house.load(bomb(head("big"), rest)?).await?;
    verdict.names(&["image config \"config.json\" not found"])?;
    house.is_as_before().await?;

    let rest = archive(&[index(&[]), layout()]);
    let zeros = format!("blobs/sha256/{}", "0".repeat(64));
    let verdict = house.load(bomb(head(&zeros), rest)?).await?;
    verdict.names(&["the archive is damaged"])?;
    house.is_as_before().await?;
    house.is_well().await
}
