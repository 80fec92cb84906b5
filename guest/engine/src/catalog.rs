//! Reading images: list, inspect, history, and what they share.
//!
//! An image is a target digest with at least one name in [`NAMESPACE`]. Names are read once per
//! generation of the store ([`snapshot`]); what documents say never changes and is kept by digest
//! ([`cache`]). So a warm read asks the store for its generation and for little else.
//!
//! Nothing here changes the store.

mod cache;
mod containers;
mod documents;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
mod history;
mod inspect;
mod list;
mod referrers;
mod resolve;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;

use std::{cell::RefCell, rc::Rc};

use strata_oci::Document;

use crate::{Engine, Result, Store, container::Roots};
use cache::Bounded;
use documents::{Config, Essentials};

pub(crate) use containers::{Basis, CONTAINERS, Container};
pub(crate) use documents::{Documents, may_be_document};
pub(crate) use filter::Selection;
pub(crate) use referrers::{Companion, REFERRERS, Referrer};
pub(crate) use resolve::{By, Found, same_repository};
pub(crate) use snapshot::{Image, ImageName, Snapshot};
pub(crate) use view::View;

/// The name space of image names. A name is a canonical reference, or
/// [`DANGLING_PREFIX`] and a digest.
pub(crate) const NAMESPACE: &str = "images";
/// What the hidden name of an untagged image starts with, as in dockerd; its
/// digest follows. Such a name keeps an image that has lost its last name.
pub(crate) const DANGLING_PREFIX: &str = "moby-dangling@";
/// What the labels start with that say where an image came from: a registry's
/// domain follows, and the value lists repository paths, separated by commas.
pub(crate) const SOURCE_LABEL: &str = "source.";

/// Bytes of manifests and indexes kept parsed: those of some ten thousand
/// images. Parsed they take about three times as much memory.
const DOCUMENT_CACHE: usize = 16 << 20;
/// Bytes of configs kept whole, for `inspect`: about a thousand.
const CONFIG_CACHE: usize = 8 << 20;
/// Configs whose essentials are kept, for `list`; about 1 KiB each.
const ESSENTIALS_CACHE: usize = 16_384;
/// Layers whose uncompressed size is kept, for `history`; about 100 bytes each.
const LAYER_CACHE: usize = 65_536;

/// What the engine remembers of the store. Everything in it can be read again.
pub(crate) struct Catalog {
    /// The names, as of one generation.
    snapshot: RefCell<Option<Rc<Snapshot>>>,
    /// Manifests and indexes by digest; `None` for bytes that are neither.
    documents: RefCell<Bounded<Option<Rc<Document>>>>,
    /// Configs by digest.
    configs: RefCell<Bounded<Rc<Config>>>,
    /// What a listing needs of a config, by its digest.
    essentials: RefCell<Bounded<Rc<Essentials>>>,
    /// Uncompressed sizes of layers by their digest.
    layers: RefCell<Bounded<u64>>,
    /// File systems looked into last. Nobody waits for one that another request makes: that
    /// may take as long as its client likes.
    pub(crate) roots: RefCell<Roots>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            snapshot: RefCell::default(),
            documents: RefCell::new(Bounded::new(DOCUMENT_CACHE)),
            configs: RefCell::new(Bounded::new(CONFIG_CACHE)),
            essentials: RefCell::new(Bounded::new(ESSENTIALS_CACHE)),
            layers: RefCell::new(Bounded::new(LAYER_CACHE)),
            roots: RefCell::default(),
        }
    }
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// How many images there are: distinct targets.
    ///
    /// # Errors
    /// As the store's `names`.
    pub async fn image_count(&self) -> Result<usize> {
        Ok(self.snapshot().await?.images.len())
    }
}
