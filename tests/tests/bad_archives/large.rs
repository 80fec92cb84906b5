//! Archives that are made while they are sent: a million entries, documents without end, bombs.

use super::tape::{archive, docker, file, gzip, header, index, layout, special};
use super::{House, PIECE, all, pieces};
use anyhow::Result;
use bytes::Bytes;
use std::iter::{once, repeat_n};

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

#[tokio::test(flavor = "multi_thread")]
async fn documents_without_end_are_refused_within_memory() -> Result<()> {
    /// The longest document that is read.
    const MOST: usize = 8 << 20;
    let house = House::new().await?;
    let mut wrong = Vec::new();
    for (name, path, start, part, size, words) in [
        (
            "100 MB",
            "manifest.json",
            "",
            " ",
            100 << 20,
            &["manifest.json has 104857600 bytes"][..],
        ),
        (
            "100 MB",
            "index.json",
            "",
            " ",
            100 << 20,
            &["index.json has 104857600 bytes"],
        ),
        (
            "nested lists",
            "manifest.json",
            "",
            "[",
            MOST,
            &["manifest.json"],
        ),
        (
            "nested objects",
            "manifest.json",
            "[",
            "{\"a\":",
            MOST,
            &["manifest.json"],
        ),
        ("nested lists", "index.json", "", "[", MOST, &["index.json"]),
        (
            "nested objects",
            "index.json",
            "",
            "{\"a\":",
            MOST,
            &["index.json"],
        ),
        (
            "rows of nothing",
            "manifest.json",
            "[{}",
            ",{}",
            MOST,
            &["manifest.json"],
        ),
        (
            "rows without end",
            "manifest.json",
            "[{\"Layers\":[\"a\"",
            ",\"a\"",
            MOST,
            &["manifest.json"],
        ),
        (
            "a text without end",
            "manifest.json",
            "[{\"Config\":\"",
            "a",
            MOST,
            &["manifest.json"],
        ),
        (
            "numbers",
            "index.json",
            "{\"manifests\":[1",
            ",1",
            MOST,
            &["index.json"],
        ),
    ] {
        let bad = document(path, start, part, size);
        let mut entries = vec![bad];
        if path == "index.json" {
            entries.push(layout());
        }
        let judged = async {
            house.load(pieces(archive(&entries))).await?.names(words)?;
            house.is_as_before().await
        };
        let judged = judged.await;
        wrong.extend(
            judged
                .err()
                .map(|error| format!("{path}: {name}: {error:#}")),
        );
    }
    all(wrong)?;
    // Two and a half million images of nothing, in proper JSON.
    let mut rows = vec![b'['];
    while rows.len() < MOST - 4 {
        rows.extend_from_slice(b"{},");
    }
    rows.extend_from_slice(b"{}]");
    let verdict = house
        .load(pieces(archive(&[file("manifest.json", rows)])))
        .await?;
    verdict.names(&["image config \"\" not found"])?;
    house.is_as_before().await?;
    house.is_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_cost_no_memory_and_no_disk_in_the_end() -> Result<()> {
    let house = House::new().await?;
    let member = Bytes::from(gzip(&vec![0; MEMBER]));
    let bomb = move |before: Vec<u8>, after: Vec<u8>| {
        let (before, after) = (gzip(&before), gzip(&after));
        let zeros = repeat_n(member.clone(), MEMBERS);
        once(before.into()).chain(zeros).chain(once(after.into()))
    };
    let size = (MEMBERS * MEMBER) as u64;
    let head = |path: &str| header(path, b'0', "", size).as_bytes().to_vec();

    let verdict = house.load(bomb(Vec::new(), Vec::new())).await?;
    verdict.names(&["unrecognized image format"])?;
    house.is_as_before().await?;

    let verdict = house.load(bomb(head("manifest.json"), Vec::new())).await?;
    verdict.names(&["manifest.json has 536870912 bytes"])?;
    house.is_as_before().await?;

    // Stored, as a layer may be that large, until it turns out that nothing needs it.
    let rest = archive(&docker(b"layer")[1..]);
    let verdict = house.load(bomb(head("big"), rest)).await?;
    verdict.names(&["image config \"config.json\" not found"])?;
    house.is_as_before().await?;

    let rest = archive(&[index(&[]), layout()]);
    let zeros = format!("blobs/sha256/{}", "0".repeat(64));
    let verdict = house.load(bomb(head(&zeros), rest)).await?;
    verdict.names(&["the archive is damaged"])?;
    house.is_as_before().await?;
    house.is_well().await
}
