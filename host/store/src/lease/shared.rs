//! The file of leases as a process has it open, and what is done when it is broken.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use rustix::fs::FallocateFlags;

use super::Own;
use super::file::{self, Opened};
use crate::error::Doing as _;
use crate::layout::OPENING;
use crate::owner::{Dead, Owner, find_dead};
use crate::private::Private;
use crate::sync::lock;
use crate::{Error, database};

/// Bytes kept for leases in the database, and in its log: a prune takes some 50 KiB of them.
const ROOM: u64 = 256 * 1024;
/// Pages of a database that has that room, of 4 KiB each.
const ROOM_PAGES: i64 = 64;

/// What this process shares with others.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    /// What changes with it in [`Own`] changes while this is locked, so that a file made anew gets
    /// all of it.
    pub(super) opened: Mutex<Opened>,
    /// A deletion found the file broken.
    pub(super) is_suspect: AtomicBool,
    pub(super) owner: Owner,
    pub(super) private: Private,
    pub(super) busy_timeout: Duration,
}

/// What is done about a broken file.
pub(super) type Mend = fn(&Shared, &mut Opened, &Mutex<Own>, Error) -> Result<(), Error>;

impl Shared {
    /// Changes the database, and then what is known of it here.
    pub(super) fn change<T, R>(
        &self,
        own: &Mutex<Own>,
        work: impl FnMut(&Transaction<'_>) -> Result<T, Error>,
        then: impl FnOnce(&mut Own, T) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.change_or(Shared::mend, own, work, then)
    }

    pub(super) fn change_or<T, R>(
        &self,
        mend: Mend,
        own: &Mutex<Own>,
        mut work: impl FnMut(&Transaction<'_>) -> Result<T, Error>,
        then: impl FnOnce(&mut Own, T) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut opened = lock(&self.opened);
        let changed = match self.attempt(&mut opened, &mut work) {
            Err(Error::NoSpace(_)) => {
                // The log begins again where it has room: see `make_room`.
                checkpoint(&opened.connection)?;
                self.attempt(&mut opened, &mut work)?
            }
            Err(error) if error.is_broken() => {
                mend(self, &mut opened, own, error)?;
                self.attempt(&mut opened, &mut work)?
            }
            result => result?,
        };
        then(&mut lock(own), changed)
    }

    pub(super) fn attempt<T>(
        &self,
        opened: &mut Opened,
        work: &mut impl FnMut(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let identity = opened.identity();
        let transaction = database::begin(&mut opened.connection, &self.path)?;
        identity.check(&self.path)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Opens the file again, which is another one now, or broken and made anew.
    pub(super) fn mend(
        &self,
        opened: &mut Opened,
        own: &Mutex<Own>,
        why: Error,
    ) -> Result<(), Error> {
        tracing::debug!(%why, "leases are said again");
        let _locked = self.private.lock(OPENING)?;
        let mut anew = Opened::open(&self.private, &self.owner, self.busy_timeout, true)?;
        anew.account(&lock(own), &self.owner)?;
        *opened = anew;
        Ok(())
    }

    pub(super) fn mend_later(
        &self,
        _: &mut Opened,
        _: &Mutex<Own>,
        why: Error,
    ) -> Result<(), Error> {
        Err(self.later(why))
    }

    /// Leaves it to [`Leases::follow`] to mend the file.
    pub(super) fn later(&self, error: Error) -> Error {
        if !error.is_broken() {
            return error;
        }
        self.is_suspect.store(true, Ordering::Release);
        Error::Locked(format!("{} is being made anew", self.path.display()))
    }

    pub(super) fn prune(&self, transaction: &Transaction<'_>) -> Result<Vec<Dead>, Error> {
        file::prune(transaction, &self.private.owners(), &self.owner)
    }

    pub(super) fn check_accounted(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        file::check_accounted(transaction, &self.private.owners(), &self.owner)
    }

    /// Removes the files of dead owners that held no lease.
    pub(super) fn sweep_owners(&self) {
        let Ok(entries) = std::fs::read_dir(self.private.owners()) else {
            return;
        };
        for id in entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
        {
            if id != self.owner.id() {
                drop(find_dead(&self.private.owners(), &id));
            }
        }
    }
}

/// Makes room for leases on a full disk, where whoever wants to prune needs one: pages of the database
/// that are free, and blocks of its log that are there before they are written to.
pub(super) fn make_room(connection: &Connection, path: &Path) -> Result<(), Error> {
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    if pages < ROOM_PAGES {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(&format!(
            "CREATE TABLE room (it BLOB); \
             INSERT INTO room VALUES (zeroblob({ROOM})); DROP TABLE room;"
        ))?;
        transaction.commit()?;
        checkpoint(connection)?;
    }
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // SQLite locks no byte of its log, so closing this gives up no lock.
    let doing = || "making room for leases";
    let log = std::fs::File::options()
        .append(true)
        .open(log)
        .doing(doing)?;
    rustix::fs::fallocate(&log, FallocateFlags::KEEP_SIZE, 0, ROOM).doing(doing)
}

/// Moves everything from the log to the database, so that the log begins again.
fn checkpoint(connection: &Connection) -> Result<(), Error> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?)
}
