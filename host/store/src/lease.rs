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

mod handle;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use rustix::fs::FallocateFlags;

pub use handle::Lease;

use crate::error::Doing as _;
use crate::layout::Layout;
use crate::owner::{Dead, Owner, find_dead};
use crate::sync::lock;
use crate::{Digest, Error, database, reserve};

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
    connection: Mutex<Connection>,
    owner: Owner,
    owners: PathBuf,
}

/// This process's leases: what is protected already costs no SQL.
#[derive(Default)]
struct Own {
    live: HashMap<u64, HashSet<Digest>>,
    /// Released, but still in the database.
    released: HashMap<u64, HashSet<Digest>>,
    /// Whether somebody is about to take them out of it.
    settling: bool,
    /// Lease numbers of a read-only store.
    last: u64,
}

impl Leases {
    /// Opens or creates the database. Callers hold the store's opening lock.
    pub(crate) fn open(
        layout: &Layout,
        owner: Owner,
        busy_timeout: Duration,
    ) -> Result<Leases, Error> {
        let path = layout.private("leases.db");
        // Without a lease nothing is pruned.
        let connection = reserve::spend(layout, || {
            let mut connection = Connection::open(&path)?;
            database::configure(&connection, busy_timeout, "NORMAL")?;
            database::create(&mut connection, SCHEMA, 1)?;
            Ok(connection)
        })?;
        if let Err(error) = make_room(&connection, &path) {
            tracing::debug!(%error, "leases have no room of their own on a full disk");
        }
        let shared = Shared {
            path,
            connection: Mutex::new(connection),
            owner,
            owners: layout.owners(),
        };
        // Best effort: a full disk must not keep a store from opening.
        if let Err(error) = shared.change(|transaction| shared.prune(transaction)) {
            tracing::warn!(%error, "leases of dead processes stay for now");
        }
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
        let id = match &self.shared {
            None => {
                let mut own = lock(&self.own);
                own.last += 1;
                own.last
            }
            Some(shared) => shared.change(|transaction| {
                drop(shared.prune(transaction)?);
                transaction
                    .prepare_cached("INSERT INTO leases (owner) VALUES (?)")?
                    .execute([shared.owner.id()])?;
                Ok(transaction.last_insert_rowid().cast_unsigned())
            })?,
        };
        lock(&self.own).live.insert(id, HashSet::new());
        Ok(id)
    }

    /// Whether the lease is live and protects the digest already.
    pub(crate) fn protects(&self, lease: u64, digest: &Digest) -> Result<bool, Error> {
        match lock(&self.own).live.get(&lease) {
            Some(protected) => Ok(self.shared.is_none() || protected.contains(digest)),
            None => Err(unknown(lease)),
        }
    }

    /// Protects digests, here or not yet here, until the lease ends.
    pub(crate) fn protect(&self, lease: u64, digests: &[Digest]) -> Result<(), Error> {
        let new: Vec<&Digest> = {
            let own = lock(&self.own);
            let protected = own.live.get(&lease).ok_or_else(|| unknown(lease))?;
            digests
                .iter()
                .filter(|digest| !protected.contains(*digest))
                .collect()
        };
        let Some(shared) = self.shared.as_ref().filter(|_| !new.is_empty()) else {
            return Ok(());
        };
        shared.change(|transaction| {
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO protections VALUES (?, ?)")?;
            for digest in &new {
                insert.execute((lease.cast_signed(), digest.as_str()))?;
            }
            Ok(())
        })?;
        let mut own = lock(&self.own);
        match own.live.get_mut(&lease) {
            Some(protected) => {
                protected.extend(new.into_iter().cloned());
                Ok(())
            }
            None => {
                // Released in between: the rows just written have to go, too.
                own.released.entry(lease).or_default();
                Err(unknown(lease))
            }
        }
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
            let settled = self.settle();
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
    fn settle(&self) -> Result<(), Error> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let released: Vec<u64> = lock(&self.own).released.keys().copied().collect();
        if released.is_empty() {
            return Ok(());
        }
        shared.change(|transaction| {
            for &lease in &released {
                forget(transaction, lease.cast_signed())?;
            }
            Ok(())
        })?;
        let mut own = lock(&self.own);
        let settled: Vec<_> = released
            .iter()
            .map(|lease| own.released.remove(lease))
            .collect();
        drop(own);
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
        self.settle()?;
        shared.change(|transaction| {
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
                    transaction
                        .prepare_cached("INSERT OR REPLACE INTO locks VALUES (?, ?)")?
                        .execute((name, lease.cast_signed()))?;
                    Ok(true)
                }
            }
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
        if let Err(error) = self.settle() {
            tracing::warn!(%error, "released leases stay in the database for now");
        }
        if let Err(error) = shared.change(|transaction| shared.prune(transaction)) {
            tracing::warn!(%error, "leases of dead processes stay in the database for now");
        }
        let mut connection = lock(&shared.connection);
        let transaction = database::begin(&mut connection, &shared.path)?;
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
        // Nothing was written, so the end of the transaction cannot fail.
        work(&leased)
    }
}

impl Shared {
    fn change<T>(
        &self,
        mut work: impl FnMut(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = lock(&self.connection);
        let mut attempt = |connection: &mut Connection| {
            let transaction = database::begin(connection, &self.path)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        match attempt(&mut connection) {
            Err(Error::NoSpace(_)) => {
                // The log begins again where it has room: see `make_room`.
                checkpoint(&connection)?;
                attempt(&mut connection)
            }
            result => result,
        }
    }

    /// Drops what dead owners left. Keep the result until the transaction is committed: with it go
    /// the owners' files.
    fn prune(&self, transaction: &Transaction<'_>) -> Result<Vec<Dead>, Error> {
        let mut dead = Vec::new();
        let owners: Vec<String> = {
            let mut query =
                transaction.prepare_cached("SELECT DISTINCT owner FROM leases WHERE owner != ?")?;
            let rows = query.query_map([self.owner.id()], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for owner in owners {
            let Some(proof) = find_dead(&self.owners, &owner) else {
                continue;
            };
            let mut query = transaction.prepare_cached("SELECT id FROM leases WHERE owner = ?")?;
            let leases: Vec<i64> = query
                .query_map([&owner], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for lease in leases {
                forget(transaction, lease)?;
            }
            dead.push(proof);
        }
        Ok(dead)
    }

    /// Removes the files of dead owners that held no lease.
    fn sweep_owners(&self) {
        let Ok(entries) = std::fs::read_dir(&self.owners) else {
            return;
        };
        for id in entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
        {
            if id != self.owner.id() {
                drop(find_dead(&self.owners, &id));
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
