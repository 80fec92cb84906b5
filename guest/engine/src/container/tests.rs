//! Containers in a store in memory.

mod changing;
mod committing;
mod copying;
mod holes;
mod hostile;
mod images;
mod listing;
mod naming;
mod overtaking;
mod taking;

use std::cell::RefCell;

use futures::executor::block_on;
use serde_json::{Value, json};
use strata_oci::{
    Digest,
    archive::{END, padding},
    layer::{Entry, Kind, Metadata, Parser, Step, header},
    media_type,
};

use super::model::{CommitOptions, CopyInOptions, CreateOptions};
use crate::{
    Event, Progress, Result, Silent, Target,
    archive::kept::Kept,
    catalog::fixture::{TestEngine, engine, pointer},
    memory::{Bytes, codec},
};

/// What a layer is written from: a name and what it is.
type Line<'a> = (&'a str, Kind, &'a str);

fn file(path: &'static str, content: &'static str) -> Line<'static> {
    (path, Kind::File(content.len() as u64), content)
}

fn directory(path: &'static str) -> Line<'static> {
    (path, Kind::Directory, "")
}

fn symlink(path: &'static str, target: &str) -> Line<'static> {
    (path, Kind::Symlink(target.into()), "")
}

fn hard_link(path: &'static str, target: &str) -> Line<'static> {
    (path, Kind::HardLink(target.into()), "")
}

/// A tar of entries with mode `0o644`, or `0o755` for directories.
fn tar(lines: &[Line<'_>]) -> Vec<u8> {
    let entries = lines.iter().map(|(path, kind, content)| {
        let mode = if *kind == Kind::Directory {
            0o755
        } else {
            0o644
        };
        let entry = Entry {
            path: path.as_bytes().to_vec(),
            kind: kind.clone(),
            metadata: Metadata {
                mode,
                mtime: 1000,
                ..Metadata::default()
            },
        };
        (entry, content.as_bytes().to_vec())
    });
    tar_of(&entries.collect::<Vec<_>>())
}

fn tar_of(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (entry, content) in entries {
        bytes.extend(header(entry));
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    }
    bytes.extend_from_slice(&END);
    bytes
}

/// What a tar has inside, as entries with their content.
fn untar(mut bytes: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut parser = Parser::new();
    let mut entries: Vec<(Entry, Vec<u8>)> = Vec::new();
    loop {
        let (used, step) = parser.step(bytes).unwrap();
        match step {
            Step::Entry(entry) => entries.push((entry, Vec::new())),
            Step::Content => entries.last_mut().unwrap().1.extend(&bytes[..used]),
            Step::End => return entries,
            Step::More => parser.finish().unwrap(),
        }
        bytes = &bytes[used..];
    }
}

/// Each entry in a line: `d name`, `f name content`, `l name target`, `h name target`.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let line = |(entry, content): (Entry, Vec<u8>)| {
        let path = text(&entry.path);
        match entry.kind {
            Kind::File(_) => format!("f {path} {}", text(&content)),
            Kind::Directory => format!("d {path}"),
            Kind::Symlink(target) => format!("l {path} {}", text(&target)),
            Kind::HardLink(target) => format!("h {path} {}", text(&target)),
            other => format!("{other:?} {path}"),
        }
    };
    untar(bytes).into_iter().map(line).collect()
}

/// Keeps every event.
#[derive(Default)]
struct Events(RefCell<Vec<Event>>);

impl Progress for Events {
    fn report(&self, event: Event) {
        self.0.borrow_mut().push(event);
    }
}

/// The layers of the image most tests use: something hidden, something linked.
fn usual_layers() -> Vec<Vec<u8>> {
    vec![
        tar(&[
            directory("etc"),
            file("etc/hosts", "localhost"),
            file("etc/passwd", "root:x:0:0::/:\nann:x:7:8::/:\n"),
            file("etc/group", "root:x:0:\nusers:x:100:\n"),
            directory("bin"),
            file("bin/sh", "shell"),
            hard_link("bin/ash", "bin/sh"),
            file("old", "goes"),
            directory("data"),
            file("data/a", "A"),
            file("data/b", "B"),
        ]),
        tar(&[
            (".wh.old", Kind::File(0), ""),
            symlink("lib", "usr/lib"),
            directory("usr"),
            directory("usr/lib"),
            file("usr/lib/c.so", "library"),
            symlink("out", "../../../etc"),
            symlink("loop", "loop"),
            symlink("nowhere", "/no/where"),
        ]),
    ]
}

/// Stores and names an image of these layers.
fn image(engine: &TestEngine, name: &str, layers: &[Vec<u8>]) -> Target {
    let store = &engine.store;
    let plain = |layer: &Vec<u8>| codec::decompressed(layer.clone()).unwrap();
    let diff_ids: Vec<_> = layers.iter().map(|it| Digest::sha256(&plain(it))).collect();
    let config = json!({
        "os": "linux",
        "architecture": "amd64",
        "author": "them",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"a": "1"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": "base"}],
    });
    let config = store.document(media_type::OCI_CONFIG, &config);
    let pointers: Vec<Value> = layers
        .iter()
        .map(|layer| {
            let digest = store.insert(layer.clone());
            json!({"mediaType": media_type::OCI_LAYER, "digest": digest, "size": layer.len()})
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": pointer(&config),
        "layers": pointers,
    });
    let target = store.document(media_type::OCI_MANIFEST, &manifest);
    store.name("images", name, &target, &[]);
    target
}

/// An engine with the usual image, and a container `box` made from it.
fn usual() -> TestEngine {
    let engine = engine();
    image(&engine, "docker.io/library/app:latest", &usual_layers());
    create(&engine, "box").unwrap();
    engine
}

fn create(engine: &TestEngine, name: &str) -> Result<String> {
    let options = CreateOptions {
        image: "app".to_owned(),
        name: Some(name.to_owned()),
        ..CreateOptions::default()
    };
    Ok(block_on(engine.create_container(&options))?.id)
}

fn copy_in(engine: &TestEngine, path: &str, tar: Vec<u8>) -> Result<()> {
    copy_in_with(engine, path, tar, CopyInOptions::default())
}

fn copy_in_with(
    engine: &TestEngine,
    path: &str,
    tar: Vec<u8>,
    options: CopyInOptions,
) -> Result<()> {
    let body = Bytes::of(tar);
    block_on(engine.copy_in("box", path.as_bytes(), body, &options, &Silent))
}

fn copy_out(engine: &TestEngine, path: &str) -> Result<Vec<u8>> {
    let mut kept = Kept::default();
    let copied = block_on(engine.copy_out("box", path.as_bytes(), &mut kept));
    assert!(copied.is_ok() || kept.0.is_empty(), "bytes before an error");
    copied.map(|()| kept.0)
}

fn export(engine: &TestEngine) -> Vec<u8> {
    let mut kept = Kept::default();
    block_on(engine.export("box", &mut kept, &Silent)).unwrap();
    kept.0
}

/// Forgets file systems that were looked into, and what layers list.
fn forget(engine: &TestEngine) {
    engine.roots.take();
    engine.store.forget_derived();
}

/// `A /path`, `C /path`, `D /path`.
fn changes(engine: &TestEngine) -> Vec<String> {
    let changes = block_on(engine.changes("box")).unwrap().into_iter();
    let letter = |kind| match kind {
        crate::ChangeKind::Added => 'A',
        crate::ChangeKind::Modified => 'C',
        crate::ChangeKind::Deleted => 'D',
    };
    changes
        .map(|change| format!("{} {}", letter(change.kind), change.path))
        .collect()
}

fn commit(engine: &TestEngine, options: &CommitOptions) -> Result<Digest> {
    block_on(engine.commit("box", options, &Silent))
}
