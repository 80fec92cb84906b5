//! File systems in layers: tar entries with all they say, whiteouts, and the tree that layers make together.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>
//!
//! Names are bytes, as in Linux: slash-separated, relative to the root, without `.`, `..`, doubled or trailing slashes;
//! the root is the empty name. Nothing here does I/O: [`Parser`] takes bytes as they arrive, [`header`] makes them, and a
//! [`Tree`] remembers where content lies ([`Content`]), not the content; a [`List`] is what a layer says, in few bytes.

mod entry;
mod header;
mod list;
mod name;
mod parser;
mod tree;
mod varint;

pub use crate::archive::{Fragment, Sparse};
pub use entry::{Entry, Kind, Metadata, Whiteout};
pub use header::header;
pub use list::{Entries, List, MAX_LIST_BYTES, MAX_LIST_ENTRIES, TooLong};
pub use parser::{Parser, Step};
pub use tree::{Content, Node, NodeId, NodeKind, Order, Pair, Pairs, PathError, Tree, TreeError};

use tree::{put_fragments, take_fragments};

#[cfg(test)]
mod tests;

/// What a whiteout's last component starts with; the name it removes follows.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// The last component of the whiteout that hides everything lower layers have in its directory.
pub const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";
/// The most nodes a [`Tree`] may have. The largest images seen have four hundred thousand; each takes 80 bytes.
pub const MAX_NODES: usize = 500_000;
/// The most bytes of names, link targets and attributes a [`Tree`] may have; of a name only the last component counts.
/// Those of the largest images have a tenth of that; compressed, long ones cost nothing.
pub const MAX_TREE_BYTES: usize = 64 << 20;
/// The most directories that the names of one layer may lead through, those of entries that follow each other in one
/// directory counted once. Layers of the largest images have a tenth of that.
pub const MAX_STEPS: usize = 16_000_000;
/// The most symbolic links followed to resolve one path: Linux's limit.
pub const MAX_LINKS: usize = 40;
