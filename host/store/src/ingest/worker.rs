//! The work behind an ingest or a stage: hashes, writes, and finally publishes.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, IoSlice, Read as _, Seek as _, SeekFrom, Write as _};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use rustix::fs::Advice;

use super::Ingests;
use super::queue::{Outcome, Queue, Work};
use super::twin::Twin;
use crate::error::Doing as _;
use crate::{Algorithm, Digest, Error, content};
use strata_oci::digest::Hasher;

/// After this many bytes the kernel is asked to start writing, so that little is left for the sync
/// at the end.
const WRITE_BACK: u64 = 8 * 1024 * 1024;
/// Slices per system call; Linux takes at most 1024.
const SLICES: usize = 256;
/// Buffer for hashing again what an earlier run wrote, in bytes.
const REHASH: usize = 256 * 1024;

/// What the bytes are to become.
#[derive(Clone)]
pub(super) enum Goal {
    /// The blob of this digest, which is protected. What comes of it stays, for resume.
    Blob(Digest),
    /// The same, written for one alone: what comes of it is discarded if it does not become the blob.
    Own(Digest),
    /// The blob of whatever digest they have, protected by `lease` then. Discarded if that fails.
    Stage { lease: u64 },
}

impl Goal {
    fn hasher(&self) -> Hasher {
        Hasher::new(match self {
            Goal::Blob(digest) | Goal::Own(digest) => digest.algorithm(),
            Goal::Stage { .. } => Algorithm::Sha256,
        })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::Blob(digest) | Goal::Own(digest) => digest.fmt(f),
            Goal::Stage { .. } => f.write_str("a staged blob"),
        }
    }
}

pub(super) struct Worker {
    ingests: Arc<Ingests>,
    goal: Goal,
    file: File,
    path: PathBuf,
    hasher: Hasher,
    /// What all bytes so far are equal to: none of them was written or hashed yet.
    twin: Option<Twin>,
    /// The blob of a twin whose bytes turned out to be others.
    parted: Option<Digest>,
    /// Bytes in the file, all of them hashed; or equal to the twin's.
    length: u64,
    /// Bytes the kernel was asked to write.
    written_back: u64,
}

impl Worker {
    pub(super) fn new(
        ingests: Arc<Ingests>,
        goal: Goal,
        file: File,
        path: PathBuf,
        twin: Option<Twin>,
    ) -> Worker {
        let hasher = goal.hasher();
        Worker {
            ingests,
            goal,
            file,
            path,
            hasher,
            twin,
            parted: None,
            length: 0,
            written_back: 0,
        }
    }

    /// Does a piece of work. The outcome is that of the whole ingest, once there is one.
    pub(super) fn work(&mut self, queue: &Queue, work: Work) -> Option<Outcome> {
        // A panic is a fault of this program, but nobody may wait for its outcome forever.
        let work = std::panic::AssertUnwindSafe(|| self.try_work(queue, work));
        std::panic::catch_unwind(work).unwrap_or_else(|_| {
            Some(Err(Error::io(
                "the writing thread panicked",
                io::ErrorKind::Other.into(),
            )))
        })
    }

    fn try_work(&mut self, queue: &Queue, work: Work) -> Option<Outcome> {
        match work {
            Work::Begin(length) => {
                if let Err(error) = self.rehash(length) {
                    queue.fail(error, self.length);
                }
            }
            Work::Write(pieces) => match self.write(pieces) {
                Ok(()) => queue.written(),
                Err(error) => queue.fail(error, self.length),
            },
            Work::Reset => {
                let result = self.truncate();
                queue.was_reset(result);
            }
            Work::Commit => return Some(self.commit(queue).map(Some)),
            Work::Close => return Some(Ok(None)),
            Work::Rest => {}
        }
        None
    }

    /// Gives back what it held.
    pub(super) fn close(self) {
        let Worker {
            ingests,
            goal,
            file,
            path,
            ..
        } = self;
        if let Goal::Stage { .. } | Goal::Own(_) = goal {
            // Gone already if it was published. Should this fail, the next open of a store does it.
            let _ = fs::remove_file(path);
        }
        // In this order: whoever learns of the end finds the lock free.
        drop(file);
        ingests.closed(&goal);
    }

    /// Hash states are not kept on disk: a resumed file is read once more.
    fn rehash(&mut self, length: u64) -> Result<(), Error> {
        if length == 0 {
            return Ok(());
        }
        let doing = || format!("rereading {}", self.goal);
        let mut buffer = vec![0; REHASH];
        let mut left = length;
        while left > 0 {
            let part = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            match self.file.read(&mut buffer[..part]) {
                Ok(0) => return Err(Error::io(doing(), io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => {
                    self.hasher.update(&buffer[..read]);
                    self.length += read as u64;
                    left -= read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(doing(), error)),
            }
        }
        self.written_back = self.length;
        Ok(())
    }

    fn write(&mut self, pieces: VecDeque<Bytes>) -> Result<(), Error> {
        if let Some(twin) = &mut self.twin {
            if let Some(equal) = twin.equal(&pieces) {
                self.length += equal;
                return Ok(());
            }
            self.part()?;
        }
        // Hashed after writing, from a second handle on the same memory.
        let content = self.ingests.content.clone();
        content.make_room(|| self.write_pieces(pieces.clone()))?;
        for piece in pieces {
            self.hasher.update(&piece);
            self.length += piece.len() as u64;
        }
        let dirty = self.length - self.written_back;
        if let Some(dirty) = NonZeroU64::new(dirty).filter(|dirty| dirty.get() >= WRITE_BACK) {
            // On Linux this starts writing dirty pages and does not wait. Only advice: no harm if
            // it is refused.
            let _ =
                rustix::fs::fadvise(&self.file, self.written_back, Some(dirty), Advice::DontNeed);
            self.written_back = self.length;
        }
        Ok(())
    }

    /// Writes all, or leaves the file as it was.
    fn write_pieces(&mut self, pieces: VecDeque<Bytes>) -> Result<(), Error> {
        let Err(error) = write_all(&mut self.file, pieces) else {
            return Ok(());
        };
        // The hash covers `length`; so must the file. Failing that, start over.
        if self.file.set_len(self.length).is_err()
            || self.file.seek(SeekFrom::Start(self.length)).is_err()
        {
            let _ = self.truncate();
        }
        Err(Error::io(format!("writing {}", self.goal), error))
    }

    /// Writes what was only compared so far: from here on the bytes are others.
    fn part(&mut self) -> Result<(), Error> {
        let Some(twin) = self.twin.take() else {
            return Ok(());
        };
        self.parted = Some(twin.digest().clone());
        let length = std::mem::take(&mut self.length);
        while self.length < length {
            let bytes = twin.read(self.length, length - self.length);
            let bytes = bytes.doing(|| format!("rereading {}", twin.digest()))?;
            self.write(VecDeque::from([bytes]))?;
        }
        Ok(())
    }

    fn truncate(&mut self) -> Result<(), Error> {
        self.hasher = self.goal.hasher();
        self.length = 0;
        self.written_back = 0;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .doing(|| format!("truncating the ingest of {}", self.goal))?;
        Ok(())
    }

    fn commit(&mut self, queue: &Queue) -> Result<(Digest, u64), Error> {
        if let Some(error) = queue.failure() {
            return Err(error);
        }
        if let Some(expected) = queue.size()
            && self.length != expected
        {
            return Err(Error::TooShort {
                expected,
                actual: self.length,
            });
        }
        if let Some(twin) = &self.twin
            && twin.size() == self.length
        {
            // Equal to verified bytes, and protected since it was compared with them.
            return Ok((twin.digest().clone(), self.length));
        }
        self.part()?;
        let actual = std::mem::replace(&mut self.hasher, self.goal.hasher()).finish();
        let damage = &self.ingests.content.damage;
        let is_here = match &self.goal {
            Goal::Blob(expected) | Goal::Own(expected) if actual != *expected => {
                // A lying server, or a file torn by a power cut: neither is worth resuming.
                let _ = fs::remove_file(&self.path);
                return Err(Error::DigestMismatch {
                    expected: expected.clone(),
                    actual,
                });
            }
            Goal::Blob(_) => false,
            // The one it did not wait for may have been faster.
            Goal::Own(_) => damage.present(&actual)? == Some(self.length),
            Goal::Stage { lease } => {
                // First protected, then looked for: see the rule in `lease`.
                let leases = &self.ingests.content.leases;
                leases.protect(*lease, std::slice::from_ref(&actual))?;
                // One of another size is damaged, and so is one with this digest that turned out
                // to have other bytes: it is replaced.
                let is_other = self.parted.as_ref() == Some(&actual);
                if is_other {
                    tracing::warn!(digest = %actual, "a damaged blob is replaced");
                }
                !is_other && damage.present(&actual)? == Some(self.length)
            }
        };
        if !is_here {
            if let Err(error) = self.file.sync_data() {
                // The kernel may have dropped the pages it could not write: do not trust the file.
                let _ = self.truncate();
                return Err(Error::io(format!("syncing {actual}"), error));
            }
            content::publish(damage, &self.path, &actual)?;
        }
        Ok((actual, self.length))
    }
}

fn write_all(file: &mut File, mut pieces: VecDeque<Bytes>) -> io::Result<()> {
    while !pieces.is_empty() {
        let slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .take(SLICES)
            .map(|piece| IoSlice::new(piece))
            .collect();
        let mut written = match file.write_vectored(&slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        while let Some(first) = pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            pieces.pop_front();
        }
    }
    Ok(())
}
