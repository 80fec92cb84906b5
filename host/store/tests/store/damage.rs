//! Damaged blobs: noticed, as good as absent, replaced, verified, moved away.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{Digest, Error, IngestState, Options, Store, Verdict};

use super::{Fixture, noise, opened, set};

const GOOD: &[u8] = b"good";

/// Puts other bytes of the same size in a blob's place, behind the store's back.
fn spoil(f: &Fixture, digest: &Digest) {
    spoil_with(f, digest, b"evil");
}

fn spoil_with(f: &Fixture, digest: &Digest, bytes: &[u8]) {
    fs::write(f.file(digest), bytes).unwrap();
}

async fn damaged(store: &Store) -> Vec<Digest> {
    let damaged = store.damaged().await.unwrap().into_iter();
    damaged.map(|(digest, _)| digest).collect()
}

/// A blob that is damaged, which the store has noticed.
async fn noticed(f: &Fixture) -> Digest {
    let digest = f.blob(GOOD).await;
    spoil(f, &digest);
    let read = f.store.get(&digest, 9).await;
    assert!(matches!(read, Err(Error::Damaged { .. })), "{read:?}");
    digest
}

#[tokio::test]
async fn a_read_notices_damage_and_then_the_blob_is_not_here() {
    for bytes in [b"evil".as_slice(), b"goo", b"", b"good and more"] {
        let f = Fixture::new();
        let digest = f.blob(GOOD).await;
        let other = f.blob(b"other").await;
        spoil_with(&f, &digest, bytes);
        let generation = f.store.generation().unwrap();
        assert_eq!(f.store.damaged().await.unwrap(), []);
        let read = f.store.get(&digest, 99).await;
        assert!(matches!(read, Err(Error::Damaged { .. })), "{read:?}");
        assert!(f.store.generation().unwrap() > generation, "that is news");
        for f in [&f.store, &super::open(&f.directory)] {
            assert_eq!(f.stat(&digest, None).await.unwrap(), None);
            let both = [digest.clone(), other.clone()];
            assert_eq!(f.stat_all(&both, None).await.unwrap(), [None, Some(5)]);
            assert_eq!(damaged(f).await, std::slice::from_ref(&digest));
            let stream = f.open_blob(&digest);
            assert!(matches!(stream, Err(Error::Damaged { .. })), "{stream:?}");
            assert_eq!(f.blobs().await.unwrap().len(), 2);
        }
        let generation = f.store.generation().unwrap();
        let gone = f.store.delete(&[digest], generation).await.unwrap();
        assert_eq!(gone.len(), 1, "{bytes:?}");
        assert_eq!(f.store.damaged().await.unwrap(), []);
    }
}

#[tokio::test]
async fn whatever_stores_a_blob_replaces_a_damaged_one() {
    #[derive(Clone, Copy, Debug)]
    enum How {
        Put,
        Ingest,
        Stage,
        StageLike,
    }
    for how in [How::Put, How::Ingest, How::Stage, How::StageLike] {
        let f = Fixture::new();
        let digest = noticed(&f).await;
        let lease = f.lease().await;
        let bytes = Bytes::from_static(GOOD);
        match how {
            How::Put => f.store.put(&digest, bytes, &lease).await.unwrap(),
            How::Ingest => {
                let mut ingest = opened(f.store.open_ingest(&digest, 4, &lease).await.unwrap());
                ingest.write(bytes).await.unwrap();
                ingest.commit().await.unwrap();
            }
            How::Stage | How::StageLike => {
                let like = matches!(how, How::StageLike).then(|| digest.clone());
                let mut stage = f.store.stage(&lease, like).await.unwrap();
                stage.write(bytes).await.unwrap();
                assert_eq!(stage.finish().await.unwrap(), (digest.clone(), 4));
            }
        }
        assert_eq!(
            f.store.stat(&digest, None).await.unwrap(),
            Some(4),
            "{how:?}"
        );
        assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD, "{how:?}");
        assert_eq!(f.store.damaged().await.unwrap(), [], "{how:?}");
        f.store.open_blob(&digest).unwrap();
    }
}

#[tokio::test]
async fn damage_nobody_noticed_yet_is_replaced_by_who_has_the_bytes_at_hand() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = f.blob(GOOD).await;
    spoil(&f, &digest);
    let bytes = Bytes::from_static(GOOD);
    f.store.put(&digest, bytes, &lease).await.unwrap();
    assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD);

    // Also when the first difference comes after what was compared already.
    let large = noise(3_000_000);
    let digest = f.blob(&large).await;
    for at in [0, 1_500_000, 2_999_999] {
        let mut other = large.clone();
        other[at] ^= 1;
        spoil_with(&f, &digest, &other);
        let like = Some(digest.clone());
        let mut stage = f.store.stage(&lease, like).await.unwrap();
        for part in large.chunks(400_000) {
            stage.write(Bytes::copy_from_slice(part)).await.unwrap();
        }
        assert_eq!(stage.finish().await.unwrap(), (digest.clone(), 3_000_000));
        assert_eq!(
            f.store.get(&digest, 3_000_000).await.unwrap(),
            large,
            "{at}"
        );
    }
}

#[tokio::test]
async fn an_ingest_of_another_size_finds_out_who_is_wrong() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = f.blob(GOOD).await;
    let lie = f.store.open_ingest(&digest, 5, &lease).await;
    assert!(matches!(lie, Err(Error::Invalid(_))), "{lie:?}");
    spoil_with(&f, &digest, b"goo");
    let state = f.store.open_ingest(&digest, 4, &lease).await.unwrap();
    assert!(matches!(state, IngestState::Open(_)), "{state:?}");
    assert_eq!(damaged(&f.store).await, [digest]);
}

#[tokio::test]
async fn verify_tells_and_marks_and_lifts() {
    let f = Fixture::new();
    let bytes = noise(700_000);
    let digest = f.blob(&bytes).await;
    let absent = Digest::sha256(b"?");
    assert_eq!(f.store.verify(&absent).await.unwrap(), Verdict::Absent);
    let verify = async || f.store.verify(&digest).await.unwrap();
    assert_eq!(verify().await, Verdict::Intact(700_000));
    let mut other = bytes.clone();
    other[699_999] ^= 1;
    spoil_with(&f, &digest, &other);
    assert!(matches!(verify().await, Verdict::Damaged(_)));
    assert_eq!(f.store.stat(&digest, None).await.unwrap(), None);
    // Repaired by somebody else.
    spoil_with(&f, &digest, &bytes);
    assert_eq!(f.store.stat(&digest, None).await.unwrap(), Some(700_000));
    assert_eq!(verify().await, Verdict::Intact(700_000));
    // Marked for no good reason any more: the disk gives the right bytes again.
    let file = File::options().write(true).open(f.file(&digest)).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    spoil_with(&f, &digest, &other);
    file.set_modified(modified).unwrap();
    assert!(matches!(verify().await, Verdict::Damaged(_)));
    spoil_with(&f, &digest, &bytes);
    file.set_modified(modified).unwrap();
    assert_eq!(damaged(&f.store).await, std::slice::from_ref(&digest));
    assert_eq!(verify().await, Verdict::Intact(700_000));
    assert_eq!(f.store.damaged().await.unwrap(), []);
}

#[tokio::test]
async fn bytes_that_the_disk_does_not_give_are_damage() {
    let f = Fixture::new();
    let digest = f.blob(GOOD).await;
    // A file whose every read fails with EIO.
    fs::remove_file(f.file(&digest)).unwrap();
    symlink("/proc/self/mem", f.file(&digest)).unwrap();
    let verdict = f.store.verify(&digest).await.unwrap();
    let Verdict::Damaged(reason) = verdict else {
        panic!("{verdict:?}")
    };
    assert!(reason.contains("Input/output error"), "{reason}");
    assert_eq!(damaged(&f.store).await, std::slice::from_ref(&digest));
    // Its bytes may come again.
    let state = f.store.open_ingest(&digest, 4, &f.lease().await).await;
    assert!(matches!(state, Ok(IngestState::Open(_))), "{state:?}");
}

/// Files of `/proc` have more bytes than their size says, some of them terabytes.
#[tokio::test]
async fn a_file_that_does_not_end_is_not_read_to_its_end() {
    let f = Fixture::new();
    let digest = f.blob(GOOD).await;
    fs::remove_file(f.file(&digest)).unwrap();
    symlink("/proc/self/pagemap", f.file(&digest)).unwrap();
    let verdict = f.store.verify(&digest).await.unwrap();
    assert!(matches!(verdict, Verdict::Damaged(_)), "{verdict:?}");
}

/// Who looked for a blob says so when it may have come already.
#[tokio::test]
async fn what_is_noted_as_missing_is_good_when_it_is_here() {
    let f = Fixture::new();
    let digest = f.blob(GOOD).await;
    for digest in [&digest, &Digest::sha256(b"?")] {
        f.store.note_missing(digest).await.unwrap();
    }
    assert_eq!(f.store.damaged().await.unwrap(), []);
    assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD);
}

#[tokio::test]
async fn a_mark_goes_with_the_file_it_is_about() {
    let f = Fixture::new();
    let digest = noticed(&f).await;
    // As another program would that does not know of marks.
    let new = f.directory.path().join("new");
    fs::write(&new, GOOD).unwrap();
    fs::rename(new, f.file(&digest)).unwrap();
    assert_eq!(f.store.stat(&digest, None).await.unwrap(), Some(4));
    assert_eq!(f.store.damaged().await.unwrap(), []);
    f.store.open_blob(&digest).unwrap();
}

#[tokio::test]
async fn quarantine_moves_damaged_blobs_only() {
    let f = Fixture::new();
    let digest = f.blob(GOOD).await;
    for digest in [&digest, &Digest::sha256(b"?")] {
        let refused = f.store.quarantine(digest).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    }
    assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD);
    spoil(&f, &digest);
    f.store.verify(&digest).await.unwrap();
    f.store.quarantine(&digest).await.unwrap();
    assert_eq!(f.store.verify(&digest).await.unwrap(), Verdict::Absent);
    assert_eq!(f.store.blobs().await.unwrap(), []);
    assert_eq!(f.store.damaged().await.unwrap(), []);
    let kept = format!(".strata/quarantine/sha256-{}", digest.encoded());
    assert_eq!(fs::read(f.directory.path().join(kept)).unwrap(), b"evil");
    f.blob(GOOD).await;
    assert_eq!(f.store.get(&digest, 4).await.unwrap(), GOOD);
}

#[tokio::test]
async fn a_damaged_target_takes_no_new_name_and_loses_its_old_ones() {
    let f = Fixture::new();
    f.blob(GOOD).await;
    f.store.apply(vec![set("old", GOOD)], None).await.unwrap();
    spoil(&f, &Digest::sha256(GOOD));
    f.store.verify(&Digest::sha256(GOOD)).await.unwrap();
    let removed = f.store.apply(vec![super::remove("old")], None).await;
    removed.unwrap();
    assert!(f.images().await.is_empty());
}

#[tokio::test]
async fn a_read_only_store_notices_damage_too() {
    let f = Fixture::new();
    let digest = f.blob(GOOD).await;
    spoil(&f, &digest);
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let store = Store::open(f.directory.path(), options).unwrap();
    let read = store.get(&digest, 4).await;
    assert!(matches!(read, Err(Error::Damaged { .. })), "{read:?}");
    assert_eq!(store.stat(&digest, None).await.unwrap(), None);
    let writing = store.quarantine(&digest).await;
    assert!(matches!(writing, Err(Error::ReadOnly(_))), "{writing:?}");
    // It could not tell the others.
    assert_eq!(f.store.stat(&digest, None).await.unwrap(), Some(4));
}

#[tokio::test]
async fn a_store_of_an_older_version_is_taken_as_it_is() {
    let f = Fixture::new();
    let digest = f.blob(GOOD).await;
    f.store.apply(vec![set("x", GOOD)], None).await.unwrap();
    let Fixture { store, directory } = f;
    drop(store);
    let database = rusqlite::Connection::open(directory.path().join(".strata/store.db")).unwrap();
    database
        .execute_batch("DROP TABLE damage; DROP TABLE sources; PRAGMA journal_mode = DELETE;")
        .unwrap();
    drop(database);
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let store = Store::open(directory.path(), options).unwrap();
    assert_eq!(store.stat(&digest, None).await.unwrap(), Some(4));
    assert!(store.sources(&digest).await.unwrap().is_empty());
    assert_eq!(store.damaged().await.unwrap(), []);
    drop(store);
    let f = Fixture {
        store: super::open(&directory),
        directory,
    };
    assert_eq!(f.images().await.len(), 1);
    spoil(&f, &digest);
    f.store.verify(&digest).await.unwrap();
    assert_eq!(damaged(&f.store).await, std::slice::from_ref(&digest));
    let sources = f
        .store
        .note_source(std::slice::from_ref(&digest), "example.com/x");
    sources.await.unwrap();
}

#[tokio::test]
async fn sources_are_kept_latest_first_until_the_blob_is_deleted() {
    let f = Fixture::new();
    let (a, b) = (f.blob(b"a").await, f.blob(b"b").await);
    let both = [a.clone(), b.clone()];
    assert!(f.store.sources(&a).await.unwrap().is_empty());
    for i in 0..10 {
        let repository = format!("example.com/{i}");
        f.store.note_source(&both, &repository).await.unwrap();
    }
    let last = f
        .store
        .note_source(std::slice::from_ref(&a), "example.com/4");
    last.await.unwrap();
    let sources = f.store.sources(&a).await.unwrap();
    let latest = [4, 9, 8, 7, 6, 5, 3, 2].map(|i| format!("example.com/{i}"));
    assert_eq!(sources, latest);
    for bad in ["", "a\nb", &"x".repeat(1025)] {
        let refused = f.store.note_source(&both, bad).await;
        assert!(matches!(refused, Err(Error::Argument(_))), "{bad:?}");
    }
    let generation = f.store.generation().unwrap();
    f.store
        .delete(std::slice::from_ref(&a), generation)
        .await
        .unwrap();
    assert!(f.store.sources(&a).await.unwrap().is_empty());
    assert_eq!(f.store.sources(&b).await.unwrap().len(), 8);
}
