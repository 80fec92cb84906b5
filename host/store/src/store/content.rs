//! Content, as the native store keeps it.
//!
//! Each function checks its arguments, moves what may wait for the disk off the caller's thread, and leaves the
//! rest to the module that knows.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};

use async_trait::async_trait;
use bytes::Bytes;

use super::Store;
use crate::backend::{Content, Ingest, IngestState, Lease, Stage};
use crate::content::{self, Unread, deletion};
use crate::error::Doing as _;
use crate::layout::{Broken, Unopened};
use crate::lease::handle;
use crate::sync::blocking;
use crate::{Digest, Error, Verdict, partial, quarantine, reserve, source, verify};

/// Blobs up to this many bytes are read on the caller's thread: handing the work over costs more.
const INLINE_READ: u64 = 256 * 1024;

impl Store {
    /// Opens a blob for streaming, with its size in bytes. It stays readable when it is deleted.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Io`]; [`Error::Damaged`] if it is known to be, or cannot be opened.
    pub fn open_blob(&self, digest: &Digest) -> Result<(File, u64), Error> {
        let (file, stamp) = match self.parts.layout.open_blob(digest) {
            Ok(opened) => opened,
            Err(Unopened::Failed(error)) => return Err(error),
            Err(Unopened::Broken(broken)) => {
                self.tell(digest, broken.clone());
                return Err(broken.error(digest));
            }
        };
        self.parts.damage.check(digest, stamp)?;
        Ok((file, stamp.size))
    }

    /// Protects first, so that a deletion either sees the lease or its result is seen.
    async fn protect(&self, digests: &[Digest], lease: Option<&Lease>) -> Result<(), Error> {
        let Some(lease) = lease else { return Ok(()) };
        let leases = &self.parts.leases;
        let id = handle::id(lease, leases)?;
        let mut new = Vec::new();
        for digest in digests {
            if !leases.protects(id, digest)? {
                new.push(digest.clone());
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let (leases, lease) = (leases.clone(), lease.clone());
        blocking(move || leases.protect(handle::id(&lease, &leases)?, &new)).await
    }

    /// Marks a blob that cannot be read, without waiting for the disk if there is a runtime.
    fn tell(&self, digest: &Digest, broken: Broken) {
        let (damage, broken) = (self.parts.damage.clone(), vec![(digest.clone(), broken)]);
        let mark = move || damage.mark_all(broken);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(mark)),
            Err(_) => mark(),
        }
    }
}

#[async_trait]
impl Content for Store {
    async fn stat_all(
        &self,
        digests: &[Digest],
        lease: Option<&Lease>,
    ) -> Result<Vec<Option<u64>>, Error> {
        self.protect(digests, lease).await?;
        let mut news = Vec::new();
        let damage = &self.parts.damage;
        let sizes = damage.present_all(digests, &mut news)?;
        if !news.is_empty() {
            let damage = damage.clone();
            blocking(move || {
                damage.mark_all(news);
                Ok(())
            })
            .await?;
        }
        Ok(sizes)
    }

    async fn get(&self, digest: &Digest, limit: u64) -> Result<Bytes, Error> {
        let damage = &self.parts.damage;
        let unread = match content::get(damage, digest, limit.min(INLINE_READ)) {
            Ok(bytes) => return Ok(bytes),
            Err(unread) => unread,
        };
        let (damage, digest) = (damage.clone(), digest.clone());
        match unread {
            Unread::Failed(Error::TooLarge { size, .. }) if size <= limit => {
                blocking(move || {
                    content::get(&damage, &digest, limit).map_err(|it| it.settle(&damage, &digest))
                })
                .await
            }
            Unread::Failed(Error::TooLarge { size, .. }) => Err(Error::TooLarge {
                digest,
                size,
                limit,
            }),
            Unread::Failed(error) => Err(error),
            damaged @ (Unread::Damaged { .. } | Unread::Broken(_)) => {
                blocking(move || Err(damaged.settle(&damage, &digest))).await
            }
        }
    }

    async fn read(
        &self,
        digest: &Digest,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Box<dyn Read + Send>, Error> {
        let (mut file, size) = self.open_blob(digest)?;
        file.seek(SeekFrom::Start(offset.min(size)))
            .doing(|| format!("reading {digest}"))?;
        Ok(Box::new(file.take(length.unwrap_or(size))))
    }

    async fn put(&self, digest: &Digest, data: Bytes, lease: &Lease) -> Result<(), Error> {
        self.parts.layout.check_writable(digest)?;
        let (content, digest) = (self.parts.content.clone(), digest.clone());
        let lease = lease.clone();
        blocking(move || {
            let id = handle::id(&lease, &content.leases)?;
            content.leases.protect(id, std::slice::from_ref(&digest))?;
            content.put(&digest, &data)
        })
        .await
    }

    async fn open_ingest(
        &self,
        digest: &Digest,
        size: u64,
        lease: &Lease,
    ) -> Result<IngestState, Error> {
        self.parts.layout.check_writable(digest)?;
        self.protect(std::slice::from_ref(digest), Some(lease))
            .await?;
        let (ingests, digest) = (self.parts.ingests.clone(), digest.clone());
        blocking(move || ingests.open(&digest, size)).await
    }

    async fn open_own_ingest(
        &self,
        digest: &Digest,
        size: u64,
        continues: bool,
        lease: &Lease,
    ) -> Result<Box<dyn Ingest>, Error> {
        self.parts.layout.check_writable(digest)?;
        self.protect(std::slice::from_ref(digest), Some(lease))
            .await?;
        let (ingests, digest) = (self.parts.ingests.clone(), digest.clone());
        blocking(move || ingests.open_own(&digest, size, continues)).await
    }

    async fn stage(&self, lease: &Lease, like: Option<Digest>) -> Result<Box<dyn Stage>, Error> {
        self.parts.layout.check_writable("a staged blob")?;
        let (ingests, lease) = (self.parts.ingests.clone(), lease.clone());
        blocking(move || ingests.stage(lease, like.as_ref())).await
    }

    async fn blobs(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let damage = self.parts.damage.clone();
        blocking(move || damage.blobs()).await
    }

    async fn discard_ingests(&self) -> Result<u64, Error> {
        self.parts.layout.check_writable("partial downloads")?;
        let layout = self.parts.layout.clone();
        blocking(move || partial::discard(&layout)).await
    }

    async fn delete(
        &self,
        digests: &[Digest],
        generation: u64,
    ) -> Result<Vec<(Digest, u64)>, Error> {
        self.parts.layout.check_writable("deletions")?;
        let (content, digests) = (self.parts.content.clone(), digests.to_vec());
        blocking(move || {
            let deleted = deletion::delete(&content, &digests, generation);
            reserve::keep(content.layout());
            deleted
        })
        .await
    }

    async fn verify(&self, digest: &Digest) -> Result<Verdict, Error> {
        verify::verify(&self.parts.damage, &self.parts.verifying, digest).await
    }

    async fn note_missing(&self, digest: &Digest) -> Result<(), Error> {
        let (damage, digest) = (self.parts.damage.clone(), digest.clone());
        blocking(move || {
            if damage.layout().stamp(&digest)?.is_none() {
                damage.miss(&digest);
            }
            Ok(())
        })
        .await
    }

    async fn damaged(&self) -> Result<Vec<(Digest, String)>, Error> {
        let damage = self.parts.damage.clone();
        blocking(move || damage.all()).await
    }

    async fn quarantine(&self, digest: &Digest) -> Result<(), Error> {
        self.parts.layout.check_writable(digest)?;
        let (damage, digest) = (self.parts.damage.clone(), digest.clone());
        blocking(move || quarantine::quarantine(&damage, &digest)).await
    }

    async fn note_source(&self, digests: &[Digest], repository: &str) -> Result<(), Error> {
        self.parts.layout.check_writable("sources")?;
        let (names, digests) = (self.parts.names.clone(), digests.to_vec());
        let repository = repository.to_owned();
        blocking(move || source::note(&names, &digests, &repository)).await
    }

    async fn sources(&self, digest: &Digest) -> Result<Vec<String>, Error> {
        let (names, digest) = (self.parts.names.clone(), digest.clone());
        blocking(move || source::of(&names, &digest)).await
    }
}
