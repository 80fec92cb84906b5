//! A root file system on its way into the store.

use std::time::Duration;

use futures::future;
use strata_oci::{
    Descriptor, Digest,
    archive::{Compression, END},
    media_type,
};

use super::check::Check;
use crate::{
    Clock, ContentProgress, Error, Event, Phase, Progress, Result, Stage as _, Store,
    cursor::Cursor,
};

/// Pieces smaller than this are put together: each costs a call to the store.
const PIECE_BYTES: usize = 64 << 10;
/// The most the store takes in one call.
const WRITE_BYTES: usize = 1 << 20;
/// Time between two records of progress: what an eye can follow.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// A root file system in the store.
pub(super) struct Root {
    /// It as it is stored.
    pub(super) layer: Descriptor,
    /// Digest of the plain tar.
    pub(super) diff_id: Digest,
}

/// Takes a root file system in. The lease protects it.
pub(super) struct Intake<'a, S: Store, C> {
    store: &'a S,
    clock: &'a C,
    lease: &'a S::Lease,
    progress: &'a dyn Progress,
    /// Blobs that came in and are not part of the image.
    unneeded: Vec<Digest>,
}

/// Bytes that are stored as they came.
struct Stored {
    digest: Digest,
    size: u64,
    compression: Compression,
}

impl<'a, S: Store, C: Clock> Intake<'a, S, C> {
    /// An intake of nothing yet.
    pub(super) fn new(
        store: &'a S,
        clock: &'a C,
        lease: &'a S::Lease,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            store,
            clock,
            lease,
            progress,
            unneeded: Vec::new(),
        }
    }

    /// Stores a body of `total` bytes, if that is known, and looks at all of it.
    pub(super) async fn run(&mut self, body: S::Body, total: Option<u64>) -> Result<Root> {
        let stored = self.arrive(body, total).await?;
        let media_type = match stored.compression {
            Compression::Plain => media_type::OCI_LAYER,
            Compression::Gzip => media_type::OCI_LAYER_GZIP,
            Compression::Zstd => media_type::OCI_LAYER_ZSTD,
            Compression::Bzip2 | Compression::Xz => {
                self.unneeded.push(stored.digest.clone());
                return self.unpack(&stored.digest).await;
            }
        };
        let diff_id = match stored.compression {
            Compression::Plain => stored.digest.clone(),
            _ => {
                self.unneeded.push(stored.digest.clone());
                let diff_id = self.diff_id(&stored.digest).await?;
                self.unneeded.clear();
                diff_id
            }
        };
        Ok(Root {
            layer: Descriptor::new(media_type, stored.digest, stored.size),
            diff_id,
        })
    }

    /// What came in and is not part of the image.
    pub(super) fn into_unneeded(self) -> Vec<Digest> {
        self.unneeded
    }

    /// Stores a body as it comes. A plain tar is looked at on the way.
    async fn arrive(&self, body: S::Body, total: Option<u64>) -> Result<Stored> {
        let shown = total.unwrap_or_default();
        self.report(Phase::Downloading, 0, shown);
        let mut last = self.now();
        let mut pieces = Cursor::new(body);
        let stage = self.store.stage(self.lease).await?;
        // Nothing at all is an empty file system, as it is to dockerd.
        let mut next = Some(
            pieces
                .gather(PIECE_BYTES, WRITE_BYTES)
                .await?
                .unwrap_or_else(|| END.to_vec()),
        );
        let compression = Compression::of(next.as_deref().unwrap_or_default());
        let mut check = (compression == Compression::Plain).then(Check::default);
        let mut written = 0;
        while let Some(piece) = next {
            if let Some(check) = &mut check {
                check.feed(&piece)?;
            }
            written += piece.len() as u64;
            ((), next) =
                future::try_join(stage.write(piece), pieces.gather(PIECE_BYTES, WRITE_BYTES))
                    .await?;
            let now = self.now();
            if now.saturating_sub(last) >= PROGRESS_INTERVAL {
                last = now;
                self.report(Phase::Downloading, written, shown);
            }
        }
        if let Some(total) = total
            && written < total
        {
            return Err(Error::Unavailable(format!(
                "the download ended after {written} of {total} bytes, try again"
            )));
        }
        if let Some(check) = check {
            check.finish()?;
        }
        let (digest, size) = stage.finish().await?;
        self.report(Phase::Downloaded, size, size);
        Ok(Stored {
            digest,
            size,
            compression,
        })
    }

    /// Digest of the tar in a blob, which is looked at meanwhile.
    async fn diff_id(&self, digest: &Digest) -> Result<Digest> {
        let look = async {
            let mut check = Check::default();
            let mut plain = self.decompressed(digest).await?;
            while let Some(piece) = plain.gather(PIECE_BYTES, WRITE_BYTES).await? {
                check.feed(&piece)?;
            }
            check.finish()
        };
        let facts = self.store.layer_facts(digest);
        let both = future::try_join(facts, look).await;
        let (facts, ()) = both.map_err(damaged)?;
        Ok(facts.diff_id)
    }

    /// Stores the tar in a blob that is compressed in a way no layer may be. It stays
    /// plain, where dockerd makes it gzip: that would cost time now, and is only needed
    /// when it goes to a registry.
    async fn unpack(&self, digest: &Digest) -> Result<Root> {
        let stage = self.store.stage(self.lease).await?;
        let mut check = Check::default();
        let look = async {
            let mut plain = self.decompressed(digest).await?;
            let mut next = Some(
                plain
                    .gather(PIECE_BYTES, WRITE_BYTES)
                    .await?
                    .unwrap_or_else(|| END.to_vec()),
            );
            while let Some(piece) = next {
                check.feed(&piece)?;
                ((), next) =
                    future::try_join(stage.write(piece), plain.gather(PIECE_BYTES, WRITE_BYTES))
                        .await?;
            }
            check.finish()
        };
        look.await.map_err(damaged)?;
        let (digest, size) = stage.finish().await?;
        Ok(Root {
            layer: Descriptor::new(media_type::OCI_LAYER, digest.clone(), size),
            diff_id: digest,
        })
    }

    async fn decompressed(&self, digest: &Digest) -> Result<Cursor<S::Body>> {
        let body = self.store.read(digest, 0, None).await?;
        Ok(Cursor::new(self.store.decompress(body).await?))
    }

    fn report(&self, phase: Phase, current: u64, total: u64) {
        self.progress.report(Event::Content(ContentProgress {
            phase,
            current,
            total,
        }));
    }

    /// Time since 1970.
    fn now(&self) -> Duration {
        let (seconds, nanoseconds) = self.clock.now();
        Duration::new(u64::try_from(seconds).unwrap_or_default(), nanoseconds)
    }
}

/// What compressed bytes that break their format are to the caller, whose bytes they are.
fn damaged(error: Error) -> Error {
    match error {
        Error::ManifestInvalid(reason) => Error::InvalidArgument(reason),
        error => error,
    }
}
