//! What operations on containers take and return.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use strata_oci::{Descriptor, Digest, Platform, Reference, config::ContainerConfig};

use crate::ChangeKind;

/// What to create.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// The image as typed: a reference, an ID or a prefix of one.
    pub image: String,
    /// Its name without slash; `None` makes one up.
    pub name: Option<String>,
    /// The platform to choose; `None` is the host's best.
    pub platform: Option<Platform>,
    /// What the caller wants; what it lacks comes from the image.
    pub config: ContainerConfig,
    /// How it would be run: kept and shown as it is.
    pub host_config: Option<Box<RawValue>>,
    /// Networks it would join: kept and shown as it is.
    pub networking_config: Option<Box<RawValue>>,
}

/// A container that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Texts for people.
    pub warnings: Vec<String>,
}

/// Which containers; every condition given must hold, one value of each is enough
/// except for labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFilters {
    /// Parts of IDs.
    pub ids: Vec<String>,
    /// Parts of names.
    pub names: Vec<String>,
    /// `k` or `k=v`, all must match.
    pub labels: Vec<String>,
    /// Images by reference or ID.
    pub ancestors: Vec<String>,
    /// `created` and the states no container here is ever in.
    pub statuses: Vec<String>,
    /// Only those created before each of these containers.
    pub before: Vec<String>,
    /// Only those created after each of these containers.
    pub since: Vec<String>,
}

/// What a listing of containers computes.
#[derive(Clone, Debug, Default)]
pub struct ContainerListOptions {
    /// Also containers that do not run: all there are.
    pub all: bool,
    /// At most this many, the newest; implies `all`.
    pub limit: Option<usize>,
    /// Fill the sizes.
    pub size: bool,
    /// Which. A status implies `all`.
    pub filters: ContainerFilters,
    /// Which members of the host config to return: all of it for each of many containers
    /// would be much.
    pub host_members: &'static [&'static str],
}

/// One container in a listing.
#[derive(Clone, Debug)]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name without slash.
    pub name: String,
    /// The image as typed; its ID when that name has moved on or gone.
    pub image: String,
    /// Digest of the image's target.
    pub image_id: Digest,
    /// The platform's manifest.
    pub manifest: Descriptor,
    /// Entrypoint and command.
    pub command: Vec<String>,
    /// Unix seconds.
    pub created: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// As given at creation, but only the members asked for.
    pub host_config: Option<Box<RawValue>>,
    /// Bytes of the files changed since, when asked for.
    pub size_changed: Option<u64>,
    /// Bytes of all its files, when asked for.
    pub size_total: Option<u64>,
    /// Why it cannot be read, for people. Its names and when it was named are all there is then.
    pub damaged: Option<String>,
}

/// One container in full.
#[derive(Clone, Debug)]
pub struct ContainerDetails {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name without slash.
    pub name: String,
    /// The image as typed.
    pub image: String,
    /// Digest of the image's target.
    pub image_id: Digest,
    /// The platform's manifest.
    pub manifest: Descriptor,
    /// The platform chosen.
    pub platform: Platform,
    /// Unix seconds and nanoseconds.
    pub created: (i64, u32),
    /// Its config, with what the image gave.
    pub config: ContainerConfig,
    /// As given at creation.
    pub host_config: Option<Box<RawValue>>,
    /// As given at creation.
    pub networking_config: Option<Box<RawValue>>,
    /// Bytes of the files changed since. Cheap, so always there.
    pub size_changed: u64,
    /// Bytes of all its files, when asked for.
    pub size_total: Option<u64>,
    /// Why it cannot be read, for people; only among others. Its names and when it was named are
    /// all there is then.
    pub damaged: Option<String>,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
}

/// A path as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStat {
    /// Last component of the path as asked for, `/` for the root.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Bytes of a file, else 0.
    pub size: u64,
    /// At most `0o7777`.
    pub mode: u32,
    /// Unix seconds.
    pub modified: i64,
    /// Where a symbolic link leads: absolute, resolved inside the container; else empty.
    pub link_target: String,
}

/// How a tar is copied in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyInOptions {
    /// Refuse to replace a directory by something else, or the other way round.
    pub no_overwrite_dir_non_dir: bool,
    /// Everything belongs to the container's user.
    pub copy_uid_gid: bool,
}

/// A path that differs from the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPath {
    /// Absolute.
    pub path: String,
    /// How.
    pub kind: ChangeKind,
}

/// What a committed image shall be.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// Its name; without tag `latest`. `None` leaves the image dangling.
    pub reference: Option<Reference>,
    /// Comment of its new history entry.
    pub comment: String,
    /// Who made it; empty is who made the container's image.
    pub author: String,
    /// Dockerfile instructions, see [`strata_oci::instruction`].
    pub changes: Vec<String>,
    /// In place of the container's config; its holes are filled from that.
    pub config: Option<ContainerConfig>,
}
