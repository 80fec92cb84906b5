//! What one target reaches, against what it should be.

use std::collections::HashMap;

use strata_oci::{
    Descriptor, Digest, Document, ImageConfig, Manifest,
    config::MAX_CONFIG_BYTES,
    document::MAX_DOCUMENT_BYTES,
    media_type::{self, Kind},
};

use super::{Fault, FaultKind, Faults};
use crate::{
    Engine, Error, Host, Name, Result, Store, Verdict, catalog::may_be_document, graph::Ahead,
};

/// The walk over one target.
struct Walk<'a> {
    /// What the store has, by digest.
    sizes: &'a HashMap<Digest, u64>,
    faults: &'a mut Faults,
    /// Blobs with faults that this target needs, in the order found.
    found: Vec<Digest>,
    /// Documents still to be read; whether each must be here.
    ahead: Ahead<bool>,
}

impl<H: Host> Engine<H> {
    /// The blobs with faults that the target of these names needs.
    pub(super) async fn check_names(
        &self,
        names: &[Name],
        sizes: &HashMap<Digest, u64>,
        faults: &mut Faults,
    ) -> Result<Vec<Digest>> {
        let top = names.first().map(|name| {
            let target = &name.target;
            let top = Descriptor::new(&target.media_type, target.digest.clone(), target.size);
            (top, true)
        });
        let mut walk = Walk {
            sizes,
            faults,
            found: Vec::new(),
            ahead: Ahead::of(top.into_iter()),
        };
        while let Some((blob, is_needed)) = walk.ahead.next() {
            self.check_document(&mut walk, blob, is_needed).await?;
        }
        Ok(walk.found)
    }

    /// A manifest or index; what is neither is only looked for.
    async fn check_document(
        &self,
        walk: &mut Walk<'_>,
        blob: Descriptor,
        is_needed: bool,
    ) -> Result<()> {
        if !self.is_here(walk, &blob, is_needed).await? || !may_be_document(&blob.media_type) {
            return Ok(());
        }
        let Some(bytes) = self.bytes(walk, &blob, MAX_DOCUMENT_BYTES).await? else {
            return Ok(());
        };
        match Document::parse(&blob.media_type, &bytes) {
            Ok(Document::Index(index)) => {
                // Which platforms are here is the user's choice, but not none of them.
                let is_one_here = |child: &Descriptor| walk.sizes.contains_key(&child.digest);
                if !index.manifests.is_empty() && !index.manifests.iter().any(is_one_here) {
                    let reason = "nothing of what it lists is here";
                    walk.fault(&blob, FaultKind::Invalid, reason);
                }
                let children = index.manifests.into_iter().rev();
                walk.ahead.enter(children.map(|child| (child, false)));
            }
            Ok(Document::Manifest(manifest)) => {
                self.check_manifest(walk, &blob, &manifest, is_needed)
                    .await?;
            }
            Err(_) if matches!(media_type::kind(&blob.media_type), Kind::Other) => {}
            Err(error) => walk.fault(&blob, FaultKind::Invalid, error.to_string()),
        }
        Ok(())
    }

    async fn check_manifest(
        &self,
        walk: &mut Walk<'_>,
        blob: &Descriptor,
        manifest: &Manifest,
        is_needed: bool,
    ) -> Result<()> {
        let content = || std::iter::once(&manifest.config).chain(&manifest.layers);
        // The manifest of a platform nobody wanted may be here without its content.
        let is_wanted = is_needed || content().any(|part| walk.sizes.contains_key(&part.digest));
        let mut is_whole = true;
        for part in content() {
            // Foreign layers may be left where they are.
            let may_miss = media_type::kind(&part.media_type) == Kind::ForeignLayer;
            let is_missed = is_wanted && !may_miss;
            if walk.ahead.see(&part.digest) {
                is_whole &= self.is_here(walk, part, is_missed).await?;
            }
        }
        if is_whole && media_type::kind(&manifest.config.media_type) == Kind::Config {
            self.check_config(walk, blob, manifest).await?;
        }
        Ok(())
    }

    /// The config, and what is known of the layers, against it.
    async fn check_config(
        &self,
        walk: &mut Walk<'_>,
        blob: &Descriptor,
        manifest: &Manifest,
    ) -> Result<()> {
        let Some(bytes) = self.bytes(walk, &manifest.config, MAX_CONFIG_BYTES).await? else {
            return Ok(());
        };
        let config = match ImageConfig::parse(&bytes) {
            Ok(config) => config,
            Err(error) => {
                walk.fault(&manifest.config, FaultKind::Invalid, error.to_string());
                return Ok(());
            }
        };
        let promised = &config.rootfs.diff_ids;
        if promised.len() != manifest.layers.len() {
            let (diff_ids, layers) = (promised.len(), manifest.layers.len());
            let reason = format!("its config has {diff_ids} diff-ids for {layers} layers");
            walk.fault(blob, FaultKind::Invalid, reason);
            return Ok(());
        }
        for (layer, promised) in manifest.layers.iter().zip(promised) {
            let reason = match self.store.known_layer(&layer.digest).await {
                Ok(Some(facts)) if facts.diff_id != *promised => format!(
                    "unpacked its digest is {}, but the config says {promised}",
                    facts.diff_id
                ),
                Err(error @ Error::DigestMismatch { .. }) => error.to_string(),
                Ok(_) => continue,
                Err(error) => return Err(error),
            };
            walk.fault(layer, FaultKind::Invalid, reason);
        }
        Ok(())
    }

    /// Whether a blob is here and as large as `blob` says; notes what is wrong otherwise.
    async fn is_here(
        &self,
        walk: &mut Walk<'_>,
        blob: &Descriptor,
        is_needed: bool,
    ) -> Result<bool> {
        if walk.faults.contains_key(&blob.digest) {
            walk.refer(blob);
            return Ok(false);
        }
        let size = match walk.sizes.get(&blob.digest) {
            Some(size) => *size,
            // It may have come meanwhile.
            None => match self.store.stat(&blob.digest, None).await? {
                Some(size) => size,
                None if is_needed => {
                    let reason = "it is not in the store";
                    walk.fault(blob, FaultKind::Missing, reason);
                    return Ok(false);
                }
                None => return Ok(false),
            },
        };
        if size == blob.size {
            return Ok(true);
        }
        let (kind, reason) = match self.store.verify(&blob.digest).await? {
            Verdict::Damaged(reason) => (FaultKind::Damaged, reason),
            Verdict::Absent => return Ok(false),
            Verdict::Intact(actual) => (
                FaultKind::Invalid,
                format!(
                    "it has {actual} bytes, but what refers to it says {}",
                    blob.size
                ),
            ),
        };
        walk.fault(blob, kind, reason);
        Ok(false)
    }

    /// The bytes of a document; `None` after noting why there are none.
    async fn bytes(
        &self,
        walk: &mut Walk<'_>,
        blob: &Descriptor,
        limit: usize,
    ) -> Result<Option<Vec<u8>>> {
        let (kind, reason) = match self.store.get(&blob.digest, limit as u64).await {
            Ok(bytes) => return Ok(Some(bytes)),
            // Removed meanwhile.
            Err(Error::NotFound(_)) => return Ok(None),
            Err(Error::Damaged(reason)) => (FaultKind::Damaged, reason),
            Err(Error::Internal(reason)) => (FaultKind::Damaged, reason),
            Err(Error::QuotaExceeded(reason)) => (FaultKind::Invalid, reason),
            Err(error) => return Err(error),
        };
        walk.fault(blob, kind, reason);
        Ok(None)
    }
}

impl Walk<'_> {
    fn fault(&mut self, blob: &Descriptor, kind: FaultKind, reason: impl Into<String>) {
        let fault = Fault::new(blob.clone(), kind, reason);
        self.faults.entry(blob.digest.clone()).or_insert(fault);
        self.refer(blob);
    }

    /// Notes that this target needs a blob with a fault, and what it says of it.
    fn refer(&mut self, blob: &Descriptor) {
        if let Some(fault) = self.faults.get_mut(&blob.digest)
            && fault.blob.media_type.is_empty()
        {
            fault.blob = blob.clone();
        }
        if !self.found.contains(&blob.digest) {
            self.found.push(blob.digest.clone());
        }
    }
}
