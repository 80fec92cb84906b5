//! Leases: content in use is not deleted, and one operation of a kind runs at a time.
//!
//! They live in a database of their own, `leases.db`: other processes must see them, but no lease
//! outlives a power cut, because its owner does not. So nothing here waits for the disk
//! (`synchronous=NORMAL` in WAL mode syncs only at checkpoints), while a pull protects dozens of
//! blobs.
//!
//! The rule that makes deletion safe: protect first, then look. A deletion holds the write lock of
//! `leases.db` from reading the leases to unlinking the last file. Whoever protects either comes
//! before, and is seen, or after, and sees the absence.

mod file;
mod handle;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use rustix::fs::FallocateFlags;

pub use handle::Lease;

use crate::error::Doing as _;
use crate::layout::{Layout, OPENING};
use crate::owner::{Dead, Owner, find_dead};
use crate::private::Private;
use crate::sync::lock;
use crate::{Digest, Error, database, reserve};
use file::Opened;

/// Longest name of a lock in bytes; as long as the names of images they are made from.
const MAX_LOCK_NAME: usize = 4096;

/// Bytes kept for leases in the database, and in its log: a prune takes some 50 KiB of them.
const ROOM: u64 = 256 * 1024;
/// Pages of a database that has that room, of 4 KiB each.
const ROOM_PAGES: i64 = 64;

const SCHEMA: &str = "
CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL) STRICT;
CREATE TABLE protections (
    lease INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (lease, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE locks (name TEXT PRIMARY KEY, lease INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX leases_owner ON leases (owner);
CREATE INDEX locks_lease ON locks (lease);
";

pub(crate) struct Leases {
    /// `None` in a read-only store: nothing can be protected there.
    shared: Option<Shared>,
    own: Mutex<Own>,
}

struct Shared {
    path: PathBuf,
    /// What changes with it in [`Own`] changes while this is locked, so that a file made anew gets
    /// all of it.
    opened: Mutex<Opened>,
    /// A deletion found the file broken.
    is_suspect: AtomicBool,
    owner: Owner,
    private: Private,
    busy_timeout: Duration,
}

/// This process's leases: what is protected already costs no SQL.
#[derive(Default)]
struct Own {
    live: HashMap<u64, Held>,
    /// Released, but still in the database.
    released: HashMap<u64, Held>,
    /// Whether somebody is about to take them out of it.
    settling: bool,
    /// Lease numbers of a read-only store.
    last: u64,
}

/// What a lease holds.
#[derive(Default)]
struct Held {
    digests: HashSet<Digest>,
    locks: Vec<String>,
}

impl Leases {
    /// Opens or creates the database. Callers hold the store's opening lock.
    pub(crate) fn open(
        layout: &Layout,
        owner: Owner,
        busy_timeout: Duration,
    ) -> Result<Leases, Error> {
        let private = layout.place().clone();
        let path = layout.private("leases.db");
        // Without a lease nothing is pruned.
        let mut opened = reserve::spend(layout, || {
            Opened::open(&private, &owner, busy_timeout, false)
        })?;
        if let Err(error) = make_room(&opened.connection, &path) {
            tracing::debug!(%error, "leases have no room of their own on a full disk");
        }
        // It holds nothing yet.
        if let Err(error) = opened.account(&Own::default(), &owner) {
            tracing::debug!(%error, "what this process holds is not accounted for yet");
        }
        let shared = Shared {
            path,
            opened: Mutex::new(opened),
            is_suspect: AtomicBool::new(false),
            owner,
            private,
            busy_timeout,
        };
        shared.sweep_owners();
        Ok(Leases {
            shared: Some(shared),
            own: Mutex::default(),
        })
    }

    /// Leases of a store nobody here can delete from: they protect nothing.
    pub(crate) fn read_only() -> Leases {
        Leases {
            shared: None,
            own: Mutex::default(),
        }
    }

    /// Starts a lease.
    fn acquire(&self) -> Result<u64, Error> {
        let Some(shared) = &self.shared else {
            let mut own = lock(&self.own);
            own.last += 1;
            let id = own.last;
            own.live.insert(id, Held::default());
            return Ok(id);
        };
        shared.change(
            &self.own,
            |transaction| {
                drop(shared.prune(transaction)?);
                transaction
                    .prepare_cached("INSERT INTO leases (owner) VALUES (?)")?
                    .execute([shared.owner.id()])?;
                Ok(transaction.last_insert_rowid().cast_unsigned())
            },
            |own, id| {
                own.live.insert(id, Held::default());
                Ok(id)
            },
        )
    }

    /// Whether the lease is live and protects the digest already.
    pub(crate) fn protects(&self, lease: u64, digest: &Digest) -> Result<bool, Error> {
        match lock(&self.own).live.get(&lease) {
            Some(held) => Ok(self.shared.is_none() || held.digests.contains(digest)),
            None => Err(unknown(lease)),
        }
    }

    /// Protects digests, here or not yet here, until the lease ends.
    pub(crate) fn protect(&self, lease: u64, digests: &[Digest]) -> Result<(), Error> {
        let new: Vec<&Digest> = {
            let own = lock(&self.own);
            let held = own.live.get(&lease).ok_or_else(|| unknown(lease))?;
            digests
                .iter()
                .filter(|digest| !held.digests.contains(*digest))
                .collect()
        };
        let Some(shared) = self.shared.as_ref().filter(|_| !new.is_empty()) else {
            return Ok(());
        };
        shared.change(
            &self.own,
            |transaction| {
                let mut insert = transaction
                    .prepare_cached("INSERT OR IGNORE INTO protections VALUES (?, ?)")?;
                for digest in &new {
                    insert.execute((lease.cast_signed(), digest.as_str()))?;
                }
                Ok(())
            },
            |own, ()| match own.live.get_mut(&lease) {
                Some(held) => {
                    held.digests.extend(new.iter().copied().cloned());
                    Ok(())
                }
                None => {
                    // Released in between: the rows just written have to go, too.
                    own.released.entry(lease).or_default();
                    Err(unknown(lease))
                }
            },
        )
    }

    /// Ends a lease at once for this process. True if [`Leases::settle_all`] has to be called, which
    /// waits for the database: one call for all that end while it is still to come.
    fn release(&self, lease: u64) -> bool {
        let mut own = lock(&self.own);
        let Some(protected) = own.live.remove(&lease) else {
            return false;
        };
        if self.shared.is_none() {
            return false;
        }
        own.released.insert(lease, protected);
        !std::mem::replace(&mut own.settling, true)
    }

    /// Removes from the database what was released, and what is released meanwhile.
    fn settle_all(&self) {
        loop {
            let settled = self.settle(Shared::mend);
            let mut own = lock(&self.own);
            if settled.is_err() || own.released.is_empty() {
                own.settling = false;
                drop(own);
                if let Err(error) = settled {
                    tracing::warn!(%error, "released leases stay in the database for now");
                }
                return;
            }
        }
    }

    /// Nobody is about to call [`Leases::settle_all`] any more.
    fn stop_settling(&self) {
        lock(&self.own).settling = false;
    }

    /// Removes released leases from the database.
    fn settle(&self, mend: Mend) -> Result<(), Error> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let released: Vec<u64> = lock(&self.own).released.keys().copied().collect();
        if released.is_empty() {
            return Ok(());
        }
        let settled: Vec<_> = shared.change_or(
            mend,
            &self.own,
            |transaction| {
                for &lease in &released {
                    forget(transaction, lease.cast_signed())?;
                }
                Ok(())
            },
            |own, ()| {
                let settled = released.iter().map(|lease| own.released.remove(lease));
                Ok(settled.collect())
            },
        )?;
        // Many digests, perhaps: nobody waits for this.
        drop(settled);
        Ok(())
    }

    /// Takes the lock `name` for as long as the lease lives. False if another lease has it.
    fn lock(&self, name: &str, lease: u64) -> Result<bool, Error> {
        if name.is_empty() || name.len() > MAX_LOCK_NAME {
            return Err(Error::Invalid(format!(
                "the name of a lock must have 1 to {MAX_LOCK_NAME} bytes, this has {}",
                name.len()
            )));
        }
        if !lock(&self.own).live.contains_key(&lease) {
            return Err(unknown(lease));
        }
        let Some(shared) = &self.shared else {
            return Err(Error::ReadOnly(format!("{name} cannot be locked")));
        };
        self.settle(Shared::mend)?;
        let take = |transaction: &Transaction<'_>| {
            let holder = |transaction: &Transaction<'_>| -> Result<Option<i64>, Error> {
                Ok(transaction
                    .prepare_cached(
                        "SELECT lease FROM locks JOIN leases ON leases.id = lease WHERE name = ?",
                    )?
                    .query_row([name], |row| row.get(0))
                    .optional()?)
            };
            let mut found = holder(transaction)?;
            if found.is_some_and(|found| found != lease.cast_signed()) {
                drop(shared.prune(transaction)?);
                found = holder(transaction)?;
            }
            match found {
                Some(found) => Ok(found == lease.cast_signed()),
                None => {
                    // Somebody may have it who has not said so yet.
                    shared.check_accounted(transaction)?;
                    transaction
                        .prepare_cached("INSERT OR REPLACE INTO locks VALUES (?, ?)")?
                        .execute((name, lease.cast_signed()))?;
                    Ok(true)
                }
            }
        };
        shared.change(&self.own, take, |own, is_taken| {
            if is_taken && let Some(held) = own.live.get_mut(&lease) {
                held.locks.push(name.to_owned());
            }
            Ok(is_taken)
        })
    }

    /// Runs `work` with every leased digest, while no process can protect more.
    pub(crate) fn exclude<T>(
        &self,
        work: impl FnOnce(&HashSet<String>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(shared) = &self.shared else {
            return Err(Error::ReadOnly("content cannot be deleted".into()));
        };
        // Best effort, as deleting must work on a full disk: what cannot be removed from the
        // database is left out below.
        // Nothing is mended here: whoever is being opened may wait for what this deletion holds.
        if let Err(error) = self.settle(Shared::mend_later) {
            tracing::warn!(%error, "released leases stay in the database for now");
        }
        let pruned = shared.change_or(
            Shared::mend_later,
            &self.own,
            |transaction| shared.prune(transaction),
            |_, dead| Ok(dead),
        );
        if let Err(error) = pruned {
            tracing::warn!(%error, "leases of dead processes stay in the database for now");
        }
        let mut opened = lock(&shared.opened);
        let leased = self.leased(shared, &mut opened);
        let (transaction, leased) = leased.map_err(|error| shared.later(error))?;
        // Nothing was written, so the end of the transaction cannot fail.
        let result = work(&leased);
        drop(transaction);
        result
    }

    /// Every leased digest, and the transaction in which nobody can protect more.
    fn leased<'a>(
        &self,
        shared: &Shared,
        opened: &'a mut Opened,
    ) -> Result<(Transaction<'a>, HashSet<String>), Error> {
        let identity = opened.identity();
        let transaction = database::begin(&mut opened.connection, &shared.path)?;
        identity.check(&shared.path)?;
        shared.check_accounted(&transaction)?;
        let released: HashSet<u64> = lock(&self.own).released.keys().copied().collect();
        let mut leased = HashSet::new();
        {
            let mut query = transaction.prepare_cached(
                "SELECT lease, digest FROM protections JOIN leases ON leases.id = lease",
            )?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                if !released.contains(&row.get::<_, i64>(0)?.cast_unsigned()) {
                    leased.insert(row.get(1)?);
                }
            }
        }
        Ok((transaction, leased))
    }

    /// Notices that the file is another one now, and mends it if a deletion found it broken. True if
    /// there was something to do. Costs microseconds otherwise.
    pub(crate) fn follow(&self) -> Result<bool, Error> {
        let Some(shared) = &self.shared else {
            return Ok(false);
        };
        let mut opened = lock(&shared.opened);
        let is_suspect = shared.is_suspect.swap(false, Ordering::AcqRel);
        let looked = opened.check(&shared.path, &shared.owner);
        let why = match looked {
            Ok(()) if !is_suspect => return Ok(false),
            Ok(()) => Error::Locked("it was found broken".into()),
            Err(error) if error.is_broken() => error,
            Err(error) => return Err(error),
        };
        shared.mend(&mut opened, &self.own, why)?;
        Ok(true)
    }
}

/// What is done about a broken file.
type Mend = fn(&Shared, &mut Opened, &Mutex<Own>, Error) -> Result<(), Error>;

impl Shared {
    /// Changes the database, and then what is known of it here.
    fn change<T, R>(
        &self,
        own: &Mutex<Own>,
        work: impl FnMut(&Transaction<'_>) -> Result<T, Error>,
        then: impl FnOnce(&mut Own, T) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.change_or(Shared::mend, own, work, then)
    }

    fn change_or<T, R>(
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

    fn attempt<T>(
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
    fn mend(&self, opened: &mut Opened, own: &Mutex<Own>, why: Error) -> Result<(), Error> {
        tracing::debug!(%why, "leases are said again");
        let _locked = self.private.lock(OPENING)?;
        let mut anew = Opened::open(&self.private, &self.owner, self.busy_timeout, true)?;
        anew.account(&lock(own), &self.owner)?;
        *opened = anew;
        Ok(())
    }

    fn mend_later(&self, _: &mut Opened, _: &Mutex<Own>, why: Error) -> Result<(), Error> {
        Err(self.later(why))
    }

    /// Leaves it to [`Leases::follow`] to mend the file.
    fn later(&self, error: Error) -> Error {
        if !error.is_broken() {
            return error;
        }
        self.is_suspect.store(true, Ordering::Release);
        Error::Locked(format!("{} is being made anew", self.path.display()))
    }

    fn prune(&self, transaction: &Transaction<'_>) -> Result<Vec<Dead>, Error> {
        file::prune(transaction, &self.private.owners(), &self.owner)
    }

    fn check_accounted(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        file::check_accounted(transaction, &self.private.owners(), &self.owner)
    }

    /// Removes the files of dead owners that held no lease.
    fn sweep_owners(&self) {
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
fn make_room(connection: &Connection, path: &Path) -> Result<(), Error> {
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    if pages < ROOM_PAGES {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; CREATE TABLE room (it BLOB); \
             INSERT INTO room VALUES (zeroblob({ROOM})); DROP TABLE room; COMMIT;"
        ))?;
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

fn forget(transaction: &Transaction<'_>, lease: i64) -> Result<(), Error> {
    for sql in [
        "DELETE FROM protections WHERE lease = ?",
        "DELETE FROM locks WHERE lease = ?",
        "DELETE FROM leases WHERE id = ?",
    ] {
        transaction.prepare_cached(sql)?.execute([lease])?;
    }
    Ok(())
}

fn unknown(lease: u64) -> Error {
    Error::Invalid(format!(
        "lease {lease} is not held by this process; acquire one"
    ))
}
