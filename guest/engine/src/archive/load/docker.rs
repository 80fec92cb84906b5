//! Which images a Docker archive has: a row for each in `manifest.json`.
//!
//! The archive has no manifests, so they are made here: always the same for the same
//! files. Layers stay as they came; if they are plain they are compressed only when they
//! are pushed.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use strata_oci::{
    Descriptor, Digest, ImageConfig, Manifest, Reference,
    archive::{Compression, clean, docker::Row},
    config::MAX_CONFIG_BYTES,
    document::MAX_CHILDREN,
    media_type,
};

use super::{
    Image,
    batches::batches,
    files::{Files, Found},
};
use crate::{
    Body as _, Engine, Error, Host, LeaseOf, Result, Store,
    archive::{invalid, quoted},
};

impl<H: Host> Engine<H> {
    /// The images of the rows, one for each name; their manifests are stored.
    pub(super) async fn docker_images(
        &self,
        rows: &[Row],
        files: &Files,
        lease: &LeaseOf<H>,
    ) -> Result<Vec<Image>> {
        let names: Vec<Vec<String>> = rows.iter().map(names).collect::<Result<_>>()?;
        // Rows that list the same files are one image.
        let mut known: HashMap<(&str, &[String]), usize> = HashMap::new();
        let mut distinct = Vec::new();
        let mut positions = Vec::with_capacity(rows.len());
        for row in rows {
            let position = *known.entry((&row.config, &row.layers)).or_insert_with(|| {
                distinct.push(row);
                distinct.len() - 1
            });
            positions.push(position);
        }
        let mut configs = Vec::with_capacity(distinct.len());
        for row in distinct {
            configs.push((row, self.docker_config(row, files, lease).await?));
        }
        let mut made: Vec<Descriptor> = Vec::with_capacity(configs.len());
        for batch in batches(configs, |(_, config)| config.size) {
            let batch = stream::iter(batch)
                .map(|(row, config)| self.docker_image(row, config, files, lease));
            let batch: Vec<Descriptor> = batch.buffered(usize::MAX).try_collect().await?;
            made.extend(batch);
        }
        let mut images = Vec::new();
        for (position, names) in positions.into_iter().zip(names) {
            let Some(descriptor) = made.get(position) else {
                continue;
            };
            if names.is_empty() {
                images.push(Image {
                    name: None,
                    descriptor: descriptor.clone(),
                });
            }
            images.extend(names.into_iter().map(|name| Image {
                name: Some(name),
                descriptor: descriptor.clone(),
            }));
        }
        Ok(images)
    }

    /// Where the config of a row is.
    async fn docker_config(&self, row: &Row, files: &Files, lease: &LeaseOf<H>) -> Result<Located> {
        if row.layers.len() >= MAX_CHILDREN {
            return Err(Error::over(format_args!(
                "an image in manifest.json has {} layers, the limit is {}",
                row.layers.len(),
                MAX_CHILDREN - 1
            )));
        }
        let located = self.locate(files, &row.config, lease).await?;
        let config = located.ok_or_else(|| {
            let name = quoted(&row.config);
            invalid(format_args!("image config {name} not found"))
        })?;
        match config.size > MAX_CONFIG_BYTES as u64 {
            true => Err(Error::over(format_args!(
                "image config {} has {} bytes, the limit is {MAX_CONFIG_BYTES}",
                quoted(&row.config),
                config.size
            ))),
            false => Ok(config),
        }
    }

    /// Makes and stores the manifest of a row.
    async fn docker_image(
        &self,
        row: &Row,
        config: Located,
        files: &Files,
        lease: &LeaseOf<H>,
    ) -> Result<Descriptor> {
        let bytes = self.store.get(&config.digest, config.size).await?;
        let image =
            ImageConfig::parse(&bytes).map_err(|error| Error::config(&config.digest, &error))?;
        drop(bytes);
        let diff_ids = &image.rootfs.diff_ids;
        if diff_ids.len() != row.layers.len() {
            return Err(invalid(format_args!(
                "invalid manifest, layers length mismatch: expected {}, got {}",
                row.layers.len(),
                diff_ids.len()
            )));
        }
        let mut layers = Vec::with_capacity(diff_ids.len());
        for (name, diff_id) in row.layers.iter().zip(diff_ids) {
            layers.push(self.docker_layer(name, diff_id, files, lease).await?);
        }
        let manifest = Manifest {
            media_type: Some(media_type::DOCKER_MANIFEST.to_owned()),
            config: Descriptor::new(media_type::DOCKER_CONFIG, config.digest, config.size),
            layers,
            annotations: Default::default(),
            subject: None,
            artifact_type: None,
        };
        let bytes =
            serde_json::to_vec(&manifest).map_err(|error| Error::Internal(error.to_string()))?;
        let digest = Digest::sha256(&bytes);
        let size = bytes.len() as u64;
        self.store.put(&digest, bytes, lease).await?;
        let platform = image.platform();
        Ok(Descriptor {
            platform: (!platform.os.is_empty()).then_some(platform),
            ..Descriptor::new(media_type::DOCKER_MANIFEST, digest, size)
        })
    }

    /// The descriptor of a layer. A plain one must be what the config says; others can
    /// only be checked once they are decompressed.
    async fn docker_layer(
        &self,
        name: &str,
        diff_id: &Digest,
        files: &Files,
        lease: &LeaseOf<H>,
    ) -> Result<Descriptor> {
        let located = self.locate(files, name, lease).await?;
        let layer =
            located.ok_or_else(|| invalid(format_args!("layer {} not found", quoted(name))))?;
        let compression = match layer.compression {
            Some(compression) => compression,
            None => self.compression(&layer.digest).await?,
        };
        let comparable = layer.digest.algorithm() == diff_id.algorithm();
        if compression == Compression::Plain && comparable && layer.digest != *diff_id {
            return Err(invalid(format_args!(
                "the archive is damaged: layer {} should be {diff_id} but is {}",
                quoted(name),
                layer.digest
            )));
        }
        let media_type = compression.docker_layer().ok_or_else(|| {
            Error::Unsupported(format!(
                "layer {} is compressed in a way no image layer may be ({compression:?}), compress it with gzip",
                quoted(name)
            ))
        })?;
        Ok(Descriptor::new(media_type, layer.digest, layer.size))
    }

    /// The content a name in `manifest.json` stands for; `None` if it is not here.
    async fn locate(
        &self,
        files: &Files,
        name: &str,
        lease: &LeaseOf<H>,
    ) -> Result<Option<Located>> {
        let path = clean(name).map_err(Error::archive)?;
        let digest = match files.find(&path) {
            None => return Ok(None),
            Some(Found::File(file)) => {
                return Ok(Some(Located {
                    digest: file.digest.clone(),
                    size: file.size,
                    compression: Some(file.compression),
                }));
            }
            Some(Found::Blob(digest)) => digest,
        };
        let size = self.store.stat(&digest, Some(lease)).await?;
        Ok(size.map(|size| Located {
            digest,
            size,
            compression: None,
        }))
    }

    /// How stored content is compressed.
    async fn compression(&self, digest: &Digest) -> Result<Compression> {
        let mut body = self.store.read(digest, 0, None).await?;
        let mut start = Vec::new();
        while start.len() < Compression::HEAD_BYTES
            && let Some(chunk) = body.chunk().await?
        {
            start.extend(chunk);
        }
        Ok(Compression::of(&start))
    }
}

/// Content of the archive.
struct Located {
    digest: Digest,
    size: u64,
    /// `None` if it has not been looked at.
    compression: Option<Compression>,
}

/// The names of a row, normalised.
fn names(row: &Row) -> Result<Vec<String>> {
    let name = |text: &String| {
        let reference = Reference::parse(text).map_err(|error| {
            let text = quoted(text);
            invalid(format_args!("normalize image ref {text}: {error}"))
        })?;
        // A digest would be that of a manifest which has just been made.
        match reference.digest() {
            Some(_) => Err(invalid(format_args!("invalid tag {}", quoted(text)))),
            None => Ok(reference.with_default_tag().to_string()),
        }
    };
    row.repo_tags.iter().map(name).collect()
}
