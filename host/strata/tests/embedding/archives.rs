//! Bytes in from an embedder's reader and out to its writer: archives and imports.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use strata_tests::debian::{Content, Entry};
use strata_tests::layer::{Compression, tar};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;

/// A reader that has `bytes` and then fails.
struct Failing(Vec<u8>);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Ready(Err(io::Error::other("unplugged")));
        }
        let count = self.0.len().min(buffer.remaining());
        buffer.put_slice(&self.0[..count]);
        self.0.drain(..count);
        Poll::Ready(Ok(()))
    }
}

/// A writer that takes so many bytes and then fails.
struct Full(usize);

impl AsyncWrite for Full {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(super) fn files(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries = entries.iter().map(|(path, text)| Entry {
        path: (*path).to_owned(),
        mode: 0o644,
        content: Content::File(text.to_string().into()),
    });
    tar(&entries.collect::<Vec<_>>()).unwrap()
}

pub(super) fn import_options(reference: &str) -> types::ImportOptions {
    types::ImportOptions {
        reference: Some(reference.to_owned()),
        message: None,
        platform: None,
        changes: vec!["CMD [\"sh\"]".to_owned()],
    }
}

/// Futures of the library can be spawned.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_can_be_loaded_elsewhere() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, copy) = (engine(here.path()).await, engine(there.path()).await);
    let registry = FaultRegistry::start().await.unwrap();
    let image = small("saved").unwrap();
    let reference = pulled(&source, &registry, "saved").await;

    let names = vec![reference.clone()];
    let save = sendable(source.save(names.clone(), Vec::new(), Vec::new()));
    let archive = save.await.unwrap();
    let again = source.save(names, Vec::new(), Vec::new()).await.unwrap();
    assert!(archive == again, "the same image gave two archives");

    let events = Events::default();
    let reader = io::Cursor::new(archive);
    let load = sendable(copy.load(reader, Vec::new(), events.listener()));
    let loaded = load.await.unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].name.as_ref(), Some(&reference));
    assert_eq!(loaded[0].id, image.digest());
    assert!(!events.taken().is_empty());
    let details = copy.inspect(&reference, None).await.unwrap();
    assert_eq!(details.id, image.digest());
    store::check(there.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_known_before_the_first_byte() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let saved = engine.save(vec!["missing".into()], Vec::new(), Vec::new());
    assert!(matches!(
        saved.await,
        Err(Error::Image(types::Error::NotFound(_)))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_fails_is_not_one_that_ended() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    // All of a tar is there before the failure: ended here, it would be an image.
    let reader = Failing(files(&[("etc/name", "cut")]));
    let imported = engine.import(reader, import_options("cut:1"), |_| ());
    match imported.await {
        Err(Error::Input(error)) => assert_eq!(error.to_string(), "unplugged"),
        other => panic!("{other:?}"),
    }
    assert!(engine.list(no_filters(), false).await.unwrap().is_empty());
    let loaded = engine.load(Failing(Vec::new()), Vec::new(), |_| ()).await;
    assert!(matches!(loaded, Err(Error::Input(_))), "{loaded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_fails_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let registry = FaultRegistry::start().await.unwrap();
    let reference = pulled(&engine, &registry, "full").await;
    let saved = engine.save(vec![reference], Vec::new(), Full(700)).await;
    match saved.map(|_| ()) {
        Err(Error::Output(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_writer_slows_the_component_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let registry = FaultRegistry::start().await.unwrap();
    let reference = pulled(&engine, &registry, "slow").await;
    let names = vec![reference];
    let whole = engine.save(names.clone(), Vec::new(), Vec::new());
    let whole = whole.await.unwrap();
    // Room for a few bytes only: every write waits for the reader.
    let (writer, mut reader) = tokio::io::duplex(16);
    let read = async {
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut bytes)
            .await
            .map(|_| bytes)
    };
    let save = async {
        let saved = engine.save(names, Vec::new(), writer).await;
        // Its end is what the reader waits for.
        saved.map(drop)
    };
    let (read, saved) = tokio::join!(read, save);
    saved.unwrap();
    assert!(read.unwrap() == whole, "bytes were lost or added");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tar_becomes_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let tar = files(&[("etc/name", "imported")]);
    let diff_id = strata_tests::layer::sha256(&tar);
    let layer = strata_tests::layer::Layer::from_tar(&tar, Compression::Zstd).unwrap();
    for (name, bytes) in [("plain:1", tar.clone()), ("zstd:1", layer.bytes.to_vec())] {
        let reader = io::Cursor::new(bytes);
        let import = sendable(engine.import(reader, import_options(name), |_| ()));
        let id = import.await.unwrap();
        let details = engine.inspect(name, None).await.unwrap();
        assert_eq!(details.id, id, "{name}");
        assert_eq!(details.diff_ids, std::slice::from_ref(&diff_id), "{name}");
    }
    let bad = types::ImportOptions {
        changes: vec!["RUN sh".to_owned()],
        ..import_options("bad:1")
    };
    let imported = engine.import(io::Cursor::new(tar), bad, |_| ()).await;
    assert!(
        matches!(
            imported,
            Err(Error::Image(types::Error::InvalidArgument(_)))
        ),
        "{imported:?}"
    );
    store::check(folder.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_load_leaves_nothing_visible() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let registry = FaultRegistry::start().await.unwrap();
    let reference = pulled(&engine, &registry, "dropped").await;
    let archive = engine.save(vec![reference.clone()], Vec::new(), Vec::new());
    let archive = archive.await.unwrap();
    engine.remove(&reference, false, Vec::new()).await.unwrap();
    let (mut writer, reader) = tokio::io::duplex(1024);
    {
        let load = engine.load(reader, Vec::new(), |_| ());
        let feed = async {
            // All but the end.
            let most = &archive[..archive.len() - 1024];
            tokio::io::AsyncWriteExt::write_all(&mut writer, most).await
        };
        tokio::select! {
            loaded = load => panic!("the archive had not ended: {loaded:?}"),
            fed = feed => fed.unwrap(),
        }
    }
    assert!(engine.list(no_filters(), false).await.unwrap().is_empty());
    let loaded = engine.load(io::Cursor::new(archive), Vec::new(), |_| ());
    assert_eq!(loaded.await.unwrap().len(), 1);
}
