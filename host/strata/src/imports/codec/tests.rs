//! Decoders share the memory there is for them, and an operation that gets none is told so.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{Cursor, Read},
    sync::Arc,
    time::Duration,
};

use hyper::Method;
use strata_codec::{DecoderMemory, Kind};
use strata_tests::{
    debian::{Content, Entry},
    layer::{noise, tar},
};

use super::PATIENCE;
use crate::{Capabilities, Engine, Error, bounds::RETRY_AFTER, serve::served, types};

/// A frame of zstd whose window is 128 MiB, with bytes as they are.
fn long(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x88];
    let blocks = bytes.chunks(100_000);
    let last = blocks.len().saturating_sub(1);
    for (number, block) in blocks.enumerate() {
        let header = (block.len() << 3) | usize::from(number == last);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

/// An engine whose decoders wait so long, an archive for it, and its folder.
async fn engine(patience: Duration) -> (Engine, Vec<u8>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let capabilities = Capabilities {
        store: folder.path().to_path_buf(),
        ..Capabilities::default()
    };
    let engine = Engine::new(None, capabilities).await;
    let mut engine = engine.unwrap();
    Arc::get_mut(&mut engine.shared).unwrap().patience = patience;
    let options = types::ImportOptions {
        reference: Some("image:1".to_owned()),
        message: None,
        platform: None,
        changes: Vec::new(),
    };
    let content = tar(&[Entry {
        path: "noise".to_owned(),
        mode: 0o644,
        content: Content::File(noise(1, 300_000).into()),
    }]);
    let imported = engine.import(Cursor::new(content.unwrap()), options, |_| ());
    imported.await.unwrap();
    let names = vec!["image:1".to_owned()];
    let archive = engine.save(names, Vec::new(), Vec::new()).await.unwrap();
    (engine, archive, folder)
}

async fn load(engine: &Engine, archive: Vec<u8>) -> Result<usize, Error> {
    let loaded = engine.load(Cursor::new(archive), Vec::new(), |_| ());
    Ok(loaded.await?.len())
}

/// Takes all the memory there is for long windows.
fn hold(decoders: &DecoderMemory) -> Vec<Box<dyn Read + Send>> {
    let one = || {
        let frame = Cursor::new(long(b"held"));
        let mut held = strata_codec::decompress(frame, decoders.room(None, || {})).unwrap();
        held.read_exact(&mut [0]).map(|()| held).ok()
    };
    std::iter::from_fn(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_vain_for_a_long_window_is_told_that_others_have_it() {
    let (engine, archive, _folder) = engine(Duration::ZERO).await;
    let held = hold(&engine.shared.decoders);
    let loaded = load(&engine, long(&archive)).await;
    assert!(matches!(loaded, Err(Error::Busy(_))), "{loaded:?}");
    // Whoever needs none does not notice.
    assert_eq!(load(&engine, archive.clone()).await.unwrap(), 1);
    drop(held);
    assert_eq!(load(&engine, long(&archive)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_in_vain_is_told_when_to_ask_again() {
    let (engine, archive, _folder) = engine(Duration::ZERO).await;
    let held = hold(&engine.shared.decoders);
    served(&engine, async |http| {
        let load = async || {
            let body = long(&archive);
            http.send(Method::POST, "/images/load", &[], body).await
        };
        let answer = load().await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), RETRY_AFTER.to_string());
        assert!(answer.text().contains("no room"), "{}", answer.text());
        drop(held);
        assert_eq!(load().await.unwrap().status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_long_window_goes_on_when_others_have_done() {
    let (engine, archive, _folder) = engine(PATIENCE).await;
    let decoders = &engine.shared.decoders;
    let held = hold(decoders);
    let free = async {
        while decoders.waiting(Kind::Long) == 0 {
            tokio::task::yield_now().await;
        }
        drop(held);
    };
    let (loaded, ()) = tokio::join!(load(&engine, long(&archive)), free);
    assert_eq!(loaded.unwrap(), 1);
}
