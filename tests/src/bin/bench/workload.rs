//! What is pulled: layers of this machine's own /usr, packed once and kept under `target/bench-cache`.

use crate::hashing::Hashing;
use anyhow::{Context, Result};
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use strata_tests::debian::{Content, Entry, on_disk};
use strata_tests::image::{Blob, Schema};
use strata_tests::layer::{Compression, append, noise};
use strata_tests::push::push_manifest;
use strata_tests::registry::Registry;
use strata_tests::workspace;

/// Plain sizes in MB: one large base, a few middling layers, a tail of small ones, as real images have. 1.1 GB in all.
const LAYERS: [u64; 11] = [300, 200, 150, 120, 100, 80, 60, 40, 30, 15, 5];

/// An image in a registry.
pub(crate) struct Workload {
    pub(crate) reference: String,
    layers: usize,
    compressed: u64,
    plain: u64,
}

impl Workload {
    pub(crate) fn shown(&self) -> String {
        let mb = |bytes: u64| bytes / 1_000_000;
        format!(
            "{} gzip layers, {} MB compressed, {} MB plain",
            self.layers,
            mb(self.compressed),
            mb(self.plain)
        )
    }
}

/// A layer blob on disk.
pub(crate) struct Packed {
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
    pub(crate) diff_id: String,
    /// Bytes as it is.
    pub(crate) size: u64,
    /// Bytes unpacked.
    pub(crate) plain: u64,
}

/// The image of eleven layers, in this registry.
pub(crate) async fn debian(registry: &Registry) -> Result<Workload> {
    publish(registry, "bench/debian", &layers()?).await
}

/// The eleven layers, packed if no earlier run did.
pub(crate) fn layers() -> Result<Vec<Packed>> {
    let cache = workspace::cache("bench-cache")?;
    let mut files: Vec<PathBuf> = Vec::new();
    let mut layers = Vec::new();
    for (number, megabytes) in LAYERS.iter().enumerate() {
        let path = cache.join(format!("layer-{number}.tar.gz"));
        if let Some(packed) = kept(&path)? {
            layers.push(packed);
            continue;
        }
        if files.is_empty() {
            eprintln!(
                "packing this machine's /usr into layers (kept in {})",
                cache.display()
            );
            files = usr();
        }
        layers.push(pack(&path, &share(&files, number), megabytes * 1_000_000)?);
    }
    Ok(layers)
}

/// An image of one layer of 2 GB that does not compress.
pub(crate) async fn large(registry: &Registry) -> Result<Workload> {
    let path = workspace::cache("bench-cache")?.join("large.tar.gz");
    let packed = match kept(&path)? {
        Some(packed) => packed,
        None => {
            eprintln!("making a layer of 2 GB (kept at {})", path.display());
            // Many files of one pseudo-random piece each: 64 MB of it at a time is enough memory.
            written(&path, flate2::Compression::none(), |tar| {
                for seed in 0..32 {
                    let content = Content::File(noise(seed, 64 << 20).into());
                    append(
                        tar,
                        &Entry {
                            path: format!("noise-{seed}"),
                            mode: 0o644,
                            content,
                        },
                    )?;
                }
                Ok(())
            })?
        }
    };
    publish(registry, "bench/large", &[packed]).await
}

/// The files from this layer's part of the list on, and then round again should they be too few.
fn share(files: &[PathBuf], number: usize) -> Vec<&PathBuf> {
    let total: u64 = LAYERS.iter().sum();
    let part =
        |megabytes: u64| usize::try_from(megabytes * files.len() as u64 / total).unwrap_or(0);
    let start = part(LAYERS[..number].iter().sum());
    files.iter().cycle().skip(start).take(files.len()).collect()
}

/// Regular files below /usr, in an order that does not follow their folders, the same on every run.
pub(crate) fn usr() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from("/usr")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                // What an administrator put there came from no package.
                Ok(kind) if kind.is_dir() && entry.path() != Path::new("/usr/local") => {
                    folders.push(entry.path());
                }
                Ok(kind) if kind.is_file() && !is_compressed(&entry.path()) => {
                    files.push(entry.path());
                }
                _ => {}
            }
        }
    }
    // By digest of the path: every stretch of the list is the same mixture of programs, text and pictures.
    files.sort_by_cached_key(|path| Sha256::digest(path.as_os_str().as_encoded_bytes()).to_vec());
    files
}

/// Already compressed: a machine with many of these would make another workload of the same sizes.
fn is_compressed(path: &Path) -> bool {
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    ["bz2", "deb", "gz", "jar", "jpg", "png", "xz", "zip", "zst"].contains(&ending)
}

fn pack(path: &Path, files: &[&PathBuf], size: u64) -> Result<Packed> {
    let files = files.iter().map(|file| file.as_path());
    written(path, flate2::Compression::default(), |tar| {
        fill(tar, files, size)
    })
}

/// Adds files until the tar has about `size` bytes.
pub(crate) fn fill<'a>(
    tar: &mut tar::Builder<impl Write>,
    files: impl Iterator<Item = &'a Path>,
    size: u64,
) -> Result<()> {
    let mut taken = 0;
    for file in files {
        // A file of more than a tenth of the layer would make its size a matter of luck.
        let length = file.metadata().map_or(u64::MAX, |metadata| metadata.len());
        if length > size / 10 {
            continue;
        }
        if taken >= size {
            break;
        }
        if let Ok(entry) = on_disk(file) {
            append(tar, &entry)?;
            // As it stands in the tar: a header, and whole blocks.
            taken += 512 + length.next_multiple_of(512);
        }
    }
    Ok(())
}

type Tar = tar::Builder<Hashing<GzEncoder<Hashing<BufWriter<File>>>>>;

fn written(
    path: &Path,
    level: flate2::Compression,
    fill: impl FnOnce(&mut Tar) -> Result<()>,
) -> Result<Packed> {
    let scratch = path.with_extension("part");
    let file = Hashing::new(BufWriter::with_capacity(1 << 20, File::create(&scratch)?));
    let mut tar: Tar = tar::Builder::new(Hashing::new(GzEncoder::new(file, level)));
    fill(&mut tar)?;
    let (gzip, diff_id, plain) = tar.into_inner()?.finish();
    let (mut file, digest, size) = gzip.finish()?.finish();
    file.flush()?;
    std::fs::rename(&scratch, path)?;
    std::fs::write(
        path.with_extension("facts"),
        format!("{digest}\n{diff_id}\n{size}\n{plain}\n"),
    )?;
    Ok(Packed {
        path: path.to_path_buf(),
        digest,
        diff_id,
        size,
        plain,
    })
}

/// A layer packed by an earlier run.
fn kept(path: &Path) -> Result<Option<Packed>> {
    let Ok(facts) = std::fs::read_to_string(path.with_extension("facts")) else {
        return Ok(None);
    };
    let mut lines = facts.lines().map(str::to_owned);
    let mut next = || {
        lines
            .next()
            .context("a bench-cache .facts file is incomplete: delete the folder")
    };
    let (digest, diff_id, size, plain) = (next()?, next()?, next()?.parse()?, next()?.parse()?);
    let packed = Packed {
        path: path.to_path_buf(),
        digest,
        diff_id,
        size,
        plain,
    };
    Ok(path.is_file().then_some(packed))
}

/// The config and the manifest of an image of these layers.
pub(crate) fn documents(layers: &[Packed]) -> (Blob, Blob) {
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let config = Blob::document(
        Schema::Oci.config(),
        &json!({
            "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }),
    );
    let media_type = Schema::Oci.layer(Compression::Gzip);
    let descriptors: Vec<_> = layers
        .iter()
        .map(|layer| json!({"mediaType": media_type, "digest": layer.digest, "size": layer.size}))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": Schema::Oci.manifest(),
        "config": config.descriptor(), "layers": descriptors,
    });
    let manifest = Blob::document(Schema::Oci.manifest(), &manifest);
    (config, manifest)
}

/// Puts layers straight into the registry's files (they are too large to send twice), then the documents by HTTP.
async fn publish(registry: &Registry, repository: &str, layers: &[Packed]) -> Result<Workload> {
    let (config, manifest) = documents(layers);
    let root = registry.storage().join("docker/registry/v2");
    for layer in layers {
        plant(&root, repository, &layer.digest, |data| {
            link(&layer.path, data)
        })?;
    }
    plant(&root, repository, &config.digest, |data| {
        Ok(std::fs::write(data, &config.bytes)?)
    })?;
    push_manifest(&registry.http, &[], repository, "1", &manifest).await?;
    // Read once, so that the first client does not pay for a cold disk.
    for layer in layers {
        std::io::copy(
            &mut BufReader::new(File::open(&layer.path)?).take(layer.size),
            &mut std::io::sink(),
        )?;
    }
    Ok(Workload {
        reference: format!("{}/{repository}:1", registry.host),
        layers: layers.len(),
        compressed: layers.iter().map(|layer| layer.size).sum(),
        plain: layers.iter().map(|layer| layer.plain).sum(),
    })
}

/// The same file in another place: a link where that is possible.
pub(crate) fn link(file: &Path, target: &Path) -> Result<()> {
    if std::fs::hard_link(file, target).is_err() {
        std::fs::copy(file, target)?;
    }
    Ok(())
}

fn plant(
    root: &Path,
    repository: &str,
    digest: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let (algorithm, encoded) = digest.split_once(':').context("no digest")?;
    let blob = root
        .join("blobs")
        .join(algorithm)
        .join(&encoded[..2])
        .join(encoded);
    let link = root
        .join("repositories")
        .join(repository)
        .join("_layers")
        .join(algorithm)
        .join(encoded);
    std::fs::create_dir_all(&blob)?;
    std::fs::create_dir_all(&link)?;
    fill(&blob.join("data"))?;
    std::fs::write(link.join("link"), digest)?;
    Ok(())
}
