//! The documents of an archive that are not content.

use std::collections::{BTreeMap, HashSet};

use strata_oci::{
    Descriptor, Digest, Index, Manifest,
    archive::{
        docker::{Repositories, Row},
        layout::{IMAGE_NAME, LAYOUT_VERSION, Layout, REF_NAME, SUBJECT, blob_path},
    },
    media_type,
};

use crate::{
    Error, Result,
    catalog::{ImageName, Referrer},
};

/// Gathers `index.json`, `manifest.json` and `repositories`.
#[derive(Default)]
pub(super) struct Documents {
    entries: Vec<Descriptor>,
    rows: Vec<(Digest, Row)>,
    /// Positions in `rows`.
    by_manifest: BTreeMap<Digest, usize>,
    /// The names each row has.
    tagged: HashSet<(usize, String)>,
    repositories: Repositories,
}

impl Documents {
    /// Adds an image under a name, or without.
    pub(super) fn add(
        &mut self,
        target: &Descriptor,
        row: Option<&(Digest, Manifest)>,
        name: Option<&ImageName>,
    ) {
        let mut entry = target.clone();
        if let Some(name) = name {
            let (full, tag) = match &name.reference {
                Some(reference) => (reference.to_string(), reference.tag()),
                // Text of another tool, which alone understands it.
                None => (name.record.name.clone(), None),
            };
            let tag = tag.unwrap_or(&full).to_owned();
            entry.annotations.insert(IMAGE_NAME.to_owned(), full);
            entry.annotations.insert(REF_NAME.to_owned(), tag);
        }
        self.entries.push(entry);
        let Some((digest, manifest)) = row else {
            return;
        };
        let position = *self.by_manifest.entry(digest.clone()).or_insert_with(|| {
            let layers = manifest.layers.iter();
            let row = Row {
                config: blob_path(&manifest.config.digest),
                repo_tags: Vec::new(),
                layers: layers.map(|layer| blob_path(&layer.digest)).collect(),
            };
            self.rows.push((digest.clone(), row));
            self.rows.len() - 1
        });
        let reference = name.and_then(|name| name.reference.as_ref());
        let Some(reference) = reference else { return };
        if let Some((_, row)) = self.rows.get_mut(position) {
            let familiar = reference.familiar();
            if self.tagged.insert((position, familiar.clone())) {
                row.repo_tags.push(familiar);
            }
        }
        if let (Some(tag), Some(top)) = (reference.tag(), manifest.layers.last()) {
            let repository = reference.familiar_repository();
            let tags = self.repositories.entry(repository).or_default();
            tags.insert(tag.to_owned(), top.digest.encoded().to_owned());
        }
    }

    /// Adds what is about an image. As in containerd's
    /// archives, an annotation says what it is about.
    pub(super) fn add_referrer(&mut self, referrer: &Referrer) {
        let Descriptor {
            media_type,
            digest,
            size,
            artifact_type,
            ..
        } = &referrer.descriptor;
        let mut entry = Descriptor::new(media_type, digest.clone(), *size);
        entry.artifact_type.clone_from(artifact_type);
        let subject = referrer.subject.to_string();
        entry.annotations.insert(SUBJECT.to_owned(), subject);
        self.entries.push(entry);
    }

    /// `index.json`. Its entries are gone then.
    pub(super) fn index(&mut self) -> Result<Vec<u8>> {
        json(&Index {
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests: std::mem::take(&mut self.entries),
            ..Index::default()
        })
    }

    /// `manifest.json`; `None` without images.
    pub(super) fn manifest(&self) -> Result<Option<Vec<u8>>> {
        let rows: Vec<&Row> = self.rows.iter().map(|(_, row)| row).collect();
        match rows.is_empty() {
            true => Ok(None),
            false => json(&rows).map(Some),
        }
    }

    /// `repositories`, with a line feed as Docker writes it; `None` without tags.
    pub(super) fn repositories(&self) -> Result<Option<Vec<u8>>> {
        if self.repositories.is_empty() {
            return Ok(None);
        }
        let mut bytes = json(&self.repositories)?;
        bytes.push(b'\n');
        Ok(Some(bytes))
    }
}

/// `oci-layout`.
pub(super) fn layout() -> Result<Vec<u8>> {
    json(&Layout {
        image_layout_version: LAYOUT_VERSION.to_owned(),
    })
}

fn json<V: serde::Serialize>(value: &V) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(error.to_string()))
}
