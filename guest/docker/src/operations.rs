//! What this face asks of the engine and its host.

use std::rc::Rc;

use strata_engine::{
    ArchiveSink, ChangedPath, CommitOptions, Completed, ContainerDetails, ContainerListOptions,
    ContainerSummary, CopyInOptions, CreateOptions, Created, Filters, HistoryEntry, ImageDetails,
    ImageSummary, ImportOptions, ImportSource, InspectOptions, ListOptions, LoadOptions, Loaded,
    ManifestSummary, Mirror, PathStat, Progress, Pruned, PullOptions, PushOptions, Removal,
    RemoveOptions, Result, SaveOptions,
};
use strata_oci::{Digest, Labels, Platform, Reference};

/// What `/info` and `/version` tell about the host.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// strata's version.
    pub version: String,
    /// The platform images are chosen for.
    pub platform: Platform,
    /// Name of the machine.
    pub hostname: String,
    /// Number of logical processors.
    pub processors: u32,
    /// Bytes of main memory.
    pub memory: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Folder of the store.
    pub root: String,
    /// Registries tried first.
    pub mirrors: Vec<Mirror>,
    /// `host` or `host:port` reached by plain HTTP besides loopback.
    pub insecure_registries: Vec<String>,
    /// Names this store for as long as it exists.
    pub id: String,
}

/// The engine's image operations; each is documented at `strata_engine::Engine`.
#[expect(missing_docs, reason = "the engine documents each operation")]
pub trait Operations {
    /// Content that is read as it comes: a request's body, or a blob of the store.
    type Body;

    async fn pull(&self, options: &PullOptions, progress: &dyn Progress) -> Result<Vec<Completed>>;
    async fn push(&self, options: &PushOptions, progress: &dyn Progress) -> Result<Vec<Completed>>;
    /// Without progress: an archive has no place for it.
    async fn save<W: ArchiveSink<Self::Body>>(
        &self,
        options: &SaveOptions,
        sink: &mut W,
    ) -> Result<()>;
    async fn load(
        &self,
        body: Self::Body,
        options: &LoadOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>>;
    async fn import(
        &self,
        source: ImportSource<Self::Body>,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<Digest>;
    /// Without progress: the answer is one document.
    async fn commit(&self, container: &str, options: &CommitOptions) -> Result<Digest>;
    async fn create_container(&self, options: &CreateOptions) -> Result<Created>;
    async fn containers(&self, options: &ContainerListOptions) -> Result<Vec<ContainerSummary>>;
    async fn container(&self, name: &str, size: bool) -> Result<ContainerDetails>;
    async fn remove_container(&self, name: &str) -> Result<()>;
    /// Returns when no container has this ID any more.
    async fn wait_removed(&self, id: &str) -> Result<()>;
    async fn container_count(&self) -> Result<usize>;
    async fn stat_path(&self, container: &str, path: &[u8]) -> Result<PathStat>;
    /// Without progress: an archive has no place for it.
    async fn copy_out<W: ArchiveSink<Self::Body>>(
        &self,
        container: &str,
        path: &[u8],
        sink: &mut W,
    ) -> Result<()>;
    /// Without progress: the answer is empty.
    async fn copy_in(
        &self,
        container: &str,
        path: &[u8],
        archive: Self::Body,
        options: &CopyInOptions,
    ) -> Result<()>;
    async fn changes(&self, container: &str) -> Result<Vec<ChangedPath>>;
    /// Without progress: an archive has no place for it.
    async fn export<W: ArchiveSink<Self::Body>>(&self, container: &str, sink: &mut W)
    -> Result<()>;
    async fn list(&self, options: &ListOptions) -> Result<Vec<Rc<ImageSummary>>>;
    async fn labels(&self, image: &ImageSummary) -> Result<Option<Rc<Labels>>>;
    async fn manifests(&self, image: &ImageSummary) -> Result<Vec<ManifestSummary>>;
    async fn inspect(&self, name: &str, options: &InspectOptions) -> Result<ImageDetails>;
    async fn history(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<HistoryEntry>>;
    async fn tag(&self, source: &str, target: &Reference) -> Result<()>;
    async fn remove(&self, name: &str, options: &RemoveOptions) -> Result<Vec<Removal>>;
    async fn prune(&self, filters: &Filters) -> Result<Pruned>;
    async fn image_count(&self) -> Result<usize>;

    /// Facts about the host; read for every response, so it lends them.
    fn host(&self) -> &HostFacts;

    /// Seconds and nanoseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> (i64, u32);
}
