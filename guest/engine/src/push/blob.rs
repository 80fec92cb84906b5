//! Blobs on their way to the registry, several at once: skipped where it has
//! them, mounted where it can, else uploaded.

use std::{cell::RefCell, cmp::Reverse, collections::HashMap};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use strata_oci::Digest;

use super::{Push, plan::Blob, upload::Course};
use crate::{
    BlobProgress, Event, Host, Phase, Result,
    registry::{Failure, Started, UploadSession},
};

/// What is known of the repository's blobs. Kept for all references of one push:
/// the tags of a repository share most of their layers.
#[derive(Default)]
pub(super) struct Remote(RefCell<HashMap<Digest, Evidence>>);

/// Why a blob is believed to be in the repository.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The registry says so.
    Said,
    /// It was sent, and the registry checked it.
    Sent,
}

impl Remote {
    /// What is known of a blob.
    pub(super) fn evidence(&self, digest: &Digest) -> Option<Evidence> {
        self.0.borrow().get(digest).copied()
    }

    fn learn(&self, digest: &Digest, evidence: Evidence) {
        self.0.borrow_mut().insert(digest.clone(), evidence);
    }
}

/// Whether the registry's word that it has a blob is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It is asked, and believed.
    Believe,
    /// It is asked about what was sent to it. What it only claimed to have is sent,
    /// since it misses something.
    Doubt,
}

/// What opening an upload led to.
pub(super) enum Opening {
    /// The blob is there, by this way.
    There(Phase),
    /// It is to be sent.
    Upload(UploadSession),
}

impl<H: Host> Push<'_, H> {
    /// Sees to it that the registry has all of these.
    pub(super) async fn send_blobs(&self, blobs: &[Blob]) -> Result<()> {
        for blob in blobs {
            match blob.is_here {
                true => self.report(blob, Phase::Queued, 0),
                false => self.report(blob, Phase::Unavailable, 0),
            }
        }
        self.send_all(blobs, Trust::Believe).await
    }

    /// Sends what is here, several at a time. The largest go first, so that the
    /// last to end is a short one.
    pub(super) async fn send_all(&self, blobs: &[Blob], trust: Trust) -> Result<()> {
        let mut blobs: Vec<&Blob> = blobs.iter().filter(|blob| blob.is_here).collect();
        blobs.sort_by_key(|blob| Reverse(blob.size));
        stream::iter(blobs)
            .map(|blob| self.send(blob, trust))
            .buffer_unordered(self.engine.settings.parallel_layers.max(1))
            .try_collect()
            .await
    }

    /// Sees to it that the registry has one blob.
    async fn send(&self, blob: &Blob, trust: Trust) -> Result<()> {
        let evidence = self.remote.evidence(&blob.digest);
        if trust == Trust::Believe && evidence.is_some() {
            self.report(blob, Phase::AlreadyExists, blob.size);
            return Ok(());
        }
        let asks = trust == Trust::Believe || evidence == Some(Evidence::Sent);
        let mut course = Course::new(blob, asks);
        let phase = self.upload(blob, &mut course).await?;
        let evidence = match (phase, evidence) {
            (Phase::Uploaded, _) | (_, Some(Evidence::Sent)) => Evidence::Sent,
            _ => Evidence::Said,
        };
        self.remote.learn(&blob.digest, evidence);
        self.report_from(blob, phase, blob.size, course.mounted_from);
        Ok(())
    }

    /// Asks for the blob, then for a mount, then for an upload.
    pub(super) async fn open(&self, blob: &Blob, course: &mut Course) -> Result<Opening, Failure> {
        let Self { repository, .. } = self;
        let digest = &blob.digest;
        let again = std::mem::replace(&mut course.opened, true);
        if course.asks && repository.has_blob(digest).await? {
            return Ok(Opening::There(match course.sent_all {
                // The answer to the last request was lost; this one makes up for it.
                true => Phase::Uploaded,
                false => Phase::AlreadyExists,
            }));
        }
        if course.asks && !again {
            let sources = self.sources().await?;
            if let Some(from) = sources.candidate(digest) {
                match repository.mount(digest, from).await? {
                    Started::Done => {
                        course.mounted_from = Some(from.to_owned());
                        return Ok(Opening::There(Phase::Mounted));
                    }
                    Started::Open(session) => return Ok(Opening::Upload(session)),
                    Started::Refused => sources.refuse(from),
                }
            }
        }
        match repository.start_upload().await? {
            Started::Open(session) => Ok(Opening::Upload(session)),
            Started::Done | Started::Refused => Ok(Opening::There(Phase::AlreadyExists)),
        }
    }

    /// Reports one blob's state, if people see this blob.
    pub(super) fn report(&self, blob: &Blob, phase: Phase, current: u64) {
        self.report_from(blob, phase, current, None);
    }

    fn report_from(&self, blob: &Blob, phase: Phase, current: u64, mounted_from: Option<String>) {
        if blob.is_shown {
            self.progress.report(Event::Blob(BlobProgress {
                digest: blob.digest.clone(),
                phase,
                current,
                total: blob.size,
                mounted_from,
            }));
        }
    }
}
