//! One blob: from wherever it stopped to the end, through cuts, lies and other
//! pulls of the same blob.

use std::{pin::pin, time::Duration};

use futures::future::{Either, select};
use strata_oci::{
    Descriptor,
    document::MAX_DOCUMENT_BYTES,
    media_type::{self, Kind},
};

use super::{
    Fetch,
    pace::{Pace, Speed},
    report,
};
use crate::{
    Clock, Error, Host, Ingest, IngestOf, IngestState, Lease as _, Phase, Progress, Result, Store,
    registry::{Attempts, Failure, Opened, error_of, passing, report_retry},
};

/// How often progress is reported, and another's download is looked at: as often
/// as dockerd does.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// How a transfer of one blob stands.
struct Transfer<'b> {
    blob: &'b Descriptor,
    progress: &'b dyn Progress,
    attempts: Attempts,
    /// The most bytes ever accepted; only more than that is progress.
    furthest: u64,
    /// The bytes come from more than one answer or an earlier pull, so that a
    /// wrong digest may be due to how they were put together.
    is_pieced: bool,
    /// The one clean start over was used.
    restarted: bool,
    /// Addresses of a foreign layer that are still to be tried.
    urls: std::slice::Iter<'b, String>,
    /// The address in use; `None` is the registry.
    url: Option<&'b str>,
}

/// Where the bytes in an ingest came from last.
#[derive(Clone, Copy)]
enum Server {
    Foreign,
    Registry(Option<usize>),
}

impl<H: Host> Fetch<'_, H> {
    /// Brings in one blob, or waits until another operation has.
    pub(crate) async fn blob(&self, blob: &Descriptor, progress: &dyn Progress) -> Result<()> {
        let lease = &self.lease;
        // Decoded only when short: a document bounds it, but it is hashed here.
        if blob.size <= MAX_DOCUMENT_BYTES as u64
            && let Some(inline) = blob.inline()
        {
            self.engine.store.put(&blob.digest, inline, lease).await?;
            report(progress, blob, Phase::Downloaded, blob.size);
            return Ok(());
        }
        let mut shown = 0;
        let mut waited = false;
        let mut pace = Pace::default();
        loop {
            match self
                .engine
                .store
                .open_ingest(&blob.digest, blob.size, lease)
                .await?
            {
                IngestState::Present => {
                    let phase = match waited {
                        true => Phase::Downloaded,
                        false => Phase::AlreadyExists,
                    };
                    report(progress, blob, phase, blob.size);
                    return Ok(());
                }
                IngestState::Busy(current) => {
                    waited = true;
                    if current != shown {
                        shown = current;
                        report(progress, blob, Phase::Downloading, current);
                    }
                    let is_slow = match pace.tick(current, blob.size) {
                        Speed::Fast => false,
                        Speed::Slow => !self.comes_from_here(blob).await?,
                        Speed::Stuck => true,
                    };
                    if is_slow {
                        let (digest, size) = (&blob.digest, blob.size);
                        let ingest = self.engine.store.open_own_ingest(digest, size, true, lease);
                        self.transfer(blob, &ingest.await?, progress).await?;
                        report(progress, blob, Phase::Downloaded, blob.size);
                        return Ok(());
                    }
                    self.engine.clock.sleep(TICK).await;
                }
                IngestState::Open(ingest) => {
                    // So that others know; whether somebody else said so before does not matter.
                    self.comes_from_here(blob).await?;
                    self.transfer(blob, &ingest, progress).await?;
                    report(progress, blob, Phase::Downloaded, blob.size);
                    return Ok(());
                }
            }
        }
    }

    /// Whether another operation fetches a large blob from the same registry: it cannot be faster for this one.
    async fn comes_from_here(&self, blob: &Descriptor) -> Result<bool> {
        let is_foreign = media_type::kind(&blob.media_type) == Kind::ForeignLayer;
        if blob.size <= Pace::SMALL || is_foreign {
            return Ok(false);
        }
        let name = format!("pull {} {}", self.reference.domain(), blob.digest);
        Ok(!self.lease.lock(&name).await?)
    }

    /// Fills an ingest and commits it.
    async fn transfer(
        &self,
        blob: &Descriptor,
        ingest: &IngestOf<H>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let foreign = media_type::kind(&blob.media_type) == Kind::ForeignLayer;
        let mut urls = if foreign { blob.urls.iter() } else { [].iter() };
        let mut transfer = Transfer {
            blob,
            progress,
            attempts: Attempts::default(),
            furthest: ingest.offset(),
            is_pieced: ingest.offset() > 0,
            restarted: false,
            url: urls.next().map(String::as_str),
            urls,
        };
        let mut server = Server::Registry(None);
        loop {
            while ingest.offset() < blob.size {
                match self.append(&mut transfer, ingest, &mut server).await {
                    Ok(()) => {}
                    Err(failure) if transfer.url.is_some() && !is_local(&failure) => {
                        // Any failure of a foreign address leads to the next.
                        transfer.url = transfer.urls.next().map(String::as_str);
                    }
                    Err(failure) => {
                        let report = |retry| report_retry(Some(&blob.digest), self.progress, retry);
                        let waited = transfer.attempts.wait(failure, &self.engine.clock, report);
                        waited.await.map_err(error_of)?;
                    }
                }
            }
            let Err(error) = ingest.commit().await else {
                return Ok(());
            };
            let Error::DigestMismatch { .. } = error else {
                return Err(error);
            };
            if !self.may_restart(&mut transfer, server) {
                return Err(error);
            }
            ingest.reset().await?;
            if ingest.offset() >= blob.size {
                // An empty blob has nothing to fetch again.
                return Err(error);
            }
        }
    }

    /// Whether wrong bytes are worth one clean start: they were pieced together,
    /// or someone other than the registry served them.
    fn may_restart(&self, transfer: &mut Transfer<'_>, server: Server) -> bool {
        let elsewhere = match server {
            Server::Foreign => {
                transfer.url = transfer.urls.next().map(String::as_str);
                true
            }
            Server::Registry(source) => self.repository.distrust(source),
        };
        let pieced = transfer.is_pieced && !transfer.restarted;
        transfer.restarted |= pieced;
        transfer.is_pieced = false;
        elsewhere || pieced
    }

    /// Whether others than who served this can be asked. Where that was a mirror, it is
    /// not asked again.
    fn has_alternative(&self, server: Server) -> bool {
        match server {
            Server::Foreign => true,
            Server::Registry(source) => self.repository.distrust(source),
        }
    }

    /// One answer's worth of bytes.
    async fn append(
        &self,
        transfer: &mut Transfer<'_>,
        ingest: &IngestOf<H>,
        server: &mut Server,
    ) -> Result<(), Failure> {
        let blob = transfer.blob;
        let offset = ingest.offset();
        let opened = match transfer.url {
            Some(url) => self.repository.foreign_blob(blob, url, offset).await,
            None => self.repository.blob(blob, offset).await,
        };
        let opened = opened.map_err(|failure| {
            failure.context(&format!(
                "failed to fetch {} of {}",
                blob.digest, self.reference
            ))
        })?;
        let Opened::Body {
            start,
            body,
            source,
        } = opened
        else {
            ingest.reset().await?;
            return match offset {
                0 => Err(passing(format!(
                    "{} of {} was answered with a part nobody asked for",
                    blob.digest, self.reference
                ))),
                _ => Ok(()),
            };
        };
        *server = match transfer.url {
            Some(_) => Server::Foreign,
            None => Server::Registry(source),
        };
        if start < offset {
            // The server ignored the range, or starts over: so do we.
            ingest.reset().await?;
            transfer.is_pieced = false;
        } else if offset > 0 {
            transfer.is_pieced = true;
        }
        let appended = self.watched(transfer, ingest, body).await;
        let reached = ingest.offset();
        if reached > transfer.furthest {
            transfer.furthest = reached;
            transfer.attempts.progressed();
        }
        let cut = match appended {
            Ok(_) if reached >= blob.size => return Ok(()),
            Ok(_) => passing(format!(
                "{} of {} ended after {reached} of {} bytes",
                blob.digest, self.reference, blob.size
            )),
            Err(Error::InvalidArgument(_)) => {
                // Longer than it may be: nothing of it can be believed.
                ingest.reset().await?;
                return Err(self.too_long(transfer, *server));
            }
            // It drips, which is no reason to give up where others can be asked.
            Err(Error::QuotaExceeded(text)) if self.has_alternative(*server) => passing(text),
            Err(error) => Failure::from(error).context(&format!(
                "failed to fetch {} of {}",
                blob.digest, self.reference
            )),
        };
        if let Server::Registry(source) = *server {
            self.repository.cut(source);
        }
        Err(cut)
    }

    /// A mirror that sends too much is passed over at once; the registry is
    /// believed to mean it.
    fn too_long(&self, transfer: &mut Transfer<'_>, server: Server) -> Failure {
        let blob = transfer.blob;
        let message = format!(
            "failed size validation: {} has more than the {} bytes its descriptor says",
            blob.digest, blob.size
        );
        match server {
            // The caller goes on to the next address by itself.
            Server::Foreign => passing(message),
            Server::Registry(_) if self.may_restart(transfer, server) => passing(message),
            Server::Registry(_) => Failure::from(Error::ManifestInvalid(message)),
        }
    }

    /// Appends a body and reports how far it is meanwhile.
    async fn watched(
        &self,
        transfer: &Transfer<'_>,
        ingest: &IngestOf<H>,
        body: H::Body,
    ) -> Result<u64> {
        let mut shown = 0;
        let mut append = pin!(ingest.append(body));
        loop {
            let tick = pin!(self.engine.clock.sleep(TICK));
            match select(append.as_mut(), tick).await {
                Either::Left((appended, _)) => return appended,
                Either::Right(_) => {
                    let current = ingest.offset();
                    if current != shown {
                        shown = current;
                        report(
                            transfer.progress,
                            transfer.blob,
                            Phase::Downloading,
                            current,
                        );
                    }
                }
            }
        }
    }
}

/// Whether the store rather than a peer failed: no other address helps.
fn is_local(failure: &Failure) -> bool {
    matches!(
        error_of(failure.clone()),
        Error::NoSpace(_)
            | Error::QuotaExceeded(_)
            | Error::Damaged(_)
            | Error::Internal(_)
            | Error::Cancelled
    )
}
