//! File systems in layers: tar entries with all they say, whiteouts, and the tree that layers make together.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>
//!
//! Names are bytes, as in Linux: slash-separated, relative to the root, without `.`, `..`, doubled or trailing slashes;
//! the root is the empty name. Nothing here does I/O: [`Parser`] takes bytes as they arrive, [`header`] makes them, and a
//! [`Tree`] remembers where content lies ([`Content`]), not the content.

mod entry;
mod header;
mod name;
mod parser;
mod tree;

pub use entry::{Entry, Kind, Metadata, Whiteout};
pub use header::header;
pub use parser::{Parser, Step};
pub use tree::{Content, Node, NodeKind, PathError, Tree, TreeError};

#[cfg(test)]
mod tests;

/// What a whiteout's last component starts with; the name it removes follows.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// The last component of the whiteout that hides everything lower layers have in its directory.
pub const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";
/// The most nodes a [`Tree`] may have. The largest images seen have four hundred thousand; each takes
/// about 300 bytes with its name.
pub const MAX_NODES: usize = 500_000;
/// The most bytes of names, link targets and attributes a [`Tree`] may have. The names of the largest
/// images have a third of that; compressed, long ones cost nothing.
pub const MAX_TREE_BYTES: usize = 128 << 20;
/// The most symbolic links followed to resolve one path: Linux's limit.
pub const MAX_LINKS: usize = 40;
