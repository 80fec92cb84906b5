//! Taking an archive in: what is content goes into the store, what is a document is kept.

use std::collections::HashMap;

use strata_oci::{
    Digest,
    archive::{
        Compression, Entry, Kind, MAX_METADATA_BYTES, MAX_METADATA_VALUES, clean,
        docker::{MANIFEST_FILE, REPOSITORIES_FILE},
        follow,
        layout::{INDEX_FILE, LAYOUT_FILE, blob_digest},
        values,
    },
};

use super::{
    files::{File, Files},
    hints::{Hints, named_digest},
    reader::Reader,
    writes::Writes,
};
use crate::{
    BlobProgress, Body, Error, Event, Phase, Progress, Result, Store,
    archive::{invalid, quoted},
};

mod blob;
mod file;

/// Content up to this size is stored in one call, beside reading on. Larger content is
/// passed on in pieces, and shown as progress.
const SMALL_BLOB: u64 = 256 << 10;
/// Bytes between two records of progress.
const PROGRESS_BYTES: u64 = 4 << 20;
/// New blobs remembered, to take away what turns out not to be wanted; about 100 bytes
/// each. More of them stay until the next prune.
const MAX_NEW: usize = 65_536;

/// What an archive had inside.
#[derive(Default)]
pub(super) struct Arrived {
    /// `oci-layout`.
    pub(super) layout: Option<Vec<u8>>,
    /// `index.json`.
    pub(super) index: Option<Vec<u8>>,
    /// `manifest.json`.
    pub(super) manifest: Option<Vec<u8>>,
    /// Files that are neither these nor in the place of content, and all links.
    pub(super) files: Files,
    /// Blobs that were not here before, up to [`MAX_NEW`].
    pub(super) new: Vec<Digest>,
}

/// Takes an archive in. The lease protects all of it.
pub(super) struct Intake<'a, S: Store> {
    store: &'a S,
    lease: &'a S::Lease,
    progress: &'a dyn Progress,
    writes: Writes<'a>,
    hints: Hints,
    /// Blobs by their size, when first asked for.
    twins: Option<HashMap<u64, Digest>>,
    arrived: Arrived,
}

impl<'a, S: Store> Intake<'a, S> {
    /// An intake of nothing yet.
    pub(super) fn new(store: &'a S, lease: &'a S::Lease, progress: &'a dyn Progress) -> Self {
        Self {
            store,
            lease,
            progress,
            writes: Writes::default(),
            hints: Hints::default(),
            twins: None,
            arrived: Arrived::default(),
        }
    }

    /// Reads the archive to its end; then all of it is durable.
    pub(super) async fn run<B: Body<Error = Error>>(
        mut self,
        mut reader: Reader<B>,
    ) -> Result<Arrived> {
        while let Some(entry) = self.writes.beside(reader.next()).await?? {
            self.entry(entry, &mut reader).await?;
            self.settle()?;
        }
        self.writes.finish().await?;
        self.settle()?;
        Ok(self.arrived)
    }

    async fn entry<B: Body<Error = Error>>(
        &mut self,
        entry: Entry,
        reader: &mut Reader<B>,
    ) -> Result<()> {
        let path = clean(&entry.path).map_err(Error::archive)?;
        match entry.kind {
            Kind::File => self.content(path, entry.size, reader).await,
            Kind::Symlink(target) => {
                let target = follow(&path, &target).map_err(Error::archive)?;
                self.arrived.files.add_link(path, target)
            }
            Kind::HardLink(target) => {
                let target = clean(&target).map_err(Error::archive)?;
                self.arrived.files.add_link(path, target)
            }
            Kind::Device => Err(Error::InvalidArgument(format!(
                "archive entry {} is a device or pipe, which no image archive has",
                quoted(&path)
            ))),
            Kind::Directory | Kind::Other(_) => Ok(()),
        }
    }

    /// A file: a document, content, perhaps part of a Docker archive, or of no interest.
    async fn content<B: Body<Error = Error>>(
        &mut self,
        path: String,
        size: u64,
        reader: &mut Reader<B>,
    ) -> Result<()> {
        if let LAYOUT_FILE | INDEX_FILE | MANIFEST_FILE = path.as_str() {
            return self.document(&path, size, reader).await;
        }
        if let Some(digest) = blob_digest(&path) {
            return self.blob(digest, size, reader).await;
        }
        // In a layout everything else is extra.
        if self.arrived.layout.is_some() || is_legacy(&path) {
            return Ok(());
        }
        self.file(path, size, reader).await
    }

    /// Keeps a document.
    async fn document<B: Body<Error = Error>>(
        &mut self,
        path: &str,
        size: u64,
        reader: &mut Reader<B>,
    ) -> Result<()> {
        if size > MAX_METADATA_BYTES {
            return Err(Error::QuotaExceeded(format!(
                "{path} has {size} bytes, the limit is {MAX_METADATA_BYTES}"
            )));
        }
        let bytes = self.writes.beside(reader.whole()).await??;
        if values(&bytes) > MAX_METADATA_VALUES {
            return Err(Error::QuotaExceeded(format!(
                "{path} has more than {MAX_METADATA_VALUES} values, split the archive"
            )));
        }
        let place = match path {
            LAYOUT_FILE => &mut self.arrived.layout,
            INDEX_FILE => &mut self.arrived.index,
            _ => &mut self.arrived.manifest,
        };
        match place {
            // Which of them counts differs from tool to tool.
            Some(known) if *known != bytes => Err(invalid(format_args!(
                "the archive has two different entries {}",
                quoted(path)
            ))),
            Some(_) => Ok(()),
            None => {
                if path == MANIFEST_FILE {
                    self.hints.manifest(&bytes);
                }
                *place = Some(bytes);
                Ok(())
            }
        }
    }

    /// Takes note of what writes have led to.
    fn settle(&mut self) -> Result<()> {
        for written in self.writes.ended() {
            let room = self.arrived.new.len() < MAX_NEW;
            self.arrived.new.extend(written.new.filter(|_| room));
            if let Some((path, file)) = written.file {
                self.arrived.files.add_file(path, file)?;
            }
        }
        Ok(())
    }

    /// A record about a blob, unless it is too small to be seen.
    fn report(&self, digest: &Digest, phase: Phase, current: u64, total: u64) {
        if total > SMALL_BLOB {
            report(self.progress, digest, phase, current, total);
        }
    }
}

fn report(progress: &dyn Progress, digest: &Digest, phase: Phase, current: u64, total: u64) {
    progress.report(Event::Blob(BlobProgress {
        digest: digest.clone(),
        phase,
        current,
        total,
        mounted_from: None,
    }));
}

/// Files beside layers that only the format before `manifest.json` needed: `repositories`,
/// and in each layer's directory `VERSION` and `json`.
fn is_legacy(path: &str) -> bool {
    path == REPOSITORIES_FILE || path.ends_with("/VERSION") || path.ends_with("/json")
}

/// Content that is not what its name says; the registry's words do not fit here.
fn wrong_content(error: Error) -> Error {
    match error {
        Error::DigestMismatch { expected, actual } => invalid(format_args!(
            "the archive is damaged: {expected} has other content, its digest is {actual}"
        )),
        error => error,
    }
}
