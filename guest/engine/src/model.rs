//! What operations take and return, as the engine sees it. The faces give these
//! their wire shapes.

use std::rc::Rc;

use strata_oci::{Descriptor, Digest, ImageConfig, Labels, Platform};

use crate::{RegistryAuth, Shown};

/// What to pull.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// Normalised; without tag and digest it means every tag if `all_tags`,
    /// else `latest`.
    pub reference: strata_oci::Reference,
    /// Every tag of the repository.
    pub all_tags: bool,
    /// Each of these, of an index; none is the host's best.
    pub platforms: Vec<Platform>,
    /// All an index lists, `platforms` or not.
    pub all_platforms: bool,
    /// Credentials.
    pub auth: RegistryAuth,
    /// Extra headers for the registry (`X-Meta-*`).
    pub headers: Vec<(String, String)>,
}

/// What to push.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// Normalised; without tag and digest it means every tag that is here if
    /// `all_tags`, else `latest`.
    pub reference: strata_oci::Reference,
    /// Every tag of the repository.
    pub all_tags: bool,
    /// Exactly this platform's manifest, under the tag; `None` is all of the image.
    pub platform: Option<Platform>,
    /// Credentials.
    pub auth: RegistryAuth,
    /// Extra headers for the registry (`X-Meta-*`).
    pub headers: Vec<(String, String)>,
}

/// Which images; every condition given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Shell patterns for names, any may match.
    pub references: Vec<String>,
    /// `k`, `k=v` or `k!=v`, all must match.
    pub labels: Vec<String>,
    /// `k` or `k=v`, none may match.
    pub without_labels: Vec<String>,
    /// Only untagged (`true`), only tagged (`false`).
    pub dangling: Option<bool>,
    /// Older than each of these images.
    pub before: Vec<String>,
    /// Younger than each of these images.
    pub since: Vec<String>,
    /// Records older than this, Unix seconds.
    pub until: Option<i64>,
}

/// What a listing computes.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Which images.
    pub filters: Filters,
    /// Compute [`ImageSummary::shared_size`].
    pub shared_size: bool,
    /// Fill [`ImageSummary::manifests`].
    pub manifests: bool,
}

/// One image in a listing.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// The target; its digest is the image ID.
    pub target: Descriptor,
    /// Familiar names, each as `repository:tag` or, if set by digest alone, `repository@digest`.
    pub tags: Vec<String>,
    /// Familiar `repository@digest`; the bare digest when no platform is here.
    pub digests: Vec<String>,
    /// Unix seconds; 0 when unknown.
    pub created: i64,
    /// Bytes of content here, all platforms.
    pub size: u64,
    /// Bytes shared with other images, when asked for.
    pub shared_size: Option<u64>,
    /// Labels of the image config: `Engine::labels` has them.
    pub labels: Listed,
    /// The config the labels are in; `None` when no platform of the image is here.
    pub config: Option<Digest>,
    /// Containers made from it; `None` when no platform of the image is here.
    pub containers: Option<u32>,
    /// Parent image (classic builder), if any.
    pub parent: Option<Digest>,
    /// When asked for: every manifest of the target.
    pub manifests: Vec<ManifestSummary>,
    /// Manifests were asked for, but are too many to hold with those of other images: see
    /// [`Engine::manifests`](crate::Engine::manifests).
    pub manifests_later: bool,
    /// Why the image cannot be read, or not all of it, for people.
    pub damaged: Option<Rc<str>>,
    /// The entry as a face wrote it.
    pub shown: Shown,
}

/// Where the labels of a listed image are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listed {
    /// No platform of the image is here.
    #[default]
    None,
    /// The labels themselves.
    Here(Rc<Labels>),
    /// The config they are in: they are too heavy to be held by a listing.
    InConfig(Digest),
}

/// One manifest of an image.
#[derive(Clone, Debug)]
pub struct ManifestSummary {
    /// Its descriptor, as in the index.
    pub descriptor: Descriptor,
    /// Config and every layer are here.
    pub available: bool,
    /// Bytes of its content that are here, the manifest included.
    pub content_size: u64,
    /// What it is.
    pub kind: ManifestKind,
}

/// What a manifest of an image is.
#[derive(Clone, Debug)]
pub enum ManifestKind {
    /// An image for a platform.
    Image {
        /// The platform.
        platform: Platform,
        /// IDs of containers made from it.
        containers: Vec<String>,
    },
    /// An attestation about another manifest.
    Attestation {
        /// That manifest.
        subject: Digest,
    },
    /// Anything else.
    Unknown,
}

/// One image in full, for one platform.
#[derive(Clone, Debug)]
pub struct ImageDetails {
    /// What the ID names: the target, or the platform's manifest if one was
    /// asked for.
    pub target: Descriptor,
    /// Every familiar name.
    pub tags: Vec<String>,
    /// Every familiar `repository@digest`.
    pub digests: Vec<String>,
    /// The chosen platform's config; `None` when no platform is here.
    pub config: Option<Rc<ImageConfig>>,
    /// Its bytes as stored.
    pub config_bytes: Option<Rc<[u8]>>,
    /// Compressed bytes of the chosen platform's content.
    pub size: u64,
    /// When a name was last set to it: Unix seconds and nanoseconds.
    pub last_tagged: Option<(i64, u32)>,
    /// When asked for: every manifest of the target.
    pub manifests: Vec<ManifestSummary>,
    /// Repositories it was pulled from or pushed to, canonical, no tag.
    pub sources: Vec<String>,
    /// Why the image cannot be read, or not all of it, for people.
    pub damaged: Option<String>,
}

/// What `inspect` computes.
#[derive(Clone, Debug, Default)]
pub struct InspectOptions {
    /// Exactly this platform; `None` is the host's best.
    pub platform: Option<Platform>,
    /// Fill [`ImageDetails::manifests`].
    pub manifests: bool,
}

/// One step of an image's history, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Image ID where known.
    pub id: Option<Digest>,
    /// Unix seconds; 0 when unknown.
    pub created: i64,
    /// The instruction as recorded.
    pub created_by: String,
    /// Familiar names of `id`.
    pub tags: Vec<String>,
    /// Uncompressed bytes of its layer.
    pub size: u64,
    /// Comment.
    pub comment: String,
}

/// One thing `remove` or `prune` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A familiar name (for a dangling image its bare digest) is gone.
    Untagged(String),
    /// A manifest or index is gone.
    Deleted(Digest),
}

/// What a prune did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// In the order done.
    pub removals: Vec<Removal>,
    /// Bytes of blobs really gone.
    pub reclaimed: u64,
    /// Why content that nothing is known to need was kept, all of it or what is left, for people.
    pub kept: Option<String>,
}

/// What `remove` is asked.
#[derive(Clone, Debug, Default)]
pub struct RemoveOptions {
    /// Also when used or in several repositories.
    pub force: bool,
    /// Keep untagged parents.
    pub no_prune: bool,
    /// Remove only the content of these platforms.
    pub platforms: Vec<Platform>,
}

/// What to save.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    /// Names and IDs, as typed; none gives an archive without images.
    pub names: Vec<String>,
    /// Exactly these platforms, each of which every image must have; none is all
    /// that is here.
    pub platforms: Vec<Platform>,
}

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Exactly these platforms, one of which every image must have; none is all
    /// that the archive has.
    pub platforms: Vec<Platform>,
}

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its familiar name; `None` if the archive has none for it.
    pub name: Option<String>,
    /// Digest of its target.
    pub id: Digest,
}
