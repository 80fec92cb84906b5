//! A bit that flips inside a row of the database is seen, and fails nothing but what it is about.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use strata_store::backend::*;
use strata_store::{Change, Digest, Error, Expectation, Name, Options, Store};
use tempfile::TempDir;

use super::{Fixture, open, remove, set, target};

const FILE: &str = ".strata/store.db";
const PAGE: u64 = 4096;
/// What the names point at.
const CONTENT: [&[u8]; 3] = [b"first", b"second", b"third"];

/// Two images and a container.
async fn stored() -> Fixture {
    let f = Fixture::new();
    for bytes in CONTENT {
        f.blob(bytes).await;
    }
    let container = Change::Set {
        namespace: "containers".into(),
        name: "c0ffee".into(),
        target: target(b"third"),
        labels: vec![("image".into(), "of what it is".into())],
        expected: Expectation::Any,
    };
    let changes = vec![
        set("alpha:1", b"first"),
        set("beta:2", b"second"),
        container,
    ];
    f.store.apply(changes, None).await.unwrap();
    f.store.flush().await.unwrap();
    f
}

/// Every name, by name space.
async fn everything(store: &Store) -> Vec<(String, Vec<Name>)> {
    let mut all = Vec::new();
    for space in store.namespaces().await.unwrap() {
        let (_, names) = store.names(&space).await.unwrap();
        all.push((space, names.to_vec()));
    }
    all
}

/// The page a table begins at; a small one has no other.
fn page_of(path: &Path, table: &str) -> u64 {
    let database = Connection::open(path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_master WHERE name = ?";
    let page: i64 = database.query_row(sql, [table], |row| row.get(0)).unwrap();
    page.cast_unsigned()
}

/// Changes a byte of the row of an image, `at` bytes after its name space begins.
fn flip(path: &Path, table: &str, image: &str, at: usize, mask: u8) {
    flip_text(path, table, &format!("images{image}"), at, mask);
}

/// Changes a byte of a table, `at` bytes after a text.
fn flip_text(path: &Path, table: &str, text: &str, at: usize, mask: u8) {
    let start = (page_of(path, table) - 1) * PAGE;
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut page = vec![0; 4096];
    file.read_exact_at(&mut page, start).unwrap();
    let text = text.as_bytes();
    let found = page.windows(text.len()).position(|window| window == text);
    let at = at + found.unwrap_or_else(|| panic!("{table} has no {text:?}"));
    file.write_all_at(&[page[at] ^ mask], start + at as u64)
        .unwrap();
}

/// Bits that may flip: to another letter, to one of the other case, to what is no UTF-8, to no letter.
const MASKS: [u8; 4] = [0x01, 0x20, 0x80, 0x40];

/// Where the columns of a row end, as they are stored one after the other, and whether its name can be read
/// when that is no text.
fn columns() -> Vec<(&'static str, usize, bool)> {
    let row = format!(
        "imagesalpha:1application/vnd.oci.image.manifest.v1+json{}{{}}",
        Digest::sha256(b"first")
    );
    let ends = [
        ("images", false),
        ("alpha:1", false),
        ("application/", true),
        ("+json", true),
        ("sha", true),
        ("sha256:", true),
        ("{}", true),
    ];
    let at = |end: &str| row.find(end).unwrap() + end.len() - 1;
    let mut columns: Vec<_> = ends.map(|(end, is_name)| (end, at(end), is_name)).into();
    columns.push(("digest", row.len() - 3, true));
    columns
}

#[tokio::test]
async fn a_bit_that_flips_in_one_table_changes_nothing() {
    for table in ["names", "mirror"] {
        for (column, at, _) in columns() {
            for mask in MASKS {
                let case = format!("{table} {column} {mask:#x}");
                let f = stored().await;
                let before = everything(&f.store).await;
                let f = f.reopen_broken(FILE, |path| flip(path, table, "alpha:1", at, mask));
                assert_eq!(everything(&f.store).await, before, "{case}");
                f.store.apply(vec![remove("alpha:1")], None).await.unwrap();
                let gone = f.images().await;
                assert_eq!(gone.len(), 1, "{case}");
                let f = f.reopen();
                assert_eq!(f.images().await, gone, "{case}");
                assert!(f.quarantine().is_empty(), "{case}: {:?}", f.quarantine());
            }
        }
    }
}

/// Where both tables are damaged, at most this name is.
#[tokio::test]
async fn a_name_that_nobody_knows_fails_nothing_else_and_keeps_everything() {
    for (column, at, _) in columns() {
        for mask in MASKS {
            let case = format!("{column} {mask:#x}");
            let f = stored().await;
            let before = everything(&f.store).await;
            let f = f.reopen_broken(FILE, |path| {
                flip(path, "names", "alpha:1", at, mask);
                flip(path, "mirror", "alpha:1", at, mask);
            });
            let after = everything(&f.store).await;
            let find = |all: &[(String, Vec<Name>)], space: &str, name: &str| {
                let mut names = all.iter().filter(|(it, _)| it == space);
                names.find_map(|(_, names)| names.iter().find(|it| it.name == name).cloned())
            };
            for (space, name) in [("images", "beta:2"), ("containers", "c0ffee")] {
                assert_eq!(
                    find(&after, space, name),
                    find(&before, space, name),
                    "{case}"
                );
            }
            // It is here, or it keeps all content: by a target that nobody has.
            let alpha = find(&after, "images", "alpha:1");
            let mut is_kept = alpha.is_some();
            for (space, names) in &after {
                for it in names {
                    let found = f.store.stat(&it.target.digest, None).await.unwrap();
                    is_kept |= space == "lost" && found.is_none();
                    is_kept |= it.target.digest == Digest::sha256(b"first");
                }
            }
            assert!(is_kept, "{case}: {after:?}");
            if alpha.is_none() && !f.quarantine().is_empty() {
                let path = f.private("quarantine").join(&f.quarantine()[0]);
                let text = fs::read_to_string(path).unwrap();
                assert!(
                    text.contains("Digest") || text.contains("sha256:"),
                    "{text}"
                );
            }
            // It goes as others do, and stays away.
            if alpha.is_some() {
                f.store.apply(vec![remove("alpha:1")], None).await.unwrap();
                assert_eq!(f.images().await.len(), 1, "{case}");
            }
            f.store
                .apply(vec![set("alpha:1", b"first")], None)
                .await
                .unwrap();
            let again = everything(&f.store).await;
            let f = f.reopen();
            assert_eq!(everything(&f.store).await, again, "{case}");
            assert!(find(&again, "images", "alpha:1").is_some(), "{case}");
        }
    }
}

/// Rows of a store that an older version wrote, which has no mirror.
#[tokio::test]
async fn a_store_without_a_mirror_gets_one() {
    for (column, at, is_name) in columns() {
        let f = stored().await;
        let before = everything(&f.store).await;
        let f = f.reopen_broken(FILE, |path| {
            without_mirror(path);
            flip(path, "names", "alpha:1", at, 0x80);
        });
        let after = everything(&f.store).await;
        let images = f.images().await;
        assert_eq!(
            images.len(),
            if is_name { 2 } else { 1 },
            "{column}: {images:?}"
        );
        assert_eq!(f.quarantine().is_empty(), is_name, "{column}");
        assert_eq!(
            after.iter().find(|(space, _)| space == "containers"),
            before.iter().find(|(space, _)| space == "containers")
        );
        // From now on it has one.
        let f = f.reopen_broken(FILE, |path| flip(path, "names", "beta:2", 8, 0x80));
        assert_eq!(everything(&f.store).await, after, "{column}");
    }
}

fn without_mirror(path: &Path) {
    let database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "DROP TRIGGER mirror_insert; DROP TRIGGER mirror_update; DROP TRIGGER mirror_delete;
             DROP TABLE mirror;",
        )
        .unwrap();
}

#[tokio::test]
async fn an_older_program_that_changes_names_keeps_the_mirror() {
    let f = stored().await.reopen_broken(FILE, |path| {
        let database = Connection::open(path).unwrap();
        database
            .execute_batch(
                "INSERT INTO names SELECT namespace, 'new:1', media_type, digest, size, labels, created,
                     updated FROM names WHERE name = 'beta:2';
                 UPDATE names SET labels = '{\"a\":\"b\"}', updated = 5 WHERE name = 'beta:2';
                 DELETE FROM names WHERE name = 'alpha:1';",
            )
            .unwrap();
    });
    let names = everything(&f.store).await;
    let images = &names[1].1;
    assert_eq!(images.len(), 2);
    assert_eq!(images[0].labels, [("a".to_owned(), "b".to_owned())]);
    let f = f.reopen_broken(FILE, |path| flip(path, "names", "beta:2", 8, 0x01));
    assert_eq!(everything(&f.store).await, names);
}

#[tokio::test]
async fn a_read_only_store_shows_what_was_written() {
    for table in ["names", "mirror"] {
        let f = stored().await;
        let before = everything(&f.store).await;
        let Fixture { store, directory } = f;
        drop(store);
        flip(&directory.path().join(FILE), table, "alpha:1", 8, 0x80);
        let options = Options {
            read_only: true,
            ..Options::default()
        };
        let store = Store::open(directory.path(), options).unwrap();
        assert_eq!(everything(&store).await, before, "{table}");
    }
}

/// A change meets the damage before anybody has read the names.
#[tokio::test]
async fn a_change_is_about_the_name_as_it_was() {
    let digest = "imagesalpha:1application/vnd.oci.image.manifest.v1+jsonsha256:".len();
    for (table, at) in [("names", digest), ("names", 8), ("mirror", 8)] {
        let f = stored().await;
        let first = Expectation::Target(Digest::sha256(b"first"));
        let Fixture { store, directory } = f;
        let other = open(&directory);
        drop(store);
        checkpoint(&other, &directory);
        flip(&directory.path().join(FILE), table, "alpha:1", at, 0x01);
        let change = Change::Remove {
            namespace: "images".into(),
            name: "alpha:1".into(),
            expected: first,
        };
        other.apply(vec![change], None).await.unwrap();
        let f = Fixture {
            store: other,
            directory,
        };
        assert_eq!(f.images().await.len(), 1, "{table} {at}");
    }
}

/// Moves everything into the database's own file, which the store reads next.
fn checkpoint(_: &Store, directory: &TempDir) {
    let database = Connection::open(directory.path().join(FILE)).unwrap();
    database
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
}

/// The log beside the database has checksums that are looked at only when it is opened.
#[tokio::test]
async fn a_bit_that_flips_in_the_log_of_a_running_store_changes_nothing() {
    let f = stored().await;
    let other = open(&f.directory);
    // With another user the log is not emptied.
    let set_again = vec![set("alpha:1", b"first")];
    f.store.apply(set_again, None).await.unwrap();
    let before = everything(&f.store).await;
    let log = f.directory.path().join(".strata/store.db-wal");
    let bytes = fs::read(&log).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 7)
        .filter(|at| bytes[*at..].starts_with(b"alpha:1"))
        .collect();
    assert!(places.len() >= 2, "both tables are in the log");
    for at in places {
        let file = fs::File::options().write(true).open(&log).unwrap();
        file.write_all_at(&[bytes[at] ^ 0x80], at as u64).unwrap();
        // The pages in memory are read again once somebody else has changed something.
        for (store, name) in [(&other, "new:1"), (&f.store, "new:2")] {
            store.apply(vec![set(name, b"second")], None).await.unwrap();
            store.apply(vec![remove(name)], None).await.unwrap();
        }
        for store in [&f.store, &other] {
            assert_eq!(everything(store).await, before, "{at}");
        }
    }
}

#[tokio::test]
async fn a_generation_that_cannot_be_read_is_made_anew() {
    // The rows of `head` are edited as bytes: its number, its texts, and how many rows there are.
    for offset in ["count", "text", "number", "types"] {
        let f = stored().await;
        let before = everything(&f.store).await;
        let generation = f.store.generation().unwrap();
        let f = f.reopen_broken(FILE, |path| {
            let start = (page_of(path, "head") - 1) * PAGE;
            let file = fs::File::options()
                .read(true)
                .write(true)
                .open(path)
                .unwrap();
            let mut page = vec![0; 4096];
            file.read_exact_at(&mut page, start).unwrap();
            let text = page.windows(7).position(|it| it == b"sha256:").unwrap();
            let at = match offset {
                "count" => 4,
                "text" => text + 10,
                // Before the texts are the two numbers, and before them the types of all.
                "number" => text - 1,
                _ => text - 6,
            };
            let mask = if offset == "count" { 0x01 } else { 0x80 };
            file.write_all_at(&[page[at] ^ mask], start + at as u64)
                .unwrap();
        });
        assert_eq!(everything(&f.store).await, before, "{offset}");
        assert!(f.store.generation().unwrap() > 0);
        let next = f.store.apply(vec![remove("beta:2")], None).await.unwrap();
        assert_eq!(f.store.generation().unwrap(), next, "{offset}");
        assert!(offset != "text" || next > generation, "{offset}");
        let gone = f
            .store
            .delete(&[Digest::sha256(b"second")], next)
            .await
            .unwrap();
        assert_eq!(gone.len(), 1, "{offset}");
        let stale = f.store.apply(vec![remove("alpha:1")], Some(0)).await;
        assert!(matches!(stale, Err(Error::Conflict(_))), "{offset}");
    }
}

/// Rows of other tables that cannot be read are nobody's.
#[tokio::test]
async fn other_rows_are_left_out() {
    let first = Digest::sha256(b"first");
    for (table, text) in [
        ("damage", "sha"),
        ("damage", "its 5 bytes"),
        ("sources", "registry/one"),
        ("sources", "sha"),
        ("facts", "sha"),
        ("checks", "sha"),
        ("withdrawn", "beta:2"),
    ] {
        let f = stored().await;
        let facts = f.store.layer_facts(&Digest::sha256(b"third")).await.ok();
        fs::write(f.file(&first), "other").unwrap();
        f.store.verify(&first).await.unwrap();
        let sources = ["registry/one", "registry/two"];
        for source in sources {
            f.store
                .note_source(std::slice::from_ref(&first), source)
                .await
                .unwrap();
        }
        let promised = (Digest::sha256(b"second"), Digest::sha256(b"other"));
        f.store.expect_diff_ids(&[promised]).await.unwrap();
        let Fixture { store, directory } = f;
        drop(store);
        let path = directory.path().join(FILE);
        if table == "withdrawn" {
            let database = Connection::open(&path).unwrap();
            let sql = "INSERT INTO withdrawn VALUES ('beta:2', 'sha256:0')";
            database.execute(sql, []).unwrap();
        }
        flip_text(&path, table, text, 2, 0x80);
        let f = Fixture {
            store: open(&directory),
            directory,
        };
        let case = format!("{table} {text}");
        assert!(f.store.damaged().await.is_ok(), "{case}");
        assert!(f.store.sources(&first).await.unwrap().len() <= 2, "{case}");
        let second = Digest::sha256(b"second");
        let known = f.store.known_layer_facts(&second).await;
        let is_fine = matches!(known, Ok(_) | Err(Error::DigestMismatch { .. }));
        assert!(is_fine, "{case}: {known:?}");
        let again = f.store.layer_facts(&Digest::sha256(b"third")).await.ok();
        assert!(table != "facts" || again == facts, "{case}");
        f.store.flush().await.unwrap();
        f.store.apply(vec![remove("alpha:1")], None).await.unwrap();
        let now = f.store.generation().unwrap();
        let gone = f
            .store
            .delete(std::slice::from_ref(&first), now)
            .await
            .unwrap();
        assert_eq!(gone.len(), 1, "{case}");
        assert_eq!(f.images().await.len(), 1, "{case}");
    }
}

#[tokio::test]
async fn what_is_known_of_a_layer_is_found_out_again_if_it_changed() {
    for mask in [0x01, 0x40, 0x80] {
        let f = stored().await;
        let third = Digest::sha256(b"third");
        let facts = f.store.layer_facts(&third).await.unwrap();
        let Fixture { store, directory } = f;
        drop(store);
        let path = directory.path().join(FILE);
        let row = format!("{third}{}", facts.diff_id);
        flip_text(&path, "facts", &row, row.len() - 1, mask);
        let f = Fixture {
            store: open(&directory),
            directory,
        };
        assert_eq!(f.store.known_layer_facts(&third).await.unwrap(), None);
        assert_eq!(f.store.layer_facts(&third).await.unwrap(), facts);
    }
}

/// The first page of a damaged database is replaced by that of a new one, so it must have all of the schema.
#[tokio::test]
async fn the_schema_is_on_the_first_page() {
    let Fixture { store, directory } = stored().await;
    drop(store);
    let bytes = fs::read(directory.path().join(FILE)).unwrap();
    assert_eq!(bytes[100], 0x0d, "a leaf of a table");
}

/// Whatever bit of the pages of names flips, nothing fails and no name is lost.
#[tokio::test]
async fn every_bit_of_a_page_may_flip() {
    let Fixture { store, directory } = stored().await;
    let before = everything(&store).await;
    drop(store);
    let path: PathBuf = directory.path().join(FILE);
    let pages = [page_of(&path, "names"), page_of(&path, "mirror")];
    let good = fs::read(&path).unwrap();
    let (step, first) = bounds();
    for page in pages {
        let start = usize::try_from((page - 1) * PAGE).unwrap();
        for at in (first..4096).step_by(step) {
            // What is between cells and their pointers is nobody's.
            if good[start + at] == 0 && at > 64 && at % 64 != 0 {
                continue;
            }
            let mut bytes = good.clone();
            bytes[start + at] ^= 1 << (at % 8);
            // Nothing tells that it has been further than that.
            for beside in ["store.db-wal", "store.db-shm", "generation"] {
                let _ = fs::remove_file(path.with_file_name(beside));
            }
            fs::write(&path, &bytes).unwrap();
            let case = format!("page {page} byte {at}");
            let store = Store::open(directory.path(), Options::default())
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            let after = everything(&store).await;
            assert_eq!(after, before, "{case}");
            let removed = store.apply(vec![remove("alpha:1")], None).await;
            assert!(removed.is_ok(), "{case}: {removed:?}");
            assert_eq!(super::images(&store).await.len(), 1, "{case}");
        }
    }
}

/// One byte in some, so that it takes a moment; all of them with `STRATA_EVERY_BIT`.
fn bounds() -> (usize, usize) {
    match std::env::var_os("STRATA_EVERY_BIT") {
        Some(_) => (1, 0),
        None => (7, 0),
    }
}
