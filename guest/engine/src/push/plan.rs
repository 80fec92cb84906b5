//! Everything that goes out, each once and in order.

use std::collections::{HashMap, HashSet};

use strata_oci::{
    Descriptor, Digest, Document,
    media_type::{self, Kind},
};

use super::Push;
use crate::{
    Error, Host, Result, Store, Target,
    catalog::{Documents, Referrer},
    graph::MAX_INDEX_DEPTH,
};

/// Levels of manifests and indexes: there is the manifest below the indexes.
const MAX_LEVELS: usize = MAX_INDEX_DEPTH + 1;

/// What a target consists of.
#[derive(Debug)]
pub(super) struct Plan {
    /// The target itself, with its real media type and size.
    pub(super) top: Descriptor,
    /// It is an index, not a single manifest.
    pub(super) is_index: bool,
    /// Manifests and indexes. Each level lists only what is in those before it;
    /// the last one is `top` alone.
    pub(super) levels: Vec<Vec<Descriptor>>,
    /// Those of them that are about another one.
    pub(super) referrers: HashMap<Digest, Referrer>,
    /// Configs, layers and whatever else is listed.
    pub(super) blobs: Vec<Blob>,
    /// What must go out and is not here.
    pub(super) missing: Vec<Digest>,
}

/// A blob that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    /// Bytes in the store; those of the descriptor if it is not here.
    pub(super) size: u64,
    /// False only for a foreign layer: others have it, by its `urls`.
    pub(super) is_here: bool,
    /// People asked for it, so they see how it goes: not a config, and no part of
    /// an attestation.
    pub(super) is_shown: bool,
}

impl<H: Host> Push<'_, H> {
    /// Walks everything `top` consists of. From then on the lease protects what of
    /// it is here.
    pub(super) async fn plan(&self, top: &Descriptor) -> Result<Plan> {
        let root = Target {
            media_type: top.media_type.clone(),
            digest: top.digest.clone(),
            size: top.size,
        };
        let documents = self.engine.documents(&[root]).await?;
        let Walk { levels, leaves, .. } = walk(top, &documents)?;
        let mut digests: Vec<Digest> = leaves.iter().map(|leaf| leaf.blob.digest.clone()).collect();
        digests.extend(levels.iter().flatten().map(|it| it.digest.clone()));
        let lease = Some(&self.lease);
        let sizes = self.engine.store.stat_all(&digests, lease).await?;
        let found = digests.iter().cloned().zip(sizes);
        let sizes: HashMap<Digest, u64> = found
            .filter_map(|(digest, size)| Some((digest, size?)))
            .collect();
        let mut missing = Vec::new();
        let mut blobs = Vec::with_capacity(leaves.len());
        for Leaf { mut blob, foreign } in leaves {
            match sizes.get(&blob.digest) {
                Some(size) => blob.size = *size,
                None if foreign => blob.is_here = false,
                None => {
                    missing.push(blob.digest);
                    continue;
                }
            }
            blobs.push(blob);
        }
        let gone = levels.iter().flatten().map(|it| &it.digest);
        missing.extend(gone.filter(|it| !sizes.contains_key(it)).cloned());
        let mut top = match levels.last().and_then(|level| level.first()) {
            Some(top) => top.clone(),
            None if missing.is_empty() => {
                return Err(Error::ManifestInvalid(format!(
                    "{} is neither a manifest nor an index",
                    top.digest
                )));
            }
            None => top.clone(),
        };
        top.size = sizes.get(&top.digest).copied().unwrap_or(top.size);
        let is_index = matches!(read(&documents, &top.digest), Some(Document::Index(_)));
        let referrer = |it: &Descriptor| {
            let size = sizes.get(&it.digest).copied();
            let size = size.unwrap_or(it.size);
            let sized = Descriptor { size, ..it.clone() };
            Referrer::of(&sized, read(&documents, &it.digest)?)
        };
        let referrers = levels.iter().flatten().filter_map(referrer);
        let referrers = referrers.map(|it| (it.descriptor.digest.clone(), it));
        let referrers = referrers.collect();
        Ok(Plan {
            is_index,
            top,
            referrers,
            levels,
            blobs,
            missing,
        })
    }
}

/// A document as far as it is here.
fn read<'d>(documents: &'d Documents, digest: &Digest) -> Option<&'d Document> {
    documents.get(digest)?.document.as_deref()
}

/// A blob as a document lists it.
struct Leaf {
    blob: Blob,
    /// It need not be here.
    foreign: bool,
}

#[derive(Default)]
struct Walk {
    levels: Vec<Vec<Descriptor>>,
    leaves: Vec<Leaf>,
    /// Positions in `leaves`.
    positions: HashMap<Digest, usize>,
}

/// Sorts what `top` reaches into levels and leaves. Loops rather than recurses, so
/// that depth costs no stack; content-addressing rules out circles.
fn walk(top: &Descriptor, documents: &Documents) -> Result<Walk> {
    let mut walk = Walk::default();
    let mut heights: HashMap<Digest, usize> = HashMap::new();
    let mut entered = HashSet::new();
    let mut stack = vec![(top.clone(), top.is_attestation(), false)];
    while let Some((descriptor, in_attestation, left)) = stack.pop() {
        let stored = documents.get(&descriptor.digest);
        let Some(document) = stored.and_then(|it| it.document.clone()) else {
            if stored.is_some() && is_document(&descriptor.media_type) {
                return Err(Error::ManifestInvalid(format!(
                    "{} is listed as a manifest but cannot be read as one",
                    descriptor.digest
                )));
            }
            walk.leaf(&descriptor, !in_attestation);
            continue;
        };
        if left {
            let children = document.children();
            let below = children.iter().filter_map(|it| heights.get(&it.digest));
            let height = below.max().map_or(0, |highest| highest + 1);
            if height >= MAX_LEVELS {
                return Err(Error::ManifestInvalid(format!(
                    "indexes are nested more than {MAX_INDEX_DEPTH} deep"
                )));
            }
            heights.insert(descriptor.digest.clone(), height);
            walk.levels
                .resize_with(walk.levels.len().max(height + 1), Vec::new);
            if let Some(level) = walk.levels.get_mut(height) {
                level.push(Descriptor {
                    media_type: document.media_type_as(&descriptor.media_type).to_owned(),
                    ..descriptor
                });
            }
            continue;
        }
        if !entered.insert(descriptor.digest.clone()) {
            continue;
        }
        match &*document {
            Document::Manifest(manifest) => {
                walk.leaf(&manifest.config, false);
                for layer in &manifest.layers {
                    walk.leaf(layer, !in_attestation);
                }
                stack.push((descriptor, in_attestation, true));
            }
            Document::Index(index) => {
                stack.push((descriptor, in_attestation, true));
                for child in index.manifests.iter().rev() {
                    let attests = in_attestation || child.is_attestation();
                    stack.push((child.clone(), attests, false));
                }
            }
        }
    }
    Ok(walk)
}

impl Walk {
    /// Adds a blob, or learns that one added before is to be shown.
    fn leaf(&mut self, descriptor: &Descriptor, is_shown: bool) {
        let foreign = media_type::kind(&descriptor.media_type) == Kind::ForeignLayer;
        let known = self.positions.get(&descriptor.digest);
        if let Some(known) = known.and_then(|position| self.leaves.get_mut(*position)) {
            known.blob.is_shown |= is_shown;
            known.foreign &= foreign;
            return;
        }
        self.positions
            .insert(descriptor.digest.clone(), self.leaves.len());
        self.leaves.push(Leaf {
            blob: Blob {
                digest: descriptor.digest.clone(),
                size: descriptor.size,
                is_here: true,
                is_shown,
            },
            foreign,
        });
    }
}

/// Whether content of this type can only be a manifest or an index.
fn is_document(media_type: &str) -> bool {
    let kind = media_type::kind(media_type);
    matches!(kind, Kind::Index | Kind::Manifest | Kind::Schema1)
}
