//! The same for tars of root file systems: `POST /images/create?fromSrc=-` and `PUT /containers/{id}/archive`.
//!
//! Unlike image archives these have devices and links that lead anywhere: what counts is that no name does.

use super::tape::{BLOCK, archive, extension, file, gzip, has_whole_entries, pax, record, special};
use super::{House, PIECE, all, pieces};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use strata_tests::layer::noise;

/// One more than an archive may have.
const ENTRIES: usize = 1_000_001;

/// Name, entries, what the error names; nothing if it is taken.
type Case = (&'static str, Vec<Vec<u8>>, &'static [&'static str]);

/// Where tars are sent.
enum Target {
    /// A new image, named `bad:1`.
    Import,
    /// The root of the container with this ID.
    Container(String),
}

impl Target {
    async fn container(house: &House) -> Result<Self> {
        let body = json!({"Image": house.image, "Cmd": ["true"]}).to_string();
        let headers = [("content-type", "application/json")];
        let path = "/containers/create";
        let created = house.server.http.send(Method::POST, path, &headers, body);
        let created = created.await?.expect_status(&[201])?.json()?;
        let id = created["Id"]
            .as_str()
            .context("a container without an Id")?;
        Ok(Self::Container(id.to_owned()))
    }

    /// Sends a tar. Refused, it changes nothing; taken, it is undone.
    async fn judge(
        &self,
        house: &mut House,
        pieces: impl Iterator<Item = Bytes> + Send + 'static,
        words: &[&str],
    ) -> Result<()> {
        let (method, path) = match self {
            Self::Import => {
                let path = "/images/create?fromSrc=-&repo=bad&tag=1";
                (Method::POST, path.to_owned())
            }
            Self::Container(id) => (Method::PUT, format!("/containers/{id}/archive?path=/")),
        };
        let before = self.changes(house).await?;
        let verdict = house.send(method, &path, pieces).await?;
        if !words.is_empty() {
            verdict.names(words)?;
            let after = self.changes(house).await?;
            ensure!(before == after, "a refused tar changed {after}");
            return house.is_as_before().await;
        }
        verdict.ok()?;
        if let Self::Import = self {
            let gone = house.server.http.delete("/images/bad:1?force=1").await?;
            gone.expect_status(&[200]).context("it has no name")?;
            return house.is_as_before().await;
        }
        // What was taken belongs to the container now.
        house.before = house.look().await?;
        Ok(())
    }

    async fn changes(&self, house: &House) -> Result<Value> {
        match self {
            Self::Import => Ok(Value::Null),
            Self::Container(id) => {
                let path = format!("/containers/{id}/changes");
                house
                    .server
                    .http
                    .get(&path)
                    .await?
                    .expect_status(&[200])?
                    .json()
            }
        }
    }
}

/// A small good root.
fn root() -> Vec<Vec<u8>> {
    vec![
        special("etc/", b'5', ""),
        file("etc/name", "bad"),
        special("etc/link", b'2', "name"),
        file("usr", vec![b'u'; 3000]),
    ]
}

fn cases() -> Vec<Case> {
    let outside = &["leads out of the archive"][..];
    let length = &["a pax record has a wrong length"][..];
    let long = "n".repeat(10_000);
    let with = |odd: Vec<Vec<u8>>| [odd, root()].concat();
    let after = |odd: Vec<Vec<u8>>| [root(), odd].concat();
    vec![
        (
            "a parent",
            with(vec![file("../a", "x")]),
            &["\"../a\" leads out of the archive"],
        ),
        (
            "a parent within",
            with(vec![file("a/../../b", "x")]),
            outside,
        ),
        (
            "an absolute name",
            with(vec![file("/etc/passwd", "x")]),
            outside,
        ),
        (
            "a pax parent",
            with(vec![pax(&[("path", "../x")]), file("x", "x")]),
            outside,
        ),
        (
            "a hard link out",
            with(vec![special("l", b'1', "../x")]),
            &["out of the archive"],
        ),
        (
            "an absolute hard link",
            with(vec![special("l", b'1', "/etc/passwd")]),
            &["out of the archive"],
        ),
        (
            "a sparse file whose map makes no sense",
            with(vec![
                pax(&[("GNU.sparse.map", "0,9"), ("GNU.sparse.numblocks", "1")]),
                file("holes", "x"),
            ]),
            &["invalid tar header"],
        ),
        (
            "a long name",
            with(vec![extension(b'L', &long), file("x", "")]),
            &["name of 10000 bytes"],
        ),
        (
            "an unknown kind",
            after(vec![special("volume", b'V', "")]),
            &["invalid tar header"],
        ),
        (
            "a wrong length",
            with(vec![extension(b'x', "99 a=b\n"), file("x", "")]),
            length,
        ),
        (
            "for all entries",
            with(vec![extension(b'g', record("path", "x"))]),
            &["changes every entry"],
        ),
        (
            "two of them",
            with(vec![
                pax(&[("path", "a")]),
                pax(&[("path", "b")]),
                file("x", ""),
            ]),
            &["two of its kind"],
        ),
        (
            "no header",
            after(vec![vec![b'?'; BLOCK]]),
            &["invalid tar header"],
        ),
        // What a root file system may have, and an image archive may not.
        (
            "links anywhere",
            with(vec![
                special("out", b'2', "../../../etc"),
                special("abs", b'2', "/etc/passwd"),
            ]),
            &[],
        ),
        (
            "a file below a link out",
            with(vec![
                special("up", b'2', "../../../etc"),
                file("up/strata-was-here", "x"),
            ]),
            &[],
        ),
        (
            "devices and a pipe",
            with(vec![
                special("null", b'3', ""),
                special("sda", b'4', ""),
                special("pipe", b'6', ""),
            ]),
            &[],
        ),
        (
            "the same name twice",
            with(vec![file("twice", "1"), file("twice", "2")]),
            &[],
        ),
        (
            "a key twice",
            with(vec![
                pax(&[("path", "../x"), ("path", "fine")]),
                file("x", ""),
            ]),
            &[],
        ),
    ]
}

async fn table(house: &mut House, target: &Target) -> Result<()> {
    let mut wrong = Vec::new();
    let mut check = async |name: String, bytes: Vec<u8>, words: &[&str]| {
        let judged = target.judge(house, pieces(bytes), words).await;
        wrong.extend(judged.err().map(|error| format!("{name}: {error:#}")));
    };
    for (name, entries, words) in cases() {
        // `docker cp` itself names the entries of a root like this; they are put below the directory.
        let is_usual = matches!(target, Target::Container(_)) && name.contains("absolute");
        if is_usual {
            continue;
        }
        let whole = archive(&entries);
        check(format!("{name}, zipped"), gzip(&whole)?, words).await;
        check(name.to_owned(), whole, words).await;
    }
    let whole = archive(&root());
    for length in (BLOCK..whole.len()).step_by(BLOCK) {
        for length in [length, length - 1, length + 1] {
            let (cut, said) = (whole[..length].to_vec(), format!("after {length} bytes"));
            let words = match has_whole_entries(&cut) {
                true => &[][..],
                false => &[said.as_str()],
            };
            check(format!("cut at {length}"), cut, words).await;
        }
    }
    let zipped = gzip(&whole)?;
    for length in (12..zipped.len()).step_by(zipped.len() / 8) {
        let name = format!("zipped, cut at {length}");
        check(name, zipped[..length].to_vec(), &["gzip data is cut short"]).await;
    }
    let garbage = noise(6, 100_000);
    let zipped = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &garbage].concat();
    check(
        "gzip of nonsense".to_owned(),
        zipped,
        &["gzip data does not decompress"],
    )
    .await;
    check("nonsense".to_owned(), garbage, &["tar"]).await;
    all(wrong)?;

    let per_piece = PIECE / BLOCK;
    let starts = (0..ENTRIES).step_by(per_piece);
    let folders = starts.map(move |start| {
        let numbers = start..(start + per_piece).min(ENTRIES);
        let entries = numbers.flat_map(|number| special(&format!("d/{number}/"), b'5', ""));
        entries.collect::<Vec<u8>>().into()
    });
    // The bound is lower where the files must be known all at once.
    target
        .judge(house, folders, &["more than", "entries"])
        .await?;
    let below_a_link = std::path::Path::new("/etc/strata-was-here");
    ensure!(!below_a_link.exists(), "a tar wrote to this machine");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_root_file_systems_are_not_imported() -> Result<()> {
    let mut house = House::new().await?;
    table(&mut house, &Target::Import).await?;
    house.is_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tars_change_nothing_in_a_container() -> Result<()> {
    let mut house = House::new().await?;
    let target = Target::container(&house).await?;
    let with_container = house.look().await?;
    let without = std::mem::replace(&mut house.before, with_container);
    table(&mut house, &target).await?;
    if let Target::Container(id) = target {
        let path = format!("/containers/{id}");
        let gone = house.server.http.delete(&path).await?;
        gone.expect_status(&[204])?;
    }
    house.before = without;
    house.is_as_before().await?;
    house.is_well().await
}
