//! What is pushed, saved, loaded and imported: the image of the pulls in other forms, kept under `target/bench-cache`.

use crate::hashing::Hashing;
use crate::workload::{Packed, documents, fill, layers, link, usr};
use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use strata_tests::debian::{Content, Entry};
use strata_tests::image::{Blob, short};
use strata_tests::layer::{append, sha256, tar};
use strata_tests::workspace;

/// The image's name in archives and in stores. In full, because podman puts a short one below `localhost/`.
pub(crate) const NAME: &str = "docker.io/bench/debian:1";
/// Bytes of the root file system that is imported: what a small distribution's base image has.
const ROOTFS: u64 = 117_000_000;
/// Images in the archive of many.
pub(crate) const MANY: usize = 2000;

/// The eleven layers and their documents.
pub(crate) struct Debian {
    pub(crate) layers: Vec<Packed>,
    pub(crate) config: Blob,
    pub(crate) manifest: Blob,
}

impl Debian {
    pub(crate) fn new() -> Result<Self> {
        let layers = layers()?;
        let (config, manifest) = documents(&layers);
        Ok(Self {
            layers,
            config,
            manifest,
        })
    }

    /// Writes it into `folder` as an OCI layout, under [`NAME`]. The layers are links: nothing may write to them.
    pub(crate) fn layout(&self, folder: &Path) -> Result<()> {
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs)?;
        for layer in &self.layers {
            link(&layer.path, &blobs.join(encoded(&layer.digest)))?;
        }
        for document in [&self.config, &self.manifest] {
            std::fs::write(blobs.join(encoded(&document.digest)), &document.bytes)?;
        }
        let mut descriptor = self.manifest.descriptor();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": NAME});
        let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
        std::fs::write(folder.join("index.json"), index.to_string())?;
        std::fs::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        Ok(())
    }

    /// An archive as `docker save` wrote them for a decade: every layer a plain tar, `manifest.json` last.
    pub(crate) fn plain_archive(&self) -> Result<PathBuf> {
        kept(
            &format!("plain-{}.tar", short(&self.config.digest)),
            |tar| {
                let mut names = Vec::new();
                for layer in &self.layers {
                    let name = format!("{}.tar", encoded(&layer.diff_id));
                    let plain = GzDecoder::new(BufReader::new(File::open(&layer.path)?));
                    member(tar, &name, layer.plain, plain)?;
                    names.push(name);
                }
                let config = format!("{}.json", encoded(&self.config.digest));
                member(
                    tar,
                    &config,
                    self.config.bytes.len() as u64,
                    &self.config.bytes[..],
                )?;
                manifest(
                    tar,
                    &[json!({"Config": config, "RepoTags": [NAME], "Layers": names})],
                )
            },
        )
    }
}

/// A root file system as one plain tar, and its digest.
pub(crate) fn rootfs() -> Result<(PathBuf, String)> {
    let path = kept("rootfs.tar", |tar| {
        let files = usr();
        fill(tar, files.iter().map(PathBuf::as_path), ROOTFS)
    })?;
    let mut hash = Hashing::new(std::io::sink());
    std::io::copy(&mut File::open(&path)?, &mut hash)?;
    let (_, digest, _) = hash.finish();
    Ok((path, digest))
}

/// One archive of [`MANY`] images, each with a layer of its own.
pub(crate) fn many() -> Result<PathBuf> {
    kept(&format!("many-{MANY}.tar"), |archive| {
        let mut rows = Vec::new();
        for number in 0..MANY {
            let text = format!("image {number}\n");
            let layer = tar(&[Entry {
                path: "etc/number".to_owned(),
                mode: 0o644,
                content: Content::File(text.into()),
            }])?;
            let diff_id = sha256(&layer);
            let config = json!({
                "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
                "config": {"Labels": {"number": number.to_string()}},
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
                "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "COPY number /etc"}],
            });
            let config = config.to_string();
            let config_name = format!("{}.json", encoded(&sha256(config.as_bytes())));
            let layer_name = format!("{}/layer.tar", encoded(&diff_id));
            member(archive, &layer_name, layer.len() as u64, &layer[..])?;
            member(
                archive,
                &config_name,
                config.len() as u64,
                config.as_bytes(),
            )?;
            let name = format!("docker.io/bench/many-{number}:1");
            rows.push(json!({"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}));
        }
        manifest(archive, &rows)
    })
}

type Tar = tar::Builder<BufWriter<File>>;

/// The file in the cache, written first if an earlier run did not.
fn kept(name: &str, write: impl FnOnce(&mut Tar) -> Result<()>) -> Result<PathBuf> {
    let path = workspace::cache("bench-cache")?.join(name);
    if !path.is_file() {
        eprintln!("writing {} (kept)", path.display());
        let scratch = path.with_extension("part");
        let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, File::create(&scratch)?));
        write(&mut tar)?;
        tar.into_inner()?.flush()?;
        std::fs::rename(&scratch, &path)?;
    }
    // Read once, so that the first contender does not pay for a cold disk.
    std::io::copy(&mut File::open(&path)?, &mut std::io::sink())?;
    Ok(path)
}

fn member(tar: &mut Tar, name: &str, size: u64, content: impl Read) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(size);
    tar.append_data(&mut header, name, content)
        .with_context(|| format!("could not add {name} to an archive"))
}

fn manifest(tar: &mut Tar, rows: &[Value]) -> Result<()> {
    let text = json!(rows).to_string();
    let entry = Entry {
        path: "manifest.json".to_owned(),
        mode: 0o644,
        content: Content::File(text.into()),
    };
    append(tar, &entry)
}

fn encoded(digest: &str) -> &str {
    digest
        .split_once(':')
        .map_or(digest, |(_, encoded)| encoded)
}
