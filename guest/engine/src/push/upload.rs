//! One blob's bytes: to the end through cuts, lies and lost uploads.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs>

use http::StatusCode;

use super::{Push, blob::Opening, plan::Blob};
use crate::{
    Host, Phase, Result, Store,
    registry::{
        Attempts, Chunk, Disposition, Failure, UploadSession, error_of, passing, report_retry,
    },
};

/// The largest blob sent in one request, the way every registry knows: after a cut
/// little of it is sent twice.
const WHOLE_LIMIT: u64 = 16 * UNIT;
/// Bytes of one chunk, unless the registry wants more. What a cut costs at most,
/// and how often progress is seen; docker-registry 2.8 takes about a quarter longer
/// than for one request.
const CHUNK: u64 = 8 * UNIT;
/// The unit of sizes, a MiB. Tests do with a thousandth: they hash every byte many times.
const UNIT: u64 = if cfg!(test) { 1 << 10 } else { 1 << 20 };

/// How sending one blob goes, over all its uploads.
pub(super) struct Course {
    attempts: Attempts,
    /// The registry is asked whether it has the blob.
    pub(super) asks: bool,
    /// An upload was asked for before.
    pub(super) opened: bool,
    /// All bytes went out once, so the registry may have the blob by now.
    pub(super) sent_all: bool,
    /// The repository it was mounted from.
    pub(super) mounted_from: Option<String>,
    /// The most bytes the registry ever had; only more than that is progress.
    furthest: u64,
    /// In chunks, not in one request.
    chunked: bool,
    /// The one clean start over, in one request, was used.
    restarted: bool,
}

/// An upload that is open.
struct Upload {
    session: UploadSession,
    /// Bytes the registry has.
    offset: u64,
    /// Bytes it may have: the end of what was ever sent.
    sent: u64,
    /// What became of the last request is unknown, so the registry is asked.
    in_doubt: bool,
    /// The offset at which a chunk was refused as out of order.
    refused_at: Option<u64>,
    /// Nothing more can come of it.
    over: bool,
}

/// How the attempt to send the rest of a blob ended.
enum Transfer {
    /// The registry has all of it and checked it.
    Done,
    /// The registry does not know the upload any more.
    Lost,
}

impl Course {
    /// Nothing was sent yet.
    pub(super) fn new(blob: &Blob, asks: bool) -> Self {
        Self {
            attempts: Attempts::default(),
            asks,
            opened: false,
            sent_all: false,
            mounted_from: None,
            furthest: 0,
            chunked: blob.size > WHOLE_LIMIT,
            restarted: false,
        }
    }

    /// Decides what a failure of a request means for the upload, and whether there
    /// is another attempt.
    fn dispose(&mut self, mut failure: Failure, upload: &mut Upload) -> Failure {
        let status = failure.status.map(|status| status.as_u16());
        match status {
            // The registry lost the upload, or finished it and the answer was lost.
            Some(404) => {
                upload.over = true;
                failure.disposition = Disposition::Retry;
            }
            // It may not know chunks, or they do not fit together: once all anew, in
            // the way every registry knows.
            Some(400 | 405 | 415 | 501) if !self.restarted => {
                self.restarted = true;
                self.chunked = false;
                upload.over = true;
                failure.disposition = Disposition::Retry;
            }
            Some(416) => {
                upload.in_doubt = true;
                failure.disposition = Disposition::Retry;
            }
            _ => upload.in_doubt = true,
        }
        // Only chunks leave something worth going on with.
        upload.over |= !self.chunked;
        failure
    }

    /// Takes note of what the registry says it has.
    fn reached(&mut self, upload: &mut Upload, stored: u64) -> Result<(), Failure> {
        if stored > upload.sent {
            upload.over = true;
            self.chunked = false;
            return Err(passing(format!(
                "the registry claims {stored} bytes of an upload of which {} were sent",
                upload.sent
            )));
        }
        upload.offset = stored;
        if stored > self.furthest {
            self.furthest = stored;
            self.attempts.progressed();
        }
        Ok(())
    }
}

impl<H: Host> Push<'_, H> {
    /// Brings one blob to the registry; how that went. Attempts are bounded, and
    /// counted from the last progress.
    pub(super) async fn upload(&self, blob: &Blob, course: &mut Course) -> Result<Phase> {
        let mut upload: Option<Upload> = None;
        loop {
            let failure = match &mut upload {
                None => match self.open(blob, course).await {
                    Ok(Opening::There(phase)) => return Ok(phase),
                    Ok(Opening::Upload(session)) => {
                        upload = Some(Upload {
                            session,
                            offset: 0,
                            sent: 0,
                            in_doubt: false,
                            refused_at: None,
                            over: false,
                        });
                        continue;
                    }
                    Err(failure) => failure,
                },
                Some(open) => match self.transfer(blob, course, open).await {
                    Ok(Transfer::Done) => return Ok(Phase::Uploaded),
                    Ok(Transfer::Lost) => {
                        // Not waited for again: the failure before this was.
                        upload = None;
                        continue;
                    }
                    Err(failure) => course.dispose(failure, open),
                },
            };
            upload = upload.filter(|upload| !upload.over);
            let doing = format!("{}: blob {}", self.doing(), blob.digest);
            let report = |retry| report_retry(Some(&blob.digest), self.progress, retry);
            course
                .attempts
                .wait(failure.context(&doing), &self.engine.clock, report)
                .await
                .map_err(error_of)?;
        }
    }

    /// Sends what the registry does not have yet, and ends the upload.
    async fn transfer(
        &self,
        blob: &Blob,
        course: &mut Course,
        upload: &mut Upload,
    ) -> Result<Transfer, Failure> {
        let Self { repository, .. } = self;
        if upload.in_doubt && !self.catch_up(course, upload).await? {
            return Ok(Transfer::Lost);
        }
        self.report(blob, Phase::Uploading, upload.offset);
        if !course.chunked {
            course.sent_all = true;
            let read = async || self.engine.store.read(&blob.digest, 0, None).await;
            repository
                .upload_whole(&upload.session, &blob.digest, blob.size, read)
                .await?;
            return Ok(Transfer::Done);
        }
        while upload.offset < blob.size {
            self.send_chunk(blob, course, upload).await?;
            self.report(blob, Phase::Uploading, upload.offset);
        }
        course.sent_all = true;
        repository
            .finish_upload(&upload.session, &blob.digest)
            .await?;
        Ok(Transfer::Done)
    }

    async fn send_chunk(
        &self,
        blob: &Blob,
        course: &mut Course,
        upload: &mut Upload,
    ) -> Result<(), Failure> {
        let first = upload.offset;
        let rest = blob.size.saturating_sub(first);
        let length = CHUNK.max(upload.session.least_chunk).min(rest);
        let end = first.saturating_add(length);
        upload.sent = upload.sent.max(end);
        let store = &self.engine.store;
        let read = async || store.read(&blob.digest, first, Some(length)).await;
        let chunk = self
            .repository
            .upload_chunk(&mut upload.session, first, length, read)
            .await?;
        match chunk {
            Chunk::Stored(stored) => {
                course.reached(upload, stored)?;
                match stored < end {
                    false => Ok(()),
                    true => Err(passing(format!(
                        "the registry kept only {stored} of {end} bytes"
                    ))),
                }
            }
            Chunk::OutOfOrder => {
                upload.refused_at = Some(first);
                Err(passing(format!(
                    "the registry refused a chunk that starts at {first}"
                )))
            }
        }
    }

    /// Learns from the registry where to go on; false if it does not go on at all.
    /// docker-registry gives up an upload that was cut within a chunk, others keep
    /// what came.
    async fn catch_up(&self, course: &mut Course, upload: &mut Upload) -> Result<bool, Failure> {
        let stored = match self.repository.upload_status(&mut upload.session).await {
            Ok(stored) => stored,
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => None,
            Err(failure) => return Err(failure),
        };
        let Some(stored) = stored.filter(|stored| upload.refused_at != Some(*stored)) else {
            return Ok(false);
        };
        course.reached(upload, stored)?;
        upload.in_doubt = false;
        Ok(true)
    }
}
