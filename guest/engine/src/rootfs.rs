//! File systems of images: never unpacked, but read into a tree of names that knows where in
//! which layer content lies.
//!
//! A layer is read once into a list of its entries ([`scan`], [`unpack`]), lists are put on top of
//! each other ([`root`]), what differs between two trees is another layer ([`diff`], [`layer`]), and
//! part of a tree is a tar ([`pack`]), whose content is read out of the layers ([`content`]).

mod content;
mod diff;
mod layer;
mod pack;
mod path;
mod root;
mod scan;
mod unpack;

pub(crate) use content::{Contents, Filled, Span, spans, zeros};
pub use diff::ChangeKind;
pub(crate) use diff::{copies_damaged, deltas};
pub(crate) use layer::Writer;
pub(crate) use pack::{Naming, PROGRESS_BYTES, Packing, whiteout};
pub(crate) use path::{is_below, join, shown, split};
pub(crate) use root::{Layer, Root, Roots, gone, refused};
pub(crate) use unpack::{Reader, Source};
