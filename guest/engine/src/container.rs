//! Containers that are created but never run: an image and what was changed since.
//!
//! A container is a name in the name space `containers` ([`record`]). It points at an
//! index of two manifests: the image's, and one with the container's record as config and
//! its changes as layers, so that what keeps images keeps containers. The file system is
//! never unpacked: its layers are read into a tree of names ([`crate::rootfs`]) that knows where
//! content lies, and what goes in becomes another layer ([`copy_in`]).

mod changes;
mod commit;
mod copy_in;
mod copy_out;
mod create;
mod find;
mod inspect;
mod list;
mod model;
mod name;
mod owner;
mod place;
mod record;
mod remove;
mod root;
mod stat;

#[cfg(test)]
mod tests;

pub use model::{
    ChangedPath, CommitOptions, ContainerDetails, ContainerFilters, ContainerListOptions,
    ContainerSummary, CopyInOptions, CreateOptions, Created, FileKind, PathStat,
};
