//! Whatever is in the place of a blob, or of another file of the store: it harms that blob alone, and
//! makes nobody wait.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{CWD, Mode};
use strata_store::backend::*;
use strata_store::{Digest, Error, Verdict};

use super::{Fixture, opened, set};

const GOOD: &[u8] = b"good";

/// What is not a file that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Directory,
    EmptyDirectory,
    Pipe,
    Socket,
    LinkToItself,
    LinkToNothing,
    LinkToDirectory,
    LinkToDevice,
    /// A link to what would be in a file, were that a directory.
    LinkThroughFile,
    LinkTooLong,
    /// Only those who may read everything can open it.
    Forbidden,
}

impl Thing {
    const ALL: [Thing; 11] = [
        Thing::Directory,
        Thing::EmptyDirectory,
        Thing::Pipe,
        Thing::Socket,
        Thing::LinkToItself,
        Thing::LinkToNothing,
        Thing::LinkToDirectory,
        Thing::LinkToDevice,
        Thing::LinkThroughFile,
        Thing::LinkTooLong,
        Thing::Forbidden,
    ];

    /// Replaces a file. False if that is not possible here.
    fn replace(self, path: &Path) -> bool {
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
        match self {
            Thing::Directory | Thing::EmptyDirectory => {
                fs::create_dir(path).unwrap();
                if self == Thing::Directory {
                    fs::write(path.join("x"), b"x").unwrap();
                }
            }
            Thing::Pipe => {
                rustix::fs::mkfifoat(CWD, path, Mode::from_raw_mode(0o644)).unwrap();
            }
            Thing::Socket => {
                // The path of a socket is short.
                let short = tempfile::tempdir().unwrap();
                drop(UnixListener::bind(short.path().join("s")).unwrap());
                fs::rename(short.path().join("s"), path).unwrap();
            }
            Thing::LinkToItself => symlink(path, path).unwrap(),
            Thing::LinkToNothing => symlink("nothing", path).unwrap(),
            Thing::LinkToDirectory => symlink("..", path).unwrap(),
            Thing::LinkToDevice => symlink("/dev/null", path).unwrap(),
            Thing::LinkThroughFile => symlink("../../oci-layout/x", path).unwrap(),
            Thing::LinkTooLong => symlink("x".repeat(300), path).unwrap(),
            Thing::Forbidden => {
                fs::write(path, GOOD).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap();
                return File::open(path).is_err();
            }
        }
        true
    }

    /// What is said of it.
    fn words(self) -> &'static str {
        match self {
            Thing::Directory | Thing::EmptyDirectory | Thing::LinkToDirectory => "is a directory",
            Thing::Pipe => "is a named pipe",
            Thing::Socket => "is a socket",
            Thing::LinkToItself => "it cannot be looked at: Too many levels of symbolic links",
            Thing::LinkToNothing => "leads nowhere",
            Thing::LinkToDevice => "is a device",
            Thing::LinkThroughFile => "it cannot be looked at: Not a directory",
            Thing::LinkTooLong => "it cannot be looked at: File name too long",
            Thing::Forbidden => "it cannot be opened: Permission denied",
        }
    }
}

/// A store with [`GOOD`], in whose place is a thing now.
async fn broken(thing: Thing) -> Option<(Fixture, Digest)> {
    let f = Fixture::new();
    let digest = f.blob(GOOD).await;
    thing.replace(&f.file(&digest)).then_some((f, digest))
}

#[tokio::test]
async fn what_cannot_be_opened_is_a_damaged_blob_and_nothing_else_fails() {
    for thing in Thing::ALL {
        let Some((f, digest)) = broken(thing).await else {
            continue;
        };
        let other = f.blob(b"other").await;
        let both = [digest.clone(), other.clone()];
        let generation = f.store.generation().unwrap();
        for store in [&f.store, &super::open(&f.directory)] {
            for _ in 0..2 {
                assert_eq!(store.stat(&digest, None).await.unwrap(), None, "{thing:?}");
                let sizes = store.stat_all(&both, None).await.unwrap();
                assert_eq!(sizes, [None, Some(5)], "{thing:?}");
            }
            let damaged = store.damaged().await.unwrap();
            assert_eq!(damaged.len(), 1, "{thing:?}");
            assert_eq!(damaged[0].0, digest, "{thing:?}");
            assert!(damaged[0].1.contains(thing.words()), "{damaged:?}");
            for error in [
                store.get(&digest, 9).await.unwrap_err(),
                store.open_blob(&digest).unwrap_err(),
                store.layer_facts(&digest).await.unwrap_err(),
            ] {
                let is_said = matches!(&error, Error::Damaged { reason, .. }
                    if reason.contains(thing.words()));
                assert!(is_said, "{thing:?}: {error:?}");
            }
            let mut blobs = store.blobs().await.unwrap();
            blobs.sort();
            let mut expected = [(digest.clone(), 0), (other.clone(), 5)];
            expected.sort();
            assert_eq!(blobs, expected, "{thing:?}");
            let verdict = store.verify(&digest).await.unwrap();
            assert_eq!(verdict, Verdict::Damaged(damaged[0].1.clone()));
            assert_eq!(store.verify(&other).await.unwrap(), Verdict::Intact(5));
        }
        let named = f.store.apply(vec![set("x", GOOD)], None).await;
        assert!(matches!(named, Err(Error::NotFound(_))), "{named:?}");
        assert_eq!(
            f.store.generation().unwrap(),
            generation + 1,
            "{thing:?}: that is news once"
        );
    }
}

#[tokio::test]
async fn what_has_a_name_may_get_another_in_its_stead() {
    for harm in 0..3 {
        let f = Fixture::new();
        let digest = f.blob(GOOD).await;
        f.store.apply(vec![set("old", GOOD)], None).await.unwrap();
        match harm {
            0 => assert!(Thing::LinkToItself.replace(&f.file(&digest))),
            1 => fs::write(f.file(&digest), b"goo").unwrap(),
            _ => fs::remove_file(f.file(&digest)).unwrap(),
        }
        let more = f.store.apply(vec![set("new", GOOD)], None).await;
        assert!(more.is_err(), "{harm}: in its stead only");
        let changes = vec![super::remove("old"), set("new", GOOD)];
        f.store.apply(changes, None).await.unwrap();
        assert_eq!(f.images().await, [("new".to_owned(), digest)], "{harm}");
        let last = f.store.apply(vec![super::remove("new")], None).await;
        last.unwrap();
        let again = f.store.apply(vec![set("new", GOOD)], None).await;
        assert!(again.is_err(), "{harm}");
    }
}

#[tokio::test]
async fn every_way_of_finding_out_marks_it() {
    for way in 0..5 {
        let (f, digest) = broken(Thing::LinkToItself).await.unwrap();
        match way {
            0 => drop(f.store.stat(&digest, None).await),
            1 => drop(f.store.get(&digest, 9).await),
            2 => drop(f.store.blobs().await),
            3 => drop(f.store.verify(&digest).await),
            _ => drop(f.store.layer_facts(&digest).await),
        }
        assert_eq!(f.store.damaged().await.unwrap().len(), 1, "{way}");
        // As soon as it can be read it is as good as any other file.
        fs::remove_file(f.file(&digest)).unwrap();
        fs::write(f.file(&digest), GOOD).unwrap();
        assert_eq!(f.store.stat(&digest, None).await.unwrap(), Some(4));
        assert_eq!(f.store.damaged().await.unwrap(), [], "{way}");
    }
}

#[tokio::test]
async fn many_that_cannot_be_read_are_marked_at_once() {
    for by_name in [false, true] {
        let f = Fixture::new();
        let digests: Vec<Digest> = (0..100_u8)
            .map(|number| Digest::sha256(&[number]))
            .collect();
        for digest in &digests {
            Thing::LinkToItself.replace(&f.file(digest));
        }
        let generation = f.store.generation().unwrap();
        if by_name {
            let sizes = f.store.stat_all(&digests, None).await.unwrap();
            assert_eq!(sizes, [None; 100]);
        } else {
            assert_eq!(f.store.blobs().await.unwrap().len(), 100);
        }
        assert_eq!(f.store.damaged().await.unwrap().len(), 100);
        assert_eq!(f.store.generation().unwrap(), generation + 1);
    }
}

#[tokio::test]
async fn whatever_stores_a_blob_takes_the_place() {
    let f = Fixture::new();
    let digest = Digest::sha256(GOOD);
    let lease = f.lease().await;
    // Nothing that somebody put there is lost.
    let quarantine = f.directory.path().join(".strata/quarantine");
    let kept = || fs::read_dir(&quarantine).map_or(0, Iterator::count);
    for thing in Thing::ALL {
        for how in 0..4 {
            if !thing.replace(&f.file(&digest)) {
                continue;
            }
            let case = format!("{thing:?} {how}");
            let before = kept();
            let bytes = Bytes::from_static(GOOD);
            match how {
                0 => f.store.put(&digest, bytes, &lease).await.unwrap(),
                1 => {
                    let opening = f.store.open_ingest(&digest, 4, &lease).await;
                    let mut ingest = opened(opening.unwrap());
                    ingest.write(bytes).await.unwrap();
                    ingest.commit().await.unwrap();
                }
                how => {
                    let like = (how == 3).then(|| digest.clone());
                    let mut stage = f.store.stage(&lease, like).await.unwrap();
                    stage.write(bytes).await.unwrap();
                    assert_eq!(stage.finish().await.unwrap(), (digest.clone(), 4));
                }
            }
            let now = fs::symlink_metadata(f.file(&digest)).unwrap();
            assert!(now.is_file(), "{case}");
            assert_eq!(f.store.stat(&digest, None).await.unwrap(), Some(4));
            assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD, "{case}");
            assert_eq!(f.store.damaged().await.unwrap(), [], "{case}");
            let moved = usize::from(thing == Thing::Directory);
            assert_eq!(kept() - before, moved, "{case}");
        }
    }
}

#[tokio::test]
async fn it_can_be_deleted_and_moved_away() {
    for moves in [false, true] {
        let f = Fixture::new();
        let digest = Digest::sha256(GOOD);
        let quarantine = f.directory.path().join(".strata/quarantine");
        for thing in Thing::ALL {
            let both = [digest.clone(), f.blob(b"other").await];
            if !thing.replace(&f.file(&digest)) {
                continue;
            }
            if moves {
                f.store.quarantine(&digest).await.unwrap();
            }
            let generation = f.store.generation().unwrap();
            let gone = f.store.delete(&both, generation).await.unwrap();
            assert_eq!(gone.len(), if moves { 1 } else { 2 }, "{thing:?}");
            assert!(fs::symlink_metadata(f.file(&digest)).is_err(), "{thing:?}");
            assert_eq!(f.store.blobs().await.unwrap(), [], "{thing:?}");
            assert_eq!(f.store.damaged().await.unwrap(), [], "{thing:?}");
            assert_eq!(quarantine.exists(), moves, "{thing:?}");
        }
        // The store waits for its trash.
        drop(f.store);
        let trash = f.directory.path().join(".strata/trash");
        assert_eq!(fs::read_dir(trash).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_second_directory_finds_room_in_the_quarantine() {
    let f = Fixture::new();
    let digest = f.blob(GOOD).await;
    let quarantine = f.directory.path().join(".strata/quarantine");
    for kept in 1..4 {
        Thing::Directory.replace(&f.file(&digest));
        f.store.quarantine(&digest).await.unwrap();
        assert_eq!(fs::read_dir(&quarantine).unwrap().count(), kept);
        f.blob(GOOD).await;
    }
}

#[tokio::test]
async fn a_link_to_the_right_bytes_is_a_blob() {
    for relative in [false, true] {
        let f = Fixture::new();
        let digest = f.blob(GOOD).await;
        let elsewhere = f.directory.path().join("elsewhere");
        let target = if relative {
            Path::new("../../elsewhere")
        } else {
            elsewhere.as_path()
        };
        let link = || {
            let _ = fs::remove_file(f.file(&digest));
            symlink(target, f.file(&digest)).unwrap();
        };
        fs::write(&elsewhere, GOOD).unwrap();
        link();
        assert_eq!(f.store.stat(&digest, None).await.unwrap(), Some(4));
        assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD);
        let verdict = f.store.verify(&digest).await.unwrap();
        assert_eq!(verdict, Verdict::Intact(4));
        f.store.apply(vec![set("x", GOOD)], None).await.unwrap();
        f.store.apply(vec![super::remove("x")], None).await.unwrap();
        // It is the link that goes, and not what it leads to.
        let generation = f.store.generation().unwrap();
        let gone = f.store.delete(std::slice::from_ref(&digest), generation);
        assert_eq!(gone.await.unwrap(), [(digest.clone(), 4)]);
        assert!(fs::symlink_metadata(f.file(&digest)).is_err());
        assert_eq!(fs::read(&elsewhere).unwrap(), GOOD);
        // The same for bytes that are wrong: what is replaced or moved is the link.
        fs::write(&elsewhere, b"evil").unwrap();
        link();
        f.store.verify(&digest).await.unwrap();
        f.store.quarantine(&digest).await.unwrap();
        assert!(fs::symlink_metadata(f.file(&digest)).is_err());
        link();
        f.blob(GOOD).await;
        assert!(fs::symlink_metadata(f.file(&digest)).unwrap().is_file());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"evil");
        assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD);
    }
}

#[tokio::test]
async fn what_is_named_like_no_blob_is_none() {
    let f = Fixture::new();
    let digest = f.blob(b"\x01").await;
    let blobs = f.directory.path().join("blobs");
    let folder = blobs.join("sha256");
    let hex = digest.encoded();
    let odd: [&[u8]; 8] = [
        hex.to_uppercase().as_bytes(),
        &hex.as_bytes()[1..],
        format!("{hex}0").as_bytes(),
        format!("{hex}.tmp").as_bytes(),
        b"\xff\xfe",
        b".",
        b"sha256",
        "g".repeat(64).as_bytes(),
    ]
    .map(|name| Box::leak(name.to_vec().into_boxed_slice()) as &[u8]);
    for name in odd {
        if name != b"." {
            fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), b"x").unwrap();
        }
    }
    fs::create_dir_all(folder.join("folder/deeper")).unwrap();
    fs::create_dir(blobs.join("md5")).unwrap();
    fs::write(blobs.join("file"), b"x").unwrap();
    let long = Digest::parse(&format!("sha512:{}", "a".repeat(128))).unwrap();
    for other in 0..4 {
        let folder = blobs.join("sha512");
        match other {
            0 => {}
            1 => fs::write(&folder, b"x").unwrap(),
            2 => symlink(&folder, &folder).unwrap(),
            _ => {
                fs::create_dir(&folder).unwrap();
                fs::write(folder.join(hex), b"short").unwrap();
            }
        }
        let all = f.store.blobs().await.unwrap();
        assert_eq!(all, [(digest.clone(), 1)], "{other}");
        assert_eq!(f.store.stat(&long, None).await.unwrap(), None, "{other}");
        assert_eq!(f.store.verify(&long).await.unwrap(), Verdict::Absent);
        assert_eq!(f.store.damaged().await.unwrap(), []);
        let generation = f.store.generation().unwrap();
        let gone = f.store.delete(std::slice::from_ref(&long), generation);
        assert_eq!(gone.await.unwrap(), [], "{other}");
        f.store.discard_ingests().await.unwrap();
        let _ = fs::remove_file(&folder);
    }
    let f = f.reopen();
    assert_eq!(f.store.blobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_target_that_cannot_be_read_fails_no_other_adoption() {
    for thing in Thing::ALL.map(Some).into_iter().chain([None]) {
        let f = Fixture::new();
        f.blob(b"fine").await;
        let digest = f.blob(GOOD).await;
        let size = match thing {
            Some(thing) if !thing.replace(&f.file(&digest)) => continue,
            Some(_) => 4,
            None => {
                // A file, empty by the look of it, whose every read fails with EIO.
                fs::remove_file(f.file(&digest)).unwrap();
                symlink("/proc/self/mem", f.file(&digest)).unwrap();
                0
            }
        };
        let entry = |name: &str, digest: &Digest, size: usize| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest.to_string(),
                "size": size,
                "annotations": {"org.opencontainers.image.ref.name": name},
            })
        };
        let fine = Digest::sha256(b"fine");
        let index = serde_json::json!({
            "schemaVersion": 2,
            "manifests": [entry("bad", &digest, size), entry("fine", &fine, 4)],
        });
        f.store.flush().await.unwrap();
        fs::write(f.directory.path().join("index.json"), index.to_string()).unwrap();
        f.store.flush().await.unwrap();
        let images = f.images().await;
        assert_eq!(images, [("fine".to_owned(), fine)], "{thing:?}");
        f.reopen();
    }
}

#[tokio::test]
async fn partial_downloads_are_files_or_begun_anew() {
    for thing in Thing::ALL {
        let f = Fixture::new();
        let digest = Digest::sha256(GOOD);
        let ingests = f.directory.path().join(".strata/ingest");
        let path = ingests.join(format!("sha256-{}", digest.encoded()));
        // A file is somebody's, even if it cannot be opened.
        if thing == Thing::Forbidden {
            continue;
        }
        thing.replace(&path);
        let lease = f.lease().await;
        let opening = f.store.open_ingest(&digest, 4, &lease).await;
        let mut ingest = opened(opening.unwrap());
        assert_eq!(ingest.offset(), 0, "{thing:?}");
        ingest.write(Bytes::from_static(GOOD)).await.unwrap();
        ingest.commit().await.unwrap();
        assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD, "{thing:?}");
        // Nor is what a link leads to.
        let elsewhere = f.directory.path().join("elsewhere");
        fs::write(&elsewhere, b"goo").unwrap();
        let other = Digest::sha256(b"other");
        let link = ingests.join(format!("sha256-{}", other.encoded()));
        symlink(&elsewhere, &link).unwrap();
        let opening = f.store.open_ingest(&other, 5, &lease).await;
        assert_eq!(opened(opening.unwrap()).offset(), 0, "{thing:?}");
        assert_eq!(fs::read(&elsewhere).unwrap(), b"goo", "{thing:?}");
        // One that is dropped closes its file in its own time.
        while fs::symlink_metadata(&link).is_ok() {
            f.store.discard_ingests().await.unwrap();
            tokio::task::yield_now().await;
        }
        drop(lease);
        thing.replace(&path);
        assert_eq!(f.store.discard_ingests().await.unwrap(), 0, "{thing:?}");
        assert!(fs::symlink_metadata(&path).is_err(), "{thing:?}");
        for prefix in ["put-x", "stage-x"] {
            thing.replace(&ingests.join(prefix));
        }
        let _f = f.reopen();
        assert_eq!(fs::read_dir(&ingests).unwrap().count(), 0, "{thing:?}");
    }
}

#[tokio::test]
async fn what_is_no_file_in_a_locks_place_is_made_anew() {
    let f = Fixture::new();
    let [layer, other] = [f.blob(b"layer").await, f.blob(b"other").await];
    let mut f = f.reopen();
    let private = f.directory.path().join(".strata");
    let names = ["open.lock", "index.lock", "facts.lock", "index.json.new"];
    // A file is somebody's, even if it cannot be opened.
    let things = Thing::ALL.into_iter().filter(|it| *it != Thing::Forbidden);
    for (round, thing) in things.enumerate() {
        for name in names {
            thing.replace(&private.join(name));
        }
        let digest = if round % 2 == 0 { &layer } else { &other };
        let named = set("x", if round % 2 == 0 { b"layer" } else { b"other" });
        f.store.apply(vec![named], None).await.unwrap();
        f.store.flush().await.unwrap();
        let index = fs::read_to_string(f.directory.path().join("index.json")).unwrap();
        assert!(index.contains(digest.as_str()), "{thing:?}");
        thing.replace(&private.join("open.lock"));
        f = f.reopen();
        // Nothing that a link led to was made.
        assert!(!private.join("nothing").exists(), "{thing:?}");
        assert_eq!(
            f.images().await,
            [("x".to_owned(), digest.clone())],
            "{thing:?}"
        );
        for name in &names[..2] {
            let found = fs::symlink_metadata(private.join(name)).unwrap();
            assert!(found.is_file(), "{thing:?} {name}");
        }
    }
}

#[tokio::test]
async fn derived_data_that_is_no_file_is_absent_and_replaced() {
    let f = Fixture::new();
    for thing in Thing::ALL {
        let digest = f.blob(GOOD).await;
        let derived = f.directory.path().join(".strata/derived");
        let path = derived.join(format!("kind/sha256-{}", digest.encoded()));
        let remember = async || {
            let kept = f.store.remember(&digest, "kind", b"data".to_vec()).await;
            kept.unwrap();
            f.store.recall(&digest, "kind").await.unwrap()
        };
        assert_eq!(remember().await.unwrap(), b"data");
        if !thing.replace(&path) {
            continue;
        }
        let recalled = f.store.recall(&digest, "kind").await.unwrap();
        assert_eq!(recalled, None, "{thing:?}");
        assert_eq!(remember().await.unwrap(), b"data", "{thing:?}");
        // Without having been looked for.
        thing.replace(&path);
        assert_eq!(remember().await.unwrap(), b"data", "{thing:?}");
        for folder in [&derived.join("kind"), &derived] {
            if matches!(thing, Thing::Directory | Thing::EmptyDirectory) {
                continue;
            }
            fs::remove_dir_all(folder).unwrap();
            thing.replace(folder);
            let recalled = f.store.recall(&digest, "kind").await.unwrap();
            assert_eq!(recalled, None, "{thing:?}");
            // A link to a folder is one.
            let is_folder = thing == Thing::LinkToDirectory;
            assert_eq!(remember().await.unwrap(), b"data", "{thing:?}");
            assert_eq!(fs::symlink_metadata(folder).unwrap().is_dir(), !is_folder);
            if is_folder {
                fs::remove_file(folder).unwrap();
                remember().await;
            }
        }
        thing.replace(&path);
        let generation = f.store.generation().unwrap();
        f.store.delete(&[digest], generation).await.unwrap();
        assert!(fs::symlink_metadata(&path).is_err(), "{thing:?}");
    }
}

#[tokio::test]
async fn what_is_known_of_a_blob_stays_while_something_is_in_its_place() {
    let f = Fixture::new();
    for thing in Thing::ALL {
        let digest = f.blob(GOOD).await;
        let kept = f.store.remember(&digest, "kind", b"data".to_vec()).await;
        kept.unwrap();
        if thing.replace(&f.file(&digest)) {
            let recalled = f.store.recall(&digest, "kind").await.unwrap();
            assert_eq!(recalled.unwrap(), b"data", "{thing:?}");
        }
    }
}
