//! Archives out of one store in memory and into another.

mod docker;
mod hostile;
mod layout;
mod naming;
mod platforms;
mod referrers;
mod round_trip;
mod save;

use std::cell::RefCell;

use futures::executor::block_on;
use serde_json::{Value, json};
use strata_oci::{
    Digest, Platform,
    archive::{END, clean, file_header, layout::blob_path, padding},
    media_type,
};

use super::kept::Kept;
use crate::{
    Event, LoadOptions, Loaded, Progress, Result, SaveOptions, Silent, Target,
    catalog::fixture::{TestEngine, platform},
    memory::Bytes,
};

/// Keeps every event.
#[derive(Default)]
struct Events(RefCell<Vec<Event>>);

impl Progress for Events {
    fn report(&self, event: Event) {
        self.0.borrow_mut().push(event);
    }
}

fn platforms(words: &[&str]) -> Vec<Platform> {
    words.iter().map(|word| platform(word)).collect()
}

/// Saves names for platforms.
fn save_for(engine: &TestEngine, names: &[&str], words: &[&str]) -> Result<Vec<u8>> {
    let mut kept = Kept::default();
    let options = SaveOptions {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        platforms: platforms(words),
    };
    let saved = block_on(engine.save(&options, &mut kept, &Silent));
    assert!(saved.is_ok() || kept.0.is_empty(), "bytes before an error");
    saved.map(|()| kept.0)
}

fn save(engine: &TestEngine, names: &[&str]) -> Result<Vec<u8>> {
    save_for(engine, names, &[])
}

/// Loads an archive for platforms.
fn load_for(engine: &TestEngine, archive: &[u8], words: &[&str]) -> Result<Vec<Loaded>> {
    let options = LoadOptions {
        platforms: platforms(words),
    };
    let body = Bytes::of(archive.to_vec());
    block_on(engine.load(body, &options, &Silent))
}

fn load(engine: &TestEngine, archive: &[u8]) -> Result<Vec<Loaded>> {
    load_for(engine, archive, &[])
}

/// What was loaded: familiar names, or digests.
fn titles(loaded: Vec<Loaded>) -> Vec<String> {
    let title = |loaded: Loaded| loaded.name.unwrap_or_else(|| loaded.id.to_string());
    loaded.into_iter().map(title).collect()
}

/// The text of a refusal; nothing has a name afterwards.
fn refusal(engine: &TestEngine, archive: &[u8]) -> String {
    let error = load(engine, archive).unwrap_err();
    assert_eq!(engine.store.names_of("images"), [""; 0], "{error}");
    error.to_string()
}

/// A file with its content.
fn entry(path: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = file_header(path, 0o644, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    bytes
}

/// An entry without content, of another type and with a target.
fn special(path: &str, flag: u8, target: &str) -> Vec<u8> {
    let mut block = file_header(path, 0o644, 0);
    block[156] = flag;
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Entries as a whole archive.
fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend_from_slice(&END);
    bytes
}

/// The files of an archive written here, in order.
fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    use strata_oci::archive::{Parser, Step};
    let mut parser = Parser::new();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut rest = archive;
    loop {
        let (used, step) = parser.step(rest).unwrap();
        match step {
            Step::Entry(entry) => files.push((entry.path, Vec::new())),
            Step::Content => files.last_mut().unwrap().1.extend(&rest[..used]),
            Step::More => panic!("cut off"),
            Step::End => return files,
        }
        rest = &rest[used..];
    }
}

/// The content of one file.
fn content(archive: &[u8], path: &str) -> Option<Vec<u8>> {
    let files = files(archive).into_iter();
    let mut found = files.filter(|(name, _)| clean(name).unwrap() == path);
    found.next().map(|(_, content)| content)
}

fn json_file(archive: &[u8], path: &str) -> Value {
    serde_json::from_slice(&content(archive, path).unwrap()).unwrap()
}

/// `oci-layout`.
fn layout_entry() -> Vec<u8> {
    entry("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
}

/// `index.json` with these entries.
fn index_entry(entries: &[Value]) -> Vec<u8> {
    let index = json!({ "schemaVersion": 2, "manifests": entries });
    entry("index.json", index.to_string())
}

/// An entry of `index.json` with a name.
fn named(target: &Target, name: &str) -> Value {
    let mut entry = crate::catalog::fixture::pointer(target);
    entry["annotations"] = json!({ "io.containerd.image.name": name });
    entry
}

/// A layer too large to be stored in one call.
fn large(seed: u8) -> Vec<u8> {
    let seed = u32::from(seed);
    (0..300 << 10)
        .map(|n: u32| (n.wrapping_mul(seed | 1) >> 3).to_le_bytes()[0])
        .collect()
}

/// An image made of these layers, as JSON and bytes.
struct Made {
    config: Vec<u8>,
    layers: Vec<Vec<u8>>,
}

impl Made {
    fn new(layers: &[Vec<u8>]) -> Self {
        Self::on("amd64", layers)
    }

    fn on(architecture: &str, layers: &[Vec<u8>]) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
        let config = json!({
            "os": "linux",
            "architecture": architecture,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        Self {
            config: config.to_string().into_bytes(),
            layers: layers.to_vec(),
        }
    }

    /// Its OCI manifest.
    fn manifest(&self) -> (Target, Vec<u8>) {
        let layers = self.layers.iter().map(|layer| {
            let digest = Digest::sha256(layer);
            json!({"mediaType": media_type::OCI_LAYER, "digest": digest, "size": layer.len()})
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": {
                "mediaType": media_type::OCI_CONFIG,
                "digest": Digest::sha256(&self.config),
                "size": self.config.len(),
            },
            "layers": layers.collect::<Vec<_>>(),
        });
        let bytes = manifest.to_string().into_bytes();
        let target = Target {
            media_type: media_type::OCI_MANIFEST.to_owned(),
            digest: Digest::sha256(&bytes),
            size: bytes.len() as u64,
        };
        (target, bytes)
    }

    /// Its content in its place: manifest, config, layers.
    fn blobs(&self) -> Vec<Vec<u8>> {
        let (_, manifest) = self.manifest();
        let blobs = [&manifest, &self.config].into_iter().chain(&self.layers);
        blobs
            .map(|bytes| entry(&blob_path(&Digest::sha256(bytes)), bytes))
            .collect()
    }
}
