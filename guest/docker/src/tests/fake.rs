//! A scripted engine.
#![expect(
    clippy::unused_async,
    reason = "operations are as asynchronous as the engine's"
)]

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use strata_engine::{
    ArchiveSink, Body, ChangedPath, CommitOptions, Completed, ContainerDetails,
    ContainerListOptions, ContainerSummary, CopyInOptions, CreateOptions, Created, Error, Event,
    FileKind, Filters, HistoryEntry, Host, ImageDetails, ImageSummary, ImportOptions, ImportSource,
    InspectOptions, ListOptions, Listed, LoadOptions, Loaded, ManifestSummary, Mirror, PathStat,
    Progress, Pruned, PullOptions, PushOptions, Removal, RemoveOptions, Result, SaveOptions,
    Settings, Silent,
    memory::{Bytes, Memory, Offline, Stopped},
};
use strata_oci::{Descriptor, Digest, Labels, Platform, Reference, media_type::OCI_INDEX};

use super::client::pause;
use crate::HostFacts;

/// What a scripted operation with progress or an archive does next.
pub(super) enum Scripted<B> {
    Report(Event),
    /// Bytes of an archive.
    Write(Vec<u8>),
    /// Content of an archive, with the length it is said to have.
    Copy(B, u64),
    /// Lets others run once.
    Yield,
    Fail(Error),
    /// Never goes on.
    Hang,
}

pub(super) type Step = Scripted<Bytes>;

/// The engine under test.
pub(super) type Fake = Engine<(Memory, Offline, Stopped)>;

/// Has the operations of `strata_engine::Engine`; answers with what its fields hold, and remembers what it
/// was asked.
pub struct Engine<H: Host> {
    pub(super) host: HostFacts,
    pub(super) settings: Settings,
    pub(super) images: Vec<ImageSummary>,
    /// Labels of the images that do not hold theirs.
    pub(super) labels: Labels,
    pub(super) details: ImageDetails,
    pub(super) history: Vec<HistoryEntry>,
    pub(super) pruned: Pruned,
    pub(super) loaded: Vec<Loaded>,
    /// `None` is a store without containers.
    pub(super) container: Option<ContainerDetails>,
    pub(super) containers: Vec<ContainerSummary>,
    pub(super) created: Created,
    pub(super) stat: PathStat,
    pub(super) changes: Vec<ChangedPath>,
    /// What reading a container fails with.
    pub(super) unreadable: Option<Error>,
    /// What everything without script fails with.
    pub(super) error: Option<Error>,
    pub(super) script: RefCell<VecDeque<Scripted<H::Body>>>,
    /// `operation arguments`, in their debug form.
    pub(super) calls: RefCell<Vec<String>>,
    pub(super) pulls: RefCell<Vec<PullOptions>>,
    pub(super) pushes: RefCell<Vec<PushOptions>>,
    pub(super) cancelled: Cell<bool>,
}

pub(super) fn linux() -> Platform {
    Platform {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        ..Platform::default()
    }
}

pub(super) fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

impl Default for Fake {
    fn default() -> Self {
        let host = HostFacts {
            hostname: "box".to_owned(),
            processors: 2,
            memory: 1024,
            kernel: "6.1".to_owned(),
            root: "/store".to_owned(),
            id: "some-id".to_owned(),
        };
        let settings = Settings {
            version: "0.1.0".to_owned(),
            platform: linux(),
            mirrors: vec![Mirror {
                host: "docker.io".to_owned(),
                url: "http://127.0.0.1:5000".to_owned(),
            }],
            insecure_registries: vec!["reg:80".to_owned()],
            parallel_layers: 1,
            allow_unsafe_redirects: false,
            verify_diff_ids_first: false,
        };
        let details = ImageDetails {
            target: Descriptor::new(OCI_INDEX, digest("target"), 7),
            tags: vec!["alpine:3".to_owned()],
            digests: Vec::new(),
            config: None,
            config_bytes: None,
            size: 12,
            last_tagged: None,
            manifests: Vec::new(),
            sources: Vec::new(),
            damaged: None,
        };
        Self {
            host,
            settings,
            images: Vec::new(),
            labels: Labels::default(),
            details,
            history: Vec::new(),
            pruned: Pruned::default(),
            loaded: Vec::new(),
            container: None,
            containers: Vec::new(),
            created: Created {
                id: "c".repeat(64),
                warnings: Vec::new(),
            },
            stat: PathStat {
                name: "etc".to_owned(),
                kind: FileKind::Directory,
                size: 0,
                mode: 0o755,
                modified: 0,
                link_target: String::new(),
            },
            changes: Vec::new(),
            unreadable: None,
            error: None,
            script: RefCell::default(),
            calls: RefCell::default(),
            pulls: RefCell::default(),
            pushes: RefCell::default(),
            cancelled: Cell::default(),
        }
    }
}

impl Fake {
    pub(super) fn scripted(script: impl IntoIterator<Item = Step>) -> Self {
        let fake = Self::default();
        fake.script.borrow_mut().extend(script);
        fake
    }
}

/// Says so when the work is dropped before its end.
struct Guard<'a>(&'a Cell<bool>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// The sink of what has no archive.
struct NoArchive;

impl<B> ArchiveSink<B> for NoArchive {
    async fn write(&mut self, _bytes: Vec<u8>) -> Result<()> {
        panic!("writes an archive");
    }

    async fn copy(&mut self, _body: B, _length: u64) -> Result<()> {
        panic!("writes an archive");
    }
}

impl<H: Host> Engine<H> {
    fn answer<T: Clone>(&self, call: String, answer: &T) -> Result<T> {
        self.calls.borrow_mut().push(call);
        match &self.error {
            Some(error) => Err(error.clone()),
            None => Ok(answer.clone()),
        }
    }

    /// Does what the script says.
    async fn play<W: ArchiveSink<H::Body>>(
        &self,
        progress: &dyn Progress,
        sink: &mut W,
    ) -> Result<()> {
        let guard = Guard(&self.cancelled);
        let outcome = loop {
            let step = self.script.borrow_mut().pop_front();
            let mut done = Ok(());
            match step {
                Some(Scripted::Report(event)) => progress.report(event),
                Some(Scripted::Write(bytes)) => done = sink.write(bytes).await,
                Some(Scripted::Copy(body, length)) => done = sink.copy(body, length).await,
                Some(Scripted::Yield) => pause().await,
                Some(Scripted::Fail(error)) => done = Err(error),
                Some(Scripted::Hang) => std::future::pending().await,
                None => break Ok(()),
            }
            if done.is_err() {
                break done;
            }
        };
        std::mem::forget(guard);
        outcome
    }
}

impl<H: Host> Engine<H> {
    pub(crate) async fn pull(
        &self,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Completed>> {
        self.pulls.borrow_mut().push(options.clone());
        self.play(progress, &mut NoArchive).await?;
        Ok(Vec::new())
    }

    pub(crate) async fn push(
        &self,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Completed>> {
        self.pushes.borrow_mut().push(options.clone());
        self.play(progress, &mut NoArchive).await?;
        Ok(Vec::new())
    }

    pub(crate) async fn save<W: ArchiveSink<H::Body>>(
        &self,
        options: &SaveOptions,
        sink: &mut W,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.answer(format!("save {options:?}"), &())?;
        self.play(progress, sink).await
    }

    pub(crate) async fn load(
        &self,
        body: H::Body,
        options: &LoadOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>> {
        let body = text(body).await;
        let loaded = self.answer(format!("load {body} {options:?}"), &self.loaded)?;
        self.play(progress, &mut NoArchive).await?;
        Ok(loaded)
    }

    pub(crate) async fn import(
        &self,
        source: ImportSource<H::Body>,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        let source = match source {
            ImportSource::Body(body) => text(body).await,
            ImportSource::Url(url) => url,
        };
        let id = self.answer(format!("import {source} {options:?}"), &digest("imported"))?;
        self.play(progress, &mut NoArchive).await?;
        Ok(id)
    }

    pub(crate) async fn commit(
        &self,
        container: &str,
        options: &CommitOptions,
        _: &dyn Progress,
    ) -> Result<Digest> {
        let call = format!("commit {container} {options:?}");
        self.answer(call, &digest("committed"))
    }

    pub(crate) async fn create_container(&self, options: &CreateOptions) -> Result<Created> {
        self.answer(format!("create {options:?}"), &self.created)
    }

    pub(crate) async fn containers(
        &self,
        options: &ContainerListOptions,
    ) -> Result<Vec<ContainerSummary>> {
        self.answer(format!("containers {options:?}"), &self.containers)
    }

    pub(crate) async fn container(&self, name: &str, size: bool) -> Result<ContainerDetails> {
        let found = self.answer(format!("container {name} {size}"), &self.container)?;
        if let Some(error) = &self.unreadable {
            return Err(error.clone());
        }
        found.ok_or_else(|| Error::NotFound(format!("No such container: {name}")))
    }

    pub(crate) async fn remove_container(&self, name: &str) -> Result<()> {
        let found = self.answer(format!("remove_container {name}"), &self.container)?;
        let found = found.map(drop);
        found.ok_or_else(|| Error::NotFound(format!("No such container: {name}")))
    }

    pub(crate) async fn wait_removed(&self, id: &str) -> Result<()> {
        self.answer(format!("wait_removed {id}"), &())
    }

    pub(crate) async fn container_count(&self) -> Result<usize> {
        self.answer("container_count".to_owned(), &self.containers.len())
    }

    pub(crate) async fn stat_path(&self, container: &str, path: &[u8]) -> Result<PathStat> {
        let path = String::from_utf8_lossy(path);
        self.answer(format!("stat {container} {path}"), &self.stat)
    }

    pub(crate) async fn copy_out<W: ArchiveSink<H::Body>>(
        &self,
        container: &str,
        path: &[u8],
        sink: &mut W,
    ) -> Result<()> {
        let path = String::from_utf8_lossy(path);
        self.answer(format!("copy_out {container} {path}"), &())?;
        self.play(&Silent, sink).await
    }

    pub(crate) async fn copy_in(
        &self,
        container: &str,
        path: &[u8],
        archive: H::Body,
        options: &CopyInOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        let path = String::from_utf8_lossy(path);
        let archive = text(archive).await;
        self.answer(
            format!("copy_in {container} {path} {archive} {options:?}"),
            &(),
        )?;
        self.play(progress, &mut NoArchive).await
    }

    pub(crate) async fn changes(&self, container: &str) -> Result<Vec<ChangedPath>> {
        self.answer(format!("changes {container}"), &self.changes)
    }

    pub(crate) async fn export<W: ArchiveSink<H::Body>>(
        &self,
        container: &str,
        sink: &mut W,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.answer(format!("export {container}"), &())?;
        self.play(progress, sink).await
    }

    pub(crate) async fn list(&self, options: &ListOptions) -> Result<Vec<Rc<ImageSummary>>> {
        let images = self.answer(format!("list {options:?}"), &self.images)?;
        Ok(images.into_iter().map(Rc::new).collect())
    }

    pub(crate) async fn labels(&self, image: &ImageSummary) -> Result<Option<Rc<Labels>>> {
        Ok(match &image.labels {
            Listed::None => None,
            Listed::Here(labels) => Some(labels.clone()),
            Listed::InConfig(_) => Some(Rc::new(self.labels.clone())),
        })
    }

    pub(crate) async fn manifests(&self, _: &ImageSummary) -> Result<Vec<ManifestSummary>> {
        Ok(self.details.manifests.clone())
    }

    pub(crate) async fn inspect(
        &self,
        name: &str,
        options: &InspectOptions,
    ) -> Result<ImageDetails> {
        self.answer(format!("inspect {name} {options:?}"), &self.details)
    }

    pub(crate) async fn history(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<Vec<HistoryEntry>> {
        self.answer(format!("history {name} {platform:?}"), &self.history)
    }

    pub(crate) async fn tag(&self, source: &str, target: &Reference) -> Result<()> {
        self.answer(format!("tag {source} {target}"), &())
    }

    pub(crate) async fn remove(&self, name: &str, options: &RemoveOptions) -> Result<Vec<Removal>> {
        self.answer(format!("remove {name} {options:?}"), &self.pruned.removals)
    }

    pub(crate) async fn prune(&self, filters: &Filters) -> Result<Pruned> {
        self.answer(format!("prune {filters:?}"), &self.pruned)
    }

    pub(crate) async fn image_count(&self) -> Result<usize> {
        self.answer("image_count".to_owned(), &self.images.len())
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn now(&self) -> (i64, u32) {
        (1_700_000_000, 500_000_000)
    }
}

/// A body as text.
async fn text(mut body: impl Body<Error = Error>) -> String {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await.unwrap() {
        bytes.extend(chunk);
    }
    String::from_utf8(bytes).unwrap()
}

/// The last thing the engine was asked.
pub(super) fn last_call(fake: &Fake) -> String {
    fake.calls.borrow().last().unwrap().clone()
}
