//! The engine as this face asks it.

use std::rc::Rc;

use strata_engine::{
    ArchiveSink, ChangedPath, Clock, CommitOptions, Completed, ContainerDetails,
    ContainerListOptions, ContainerSummary, CopyInOptions, CreateOptions, Created, Engine, Filters,
    HistoryEntry, ImageDetails, ImageSummary, ImportOptions, ImportSource, InspectOptions,
    ListOptions, LoadOptions, Loaded, ManifestSummary, PathStat, Progress, Pruned, PullOptions,
    PushOptions, Removal, RemoveOptions, Result, SaveOptions, Silent, Store, Transport,
};
use strata_oci::{Digest, Labels, Platform, Reference};

use crate::operations::{HostFacts, Operations};

/// An engine, and the host it is lent what it works with by.
pub struct Serving<S: Store, T: Transport<Body = S::Body>, C: Clock> {
    /// The engine.
    pub engine: Rc<Engine<(S, T, C)>>,
    /// Facts about the host.
    pub host: Rc<HostFacts>,
}

impl<S, T, C> Operations for Serving<S, T, C>
where
    S: Store,
    T: Transport<Body = S::Body>,
    C: Clock,
{
    type Body = S::Body;

    async fn push(&self, options: &PushOptions, progress: &dyn Progress) -> Result<Vec<Completed>> {
        self.engine.push(options, progress).await
    }

    async fn save<W: ArchiveSink<S::Body>>(
        &self,
        options: &SaveOptions,
        sink: &mut W,
    ) -> Result<()> {
        self.engine.save(options, sink, &Silent).await
    }

    async fn load(
        &self,
        body: S::Body,
        options: &LoadOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>> {
        self.engine.load(body, options, progress).await
    }

    async fn pull(&self, options: &PullOptions, progress: &dyn Progress) -> Result<Vec<Completed>> {
        self.engine.pull(options, progress).await
    }

    async fn import(
        &self,
        source: ImportSource<S::Body>,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        self.engine.import(source, options, progress).await
    }

    async fn commit(&self, container: &str, options: &CommitOptions) -> Result<Digest> {
        self.engine.commit(container, options, &Silent).await
    }

    async fn create_container(&self, options: &CreateOptions) -> Result<Created> {
        self.engine.create_container(options).await
    }

    async fn containers(&self, options: &ContainerListOptions) -> Result<Vec<ContainerSummary>> {
        self.engine.containers(options).await
    }

    async fn container(&self, name: &str, size: bool) -> Result<ContainerDetails> {
        self.engine.container(name, size).await
    }

    async fn remove_container(&self, name: &str) -> Result<()> {
        self.engine.remove_container(name).await
    }

    async fn wait_removed(&self, id: &str) -> Result<()> {
        self.engine.wait_removed(id).await
    }

    async fn container_count(&self) -> Result<usize> {
        self.engine.container_count().await
    }

    async fn stat_path(&self, container: &str, path: &[u8]) -> Result<PathStat> {
        self.engine.stat_path(container, path).await
    }

    async fn copy_out<W: ArchiveSink<S::Body>>(
        &self,
        container: &str,
        path: &[u8],
        sink: &mut W,
    ) -> Result<()> {
        self.engine.copy_out(container, path, sink).await
    }

    async fn copy_in(
        &self,
        container: &str,
        path: &[u8],
        archive: S::Body,
        options: &CopyInOptions,
    ) -> Result<()> {
        let copied = self
            .engine
            .copy_in(container, path, archive, options, &Silent);
        copied.await
    }

    async fn changes(&self, container: &str) -> Result<Vec<ChangedPath>> {
        self.engine.changes(container).await
    }

    async fn export<W: ArchiveSink<S::Body>>(&self, container: &str, sink: &mut W) -> Result<()> {
        self.engine.export(container, sink, &Silent).await
    }

    async fn list(&self, options: &ListOptions) -> Result<Vec<Rc<ImageSummary>>> {
        self.engine.list(options).await
    }

    async fn labels(&self, image: &ImageSummary) -> Result<Option<Rc<Labels>>> {
        self.engine.labels(image).await
    }

    async fn manifests(&self, image: &ImageSummary) -> Result<Vec<ManifestSummary>> {
        self.engine.manifests(image).await
    }

    async fn inspect(&self, name: &str, options: &InspectOptions) -> Result<ImageDetails> {
        self.engine.inspect(name, options).await
    }

    async fn history(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<HistoryEntry>> {
        self.engine.history(name, platform).await
    }

    async fn tag(&self, source: &str, target: &Reference) -> Result<()> {
        self.engine.tag(source, target).await
    }

    async fn remove(&self, name: &str, options: &RemoveOptions) -> Result<Vec<Removal>> {
        self.engine.remove(name, options).await
    }

    async fn prune(&self, filters: &Filters) -> Result<Pruned> {
        self.engine.prune(filters).await
    }

    async fn image_count(&self) -> Result<usize> {
        self.engine.image_count().await
    }

    fn host(&self) -> &HostFacts {
        &self.host
    }

    fn now(&self) -> (i64, u32) {
        self.engine.now()
    }
}
