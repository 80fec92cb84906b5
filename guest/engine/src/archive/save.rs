//! Saving images.
//!
//! An OCI layout that is a Docker archive too: `index.json` with an entry for each name,
//! `manifest.json` with a row for each image, content as it is stored. Entries come in
//! the order of their names and say nothing of time or place, so the same images under
//! the same names always give the same bytes.

mod choose;
mod documents;
mod plan;
mod select;

use strata_oci::{
    Digest,
    archive::{END, directory_header, file_header, padding},
};

use crate::{
    ArchiveSink, BlobProgress, Engine, Event, Host, Phase, Progress, Result, SaveOptions, Store,
};
use plan::Content;

/// The largest blob that is read whole and travels with its header: opening a stream
/// costs more than copying so few bytes.
const SMALL_BLOB: u64 = 64 << 10;
/// Bytes gathered before the sink gets them.
const WRITE_BYTES: usize = 64 << 10;

impl<H: Host> Engine<H> {
    /// Writes an archive of images to `sink`.
    ///
    /// A name without tag stands for every tag of its repository; an ID or a digest
    /// for the image without its names. One platform saves that manifest alone; several
    /// save the index, with the content of these. What is here about anything that is
    /// saved, such as signatures, is saved too. Nothing is written before everything
    /// is known to be here, and then it stays until the archive is complete.
    ///
    /// # Errors
    /// Before the first byte: [`crate::Error::InvalidArgument`] if a name does not
    /// parse, [`crate::Error::NotFound`] if there is no such image, a platform is not in
    /// it, or content is missing. After it: as `sink`, and as the store's reads.
    pub async fn save<W: ArchiveSink<H::Body>>(
        &self,
        options: &SaveOptions,
        sink: &mut W,
        progress: &dyn Progress,
    ) -> Result<()> {
        let lease = self.store.acquire_lease().await?;
        let plan = self.plan(options, &lease).await?;
        let mut pending = Vec::new();
        for (path, content) in &plan.entries {
            match content {
                Content::Directory => pending.extend(directory_header(path, 0o755)),
                Content::Document(bytes, mode) => {
                    pending.extend(file_header(path, *mode, bytes.len() as u64));
                    pending.extend_from_slice(bytes);
                    pad(&mut pending, bytes.len() as u64);
                }
                Content::Blob(digest, size) => {
                    pending.extend(file_header(path, 0o444, *size));
                    if *size <= SMALL_BLOB {
                        pending.extend(self.store.get(digest, *size).await?);
                    } else {
                        sink.write(std::mem::take(&mut pending)).await?;
                        report(progress, digest, 0, *size);
                        let body = self.store.read(digest, 0, None).await?;
                        sink.copy(body, *size).await?;
                        report(progress, digest, *size, *size);
                    }
                    pad(&mut pending, *size);
                }
            }
            if pending.len() >= WRITE_BYTES {
                sink.write(std::mem::take(&mut pending)).await?;
            }
        }
        pending.extend_from_slice(&END);
        sink.write(pending).await?;
        for completed in plan.completed {
            progress.report(Event::Completed(completed));
        }
        Ok(())
    }
}

/// Fills the last block of content of this size.
fn pad(pending: &mut Vec<u8>, size: u64) {
    pending.resize(pending.len() + padding(size), 0);
}

fn report(progress: &dyn Progress, digest: &Digest, current: u64, total: u64) {
    progress.report(Event::Blob(BlobProgress {
        digest: digest.clone(),
        phase: Phase::Uploading,
        current,
        total,
        mounted_from: None,
    }));
}
