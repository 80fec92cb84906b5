//! A full disk: nothing half-visible, nothing lost, and room can be made.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{Digest, Error, Options, Store};

use super::{blob, noise, opened};

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, options: &str) -> Option<SmallDisk> {
        std::fs::create_dir(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: mounting a tmpfs is not allowed here");
            return None;
        }
        Some(SmallDisk(path.to_owned()))
    }

    /// A file system on a disk, with the small blocks that small ones have.
    fn ext4(path: &Path) -> Option<SmallDisk> {
        std::fs::create_dir(path).unwrap();
        let image = path.with_extension("image");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(16 << 20).unwrap();
        let run = |program: &str, arguments: &[&str], last: &Path| {
            let mut command = Command::new(program);
            let ran = command.args(arguments).arg(&image).arg(last).output();
            ran.is_ok_and(|output| output.status.success())
        };
        let made = run("mkfs.ext4", &["-q", "-F", "-b", "1024"], Path::new("16m"));
        if !made || !run("mount", &["-o", "loop"], path) {
            println!("skipped: mounting an ext4 is not possible here");
            return None;
        }
        Some(SmallDisk(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test]
async fn an_ingest_on_a_full_disk_keeps_what_was_written() {
    let outside = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&outside.path().join("d"), "size=8m") else {
        return;
    };
    let store = Store::open(&disk.0, Options::default()).unwrap();
    let old = blob(&store, &noise(3_000_000)).await;
    let bytes = Bytes::from(noise(6_000_000));
    let digest = Digest::sha256(&bytes);
    let lease = store.acquire_lease().await.unwrap();
    let mut ingest = opened(store.open_ingest(&digest, 6_000_000, &lease).await.unwrap());
    let error = async {
        for chunk in bytes.chunks(100_000) {
            ingest.write(Bytes::copy_from_slice(chunk)).await?;
        }
        ingest.sink().flush().await
    }
    .await;
    assert!(matches!(error, Err(Error::NoSpace(_))), "{error:?}");
    let kept = usize::try_from(ingest.offset()).unwrap();
    assert!(kept > 1_000_000 && kept < 6_000_000, "{kept}");
    let again = ingest.write(bytes.slice(kept..=kept)).await;
    assert!(
        matches!(again, Err(Error::NoSpace(_))),
        "the error stays until reset"
    );
    assert!(matches!(ingest.commit().await, Err(Error::NoSpace(_))));
    assert_eq!(store.stat(&digest, None).await.unwrap(), None);

    // The disk is still full: deleting must work, and afterwards the rest of the download.
    let generation = store.generation().unwrap();
    let gone = store
        .delete(std::slice::from_ref(&old), generation)
        .await
        .unwrap();
    assert_eq!(gone, [(old, 3_000_000)]);
    let mut ingest = opened(store.open_ingest(&digest, 6_000_000, &lease).await.unwrap());
    assert_eq!(ingest.offset(), kept as u64);
    ingest.write(bytes.slice(kept..)).await.unwrap();
    ingest.commit().await.unwrap();
    assert_eq!(store.get(&digest, 6_000_000).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_stage_on_a_full_disk_leaves_nothing() {
    let outside = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&outside.path().join("d"), "size=8m") else {
        return;
    };
    let store = Store::open(&disk.0, Options::default()).unwrap();
    let bytes = Bytes::from(noise(12_000_000));
    let lease = store.acquire_lease().await.unwrap();
    let mut stage = store.stage(&lease, None).await.unwrap();
    let error = stage.write(bytes.clone()).await;
    assert!(matches!(error, Err(Error::NoSpace(_))), "{error:?}");
    let again = stage.write(bytes.slice(..1)).await;
    assert!(matches!(again, Err(Error::NoSpace(_))), "{again:?}");
    let finished = stage.finish().await;
    assert!(matches!(finished, Err(Error::NoSpace(_))), "{finished:?}");
    assert!(store.blobs().await.unwrap().is_empty());

    // A failed finish has given the room back already.
    let mut stage = store.stage(&lease, None).await.unwrap();
    stage.write(bytes.slice(..5_000_000)).await.unwrap();
    assert_eq!(stage.finish().await.unwrap().1, 5_000_000);
}

#[tokio::test]
async fn small_writes_on_a_full_disk_say_so_and_leave_the_store_valid() {
    let outside = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&outside.path().join("d"), "size=4m") else {
        return;
    };
    let store = Store::open(&disk.0, Options::default()).unwrap();
    blob(&store, b"a").await;
    let lease = store.acquire_lease().await.unwrap();
    let filler = disk.0.join(".strata/filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let bytes = Bytes::from(noise(50_000));
    let put = store
        .put(&Digest::sha256(&bytes), bytes.clone(), &lease)
        .await;
    assert!(matches!(put, Err(Error::NoSpace(_))), "{put:?}");
    let mut full = None;
    for i in 0..2000 {
        match store
            .apply(vec![super::set(&format!("name-{i}"), b"a")], None)
            .await
        {
            Ok(_) => {}
            Err(error) => {
                full = Some((i, error));
                break;
            }
        }
    }
    if let Some((_, error)) = &full {
        assert!(matches!(error, Error::NoSpace(_)), "{error:?}");
    }
    std::fs::remove_file(&filler).unwrap();
    drop(file);
    drop(store);
    let store = Store::open(&disk.0, Options::default()).unwrap();
    let names = super::images(&store).await;
    assert_eq!(names.len(), full.map_or(2000, |(count, _)| count));
    let lease = store.acquire_lease().await.unwrap();
    store
        .put(&Digest::sha256(&bytes), bytes, &lease)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_disk_can_be_freed() {
    let outside = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&outside.path().join("d"), "size=6m") else {
        return;
    };
    let store = Store::open(&disk.0, Options::default()).unwrap();
    blob(&store, b"a").await;
    store
        .apply(vec![super::set("gone", b"a")], None)
        .await
        .unwrap();
    let mut file = std::fs::File::create(disk.0.join("filler")).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    // Until not even SQLite has a page left.
    for i in 0..2000 {
        let name = super::set(&format!("name-{i}"), b"a");
        if store.apply(vec![name], None).await.is_err() {
            break;
        }
    }
    let lease = store.acquire_lease().await.unwrap();
    assert!(lease.lock("prune").await.unwrap());
    let names: Vec<_> = super::images(&store).await;
    let removals = names.iter().map(|(name, _)| strata_store::Change::Remove {
        namespace: strata_store::IMAGES.to_owned(),
        name: name.clone(),
        expected: strata_store::Expectation::Any,
    });
    let generation = store.apply(removals.collect(), None).await.unwrap();
    let deleted = store
        .delete(&[Digest::sha256(b"a")], generation)
        .await
        .unwrap();
    assert_eq!(deleted.len(), 1);
}

/// Writes until not a byte is left, through the file system and through SQLite.
async fn fill(store: &Store, path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    for i in 0..2000 {
        let name = super::set(&format!("fill-{i}"), b"a");
        if store.apply(vec![name], None).await.is_err() {
            break;
        }
    }
}

#[tokio::test]
async fn what_frees_nothing_never_uses_up_the_reserve() {
    let outside = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&outside.path().join("d"), "size=8m") else {
        return;
    };
    let store = Store::open(&disk.0, Options::default()).unwrap();
    let reserve = disk.0.join(".strata/reserve");
    blob(&store, b"a").await;
    for i in 0..20 {
        let name = super::set(&format!("name-{i}"), b"a");
        store.apply(vec![name], None).await.unwrap();
    }
    fill(&store, &disk.0.join("filler")).await;
    let kept = std::fs::metadata(&reserve).unwrap().len();
    // Leases work without it, again and again.
    for i in 0..300 {
        let lease = store.acquire_lease().await.unwrap();
        assert!(lease.lock(&format!("lock-{i}")).await.unwrap());
        store
            .stat(&Digest::sha256(b"a"), Some(&lease))
            .await
            .unwrap();
    }
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), kept);
    // What is freed others fill, again and again.
    for i in 0..10 {
        let removal = vec![super::remove(&format!("name-{i}"))];
        store.apply(removal, None).await.unwrap();
        fill(&store, &disk.0.join(format!("filler-{i}"))).await;
        let lease = store.acquire_lease().await.unwrap();
        assert!(lease.lock("prune").await.unwrap());
    }
    for i in 0..10 {
        let _ = std::fs::remove_file(disk.0.join(format!("filler-{i}")));
    }
    std::fs::remove_file(disk.0.join("filler")).unwrap();
    let generation = store.generation().unwrap();
    store.delete(&[], generation).await.unwrap();
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn a_full_disk_takes_the_room_of_what_can_be_derived_again() {
    let outside = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&outside.path().join("d"), "size=8m") else {
        return;
    };
    let store = Store::open(&disk.0, Options::default()).unwrap();
    let a = blob(&store, b"a").await;
    store.remember(&a, "kind", noise(3_000_000)).await.unwrap();
    assert!(store.recall(&a, "kind").await.unwrap().is_some());
    let bytes = noise(4_000_000);
    let digest = blob(&store, &bytes).await;
    assert_eq!(store.get(&digest, 4_000_000).await.unwrap(), bytes);
    assert_eq!(store.recall(&a, "kind").await.unwrap(), None);
    // And nobody is told that it does not fit any more.
    store.remember(&a, "kind", noise(6_000_000)).await.unwrap();
    assert_eq!(store.recall(&a, "kind").await.unwrap(), None);
    assert_eq!(store.get(&digest, 4_000_000).await.unwrap(), bytes);
}

/// Takes every block a file can have.
fn fill_blocks(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for size in [4096, 1] {
        while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
    }
}

/// Takes every inode.
fn fill_inodes(folder: &Path, name: &str) {
    let mut count = 0;
    while std::fs::File::create(folder.join(format!("{name}-{count}"))).is_ok() {
        count += 1;
    }
}

/// What a command does that frees space: everything, from opening the store to closing it.
async fn remove_one(path: &Path, name: &str, digest: &Digest) {
    let store = Store::open(path, Options::default()).unwrap();
    let lease = store.acquire_lease().await.unwrap();
    assert!(lease.lock("prune").await.unwrap());
    let removal = vec![super::remove(name)];
    let generation = store.apply(removal, None).await.unwrap();
    let digests = std::slice::from_ref(digest);
    let gone = store.delete(digests, generation).await.unwrap();
    assert_eq!(gone.len(), 1);
}

#[tokio::test]
async fn who_opens_a_store_on_a_full_disk_can_free_space_again_and_again() {
    let tmpfs = |options: &'static str| move |path: &Path| SmallDisk::mount(path, options);
    let blocks = tmpfs("size=8m");
    let inodes = tmpfs("size=8m,nr_inodes=200");
    free_again_and_again(&blocks, &fill_blocks).await;
    free_again_and_again(&SmallDisk::ext4, &fill_blocks).await;
    let fill = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        fill_inodes(path.parent().unwrap(), &name);
    };
    free_again_and_again(&inodes, &fill).await;
}

async fn free_again_and_again(mount: &dyn Fn(&Path) -> Option<SmallDisk>, fill: &dyn Fn(&Path)) {
    let outside = tempfile::tempdir().unwrap();
    let Some(disk) = mount(&outside.path().join("d")) else {
        return;
    };
    let mut images = Vec::new();
    {
        let store = Store::open(&disk.0, Options::default()).unwrap();
        for i in 0..3_u8 {
            let digest = blob(&store, &[i]).await;
            let name = format!("name-{i}");
            let set = vec![super::set(&name, &[i])];
            store.apply(set, None).await.unwrap();
            images.push((name, digest));
        }
    }
    for (name, digest) in &images {
        fill(&disk.0.join(format!("filler-{name}")));
        remove_one(&disk.0, name, digest).await;
    }
}

#[tokio::test]
async fn without_a_reserve_a_full_disk_can_be_read() {
    for (options, fill) in [
        ("size=8m", fill_blocks as fn(&Path)),
        ("size=8m,nr_inodes=200", |path: &Path| {
            fill_inodes(path.parent().unwrap(), "filler");
        }),
    ] {
        let outside = tempfile::tempdir().unwrap();
        let Some(disk) = SmallDisk::mount(&outside.path().join("d"), options) else {
            return;
        };
        let digest = {
            let store = Store::open(&disk.0, Options::default()).unwrap();
            let digest = blob(&store, b"a").await;
            let names = vec![super::set("name", b"a")];
            store.apply(names, None).await.unwrap();
            digest
        };
        // As an older version left it.
        std::fs::remove_file(disk.0.join(".strata/reserve")).unwrap();
        std::fs::remove_dir_all(disk.0.join(".strata/spare")).unwrap();
        fill(&disk.0.join("filler"));
        let store = Store::open(&disk.0, Options::default()).unwrap();
        assert_eq!(super::images(&store).await.len(), 1, "{options}");
        assert_eq!(store.get(&digest, 9).await.unwrap(), b"a"[..]);
        let written = store.apply(vec![super::remove("name")], None).await;
        assert!(matches!(written, Err(Error::NoSpace(_))), "{written:?}");
    }
}
