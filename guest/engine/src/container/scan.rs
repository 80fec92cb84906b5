//! Layers as lists of entries.

use std::cell::Cell;

use strata_oci::{
    Descriptor, Digest,
    archive::{BLOCK, Compression},
    layer::{Entry, Kind, MAX_NODES},
};

use super::{
    content,
    reader::{Reader, Source},
    root::{Layer, gone},
};
use crate::{Body as _, Engine, Error, Result, Store};

/// Entries that the layers read for one file system may have together. What is hidden or
/// written twice makes more of them than of nodes; each takes about 200 bytes until its
/// layer is applied.
const MAX_ENTRIES: usize = 2 * MAX_NODES;
/// Content from this size on is not read only to be passed over, where a layer allows it.
const JUMP_BYTES: u64 = 1 << 20;

/// An entry of a layer, and where its content begins.
pub(super) type Located = (Entry, u64);

impl<S: Store, T, C> Engine<S, T, C> {
    /// What a layer lists. `count` counts the entries of all of them.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not here; [`Error::ManifestInvalid`] if it is no layer;
    /// [`Error::QuotaExceeded`] beyond a bound.
    pub(super) async fn layer(
        &self,
        descriptor: &Descriptor,
        count: &Cell<usize>,
    ) -> Result<(Layer, Vec<Located>)> {
        let digest = &descriptor.digest;
        let start = Compression::MAGIC_BYTES as u64;
        let mut body = match self.store.read(digest, 0, Some(start)).await {
            Err(Error::NotFound(_)) => return Err(gone(digest)),
            body => body?,
        };
        let mut magic = Vec::new();
        while let Some(chunk) = body.chunk().await? {
            magic.extend(chunk);
        }
        let is_plain = Compression::of(&magic) == Compression::Plain;
        let body = self.store.read(digest, 0, None).await?;
        let body = match is_plain {
            true => body,
            false => self.store.decompress(body).await?,
        };
        let mut reader = Reader::new(body, Source::Layer);
        let mut entries = Vec::new();
        let located = |error| in_layer(digest, error);
        while let Some(entry) = reader.next().await.map_err(located)? {
            count.set(count.get() + 1);
            if count.get() > MAX_ENTRIES {
                return Err(Error::QuotaExceeded(format!(
                    "the layers list more than {MAX_ENTRIES} entries"
                )));
            }
            let offset = reader.offset();
            if let Kind::File(size) = entry.kind
                && is_plain
                && size >= JUMP_BYTES
            {
                let end = offset.saturating_add(size);
                if end > descriptor.size {
                    return Err(located(content::cut()));
                }
                // The last block may be missing some of its padding.
                let end = end.next_multiple_of(BLOCK as u64).min(descriptor.size);
                let rest = self.store.read(digest, end, None).await;
                reader.jump(rest.map_err(located)?, end);
            }
            entries.push((entry, offset));
        }
        let digest = digest.clone();
        Ok((Layer { digest, is_plain }, entries))
    }
}

/// Says which layer it is that is broken.
fn in_layer(digest: &Digest, error: Error) -> Error {
    match error {
        Error::ManifestInvalid(text) => Error::ManifestInvalid(format!("layer {digest}: {text}")),
        Error::InvalidArgument(text) => Error::ManifestInvalid(format!("layer {digest}: {text}")),
        Error::Unsupported(text) => Error::Unsupported(format!("layer {digest}: {text}")),
        Error::QuotaExceeded(text) => Error::QuotaExceeded(format!("layer {digest}: {text}")),
        error => error,
    }
}
