//! Reading images: list, inspect, history, and what they share.
//!
//! An image is a target digest with at least one name in [`NAMESPACE`]. Names are read once per
//! generation of the store ([`snapshot`]); what documents say never changes and is kept by digest
//! ([`cache`]). So a warm read asks the store for its generation and for little else.
//!
//! Nothing here changes the store.

mod cache;
mod children;
mod config;
mod containers;
mod content;
mod documents;
mod facts;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
mod history;
mod inspect;
mod list;
mod referrers;
mod resolve;
mod settled;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;
mod walk;
mod weight;

use std::{cell::RefCell, rc::Rc};

use strata_oci::Digest;

use crate::{Engine, Host, Result};
use cache::Bounded;
use config::{Config, Known};
use content::Content;
use facts::Origin;
use view::Shelf;

pub(crate) use children::CHILDREN;
pub(crate) use containers::{Basis, CONTAINERS, Container};
pub(crate) use content::Content as Visit;
pub(crate) use documents::{Documents, may_be_document};
pub(crate) use filter::Selection;
pub(crate) use referrers::{REFERRERS, Referrer, ReferrerName};
pub(crate) use resolve::{By, Found, same_repository};
pub(crate) use snapshot::{Foreign, Image, ImageName, LOST, Snapshot, lost};
pub(crate) use view::View;
pub(crate) use walk::{Visited, Walk};

/// The name space of image names. A name is a canonical reference, or
/// [`DANGLING_PREFIX`] and a digest.
pub(crate) const NAMESPACE: &str = "images";
/// What the hidden name of an untagged image starts with, as in dockerd; its
/// digest follows. Such a name keeps an image that has lost its last name.
pub(crate) const DANGLING_PREFIX: &str = "moby-dangling@";
/// What the labels start with that say where an image came from: a registry's
/// domain follows, and the value lists repository paths, separated by commas.
pub(crate) const SOURCE_LABEL: &str = "source.";

/// Bytes of memory for manifests and indexes: those of some five thousand images.
const DOCUMENT_CACHE: usize = 16 << 20;
/// Bytes of memory for configs kept whole, for `inspect`: about five hundred.
const CONFIG_CACHE: usize = 8 << 20;
/// Bytes of memory for the essentials of configs, for `list`: about ten thousand.
const ESSENTIALS_CACHE: usize = 8 << 20;
/// Bytes of memory for the uncompressed sizes of layers, for `history`.
const LAYER_CACHE: usize = 8 << 20;

/// What the engine remembers of the store. Everything in it can be read again.
pub(crate) struct Catalog {
    /// The names, as of one generation.
    snapshot: RefCell<Option<Rc<Snapshot>>>,
    /// Manifests and indexes by digest, and what bytes are that are neither.
    documents: RefCell<Bounded<Digest, (Content, Origin)>>,
    /// Configs by digest.
    configs: RefCell<Bounded<Digest, Rc<Config>>>,
    /// What a listing needs of a config, by its digest.
    essentials: RefCell<Bounded<Digest, Known>>,
    /// Uncompressed sizes of layers by their digest.
    layers: RefCell<Bounded<Digest, u64>>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            snapshot: RefCell::default(),
            documents: RefCell::new(Bounded::new(DOCUMENT_CACHE)),
            configs: RefCell::new(Bounded::new(CONFIG_CACHE)),
            essentials: RefCell::new(Bounded::new(ESSENTIALS_CACHE)),
            layers: RefCell::new(Bounded::new(LAYER_CACHE)),
        }
    }
}

impl<H: Host> Engine<H> {
    /// How many images there are: distinct targets.
    ///
    /// # Errors
    /// As the store's `names`.
    pub async fn image_count(&self) -> Result<usize> {
        Ok(self.snapshot().await?.images.len())
    }
}
