//! Layers as lists of entries: read out of the layer once, and kept by the store.

use std::cell::Cell;

use strata_oci::{
    Descriptor, Digest,
    archive::{BLOCK, Compression},
    layer::{List, MAX_LIST_BYTES, MAX_LIST_ENTRIES, TooLong},
};

use super::{
    content,
    root::gone,
    unpack::{Reader, Source},
};
use crate::{Body as _, Engine, Error, Host, Result, Store, pace::Pace};

/// What the store calls a layer's list. The number is that of its form.
const LAYER_LIST: &str = "layer-list-1";
/// Content from this size on is not read only to be passed over, where a layer allows it.
const JUMP_BYTES: u64 = 1 << 20;
/// Steps of [`Pace`] that reading one entry takes.
const ENTRY_STEPS: usize = 8;

/// What the lists of one file system take together: what is hidden or written twice makes
/// more entries than nodes, and several lists are in memory at a time. The bounds of one
/// list are those of all.
#[derive(Default)]
pub(crate) struct Budget {
    entries: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    fn take(&self, entries: usize, bytes: usize) -> Result<()> {
        self.entries.update(|sum| sum.saturating_add(entries));
        self.bytes.update(|sum| sum.saturating_add(bytes));
        let fits = self.entries.get() <= MAX_LIST_ENTRIES && self.bytes.get() <= MAX_LIST_BYTES;
        match fits {
            true => Ok(()),
            false => Err(Error::QuotaExceeded(format!(
                "the layers list more than {MAX_LIST_ENTRIES} entries, or names and attributes of more than {MAX_LIST_BYTES} bytes"
            ))),
        }
    }
}

impl<H: Host> Engine<H> {
    /// What a layer lists, as it was kept or is read now.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not here; [`Error::ManifestInvalid`] if it is no layer;
    /// [`Error::QuotaExceeded`] beyond a bound.
    pub(crate) async fn layer_list(&self, layer: &Descriptor, budget: &Budget) -> Result<List> {
        let kept = self.store.recall(&layer.digest, LAYER_LIST).await;
        // What cannot be recalled can be read again.
        if let Some(list) = kept.ok().flatten().and_then(List::parse) {
            budget.take(list.len(), list.weight())?;
            return Ok(list);
        }
        self.scan(layer, budget).await
    }

    /// What a layer lists, read now.
    ///
    /// # Errors
    /// As [`Engine::layer_list`].
    pub(crate) async fn scan(&self, layer: &Descriptor, budget: &Budget) -> Result<List> {
        let digest = &layer.digest;
        let start = Compression::HEAD_BYTES as u64;
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
        let mut list = List::new(is_plain);
        let mut pace = Pace::default();
        let located = |error| in_layer(digest, error);
        while let Some(entry) = reader.next().await.map_err(located)? {
            let offset = reader.offset();
            let size = reader.remaining();
            if is_plain && size >= JUMP_BYTES {
                let end = offset.saturating_add(size);
                if end > layer.size {
                    return Err(located(content::cut()));
                }
                // The last block may be missing some of its padding.
                let end = end.next_multiple_of(BLOCK as u64).min(layer.size);
                let rest = self.store.read(digest, end, None).await;
                reader.jump(rest.map_err(located)?, end);
            }
            let weight = list.weight();
            let pushed = list.push(&entry, offset).map_err(too_long);
            pushed.map_err(located)?;
            budget.take(1, list.weight().saturating_sub(weight))?;
            pace.steps(ENTRY_STEPS).await;
        }
        self.keep_list(digest, &list).await;
        Ok(list)
    }

    /// Has the store keep what a layer lists. That is no more than a help.
    pub(crate) async fn keep_list(&self, layer: &Digest, list: &List) {
        let _ = self.store.remember(layer, LAYER_LIST, list.encode()).await;
    }
}

/// What a list that would be too long is to a caller.
pub(crate) fn too_long(error: TooLong) -> Error {
    Error::QuotaExceeded(error.to_string())
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
