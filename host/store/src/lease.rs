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
pub(crate) mod handle;
mod shared;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{OptionalExtension as _, Transaction};

use crate::layout::Layout;
use crate::owner::Owner;
use crate::reserve::KeepOnDrop;
use crate::sync::lock;
use crate::{Digest, Error, database, reserve};
use file::Opened;
use shared::{Mend, Shared, make_room};

/// Longest name of a lock in bytes; as long as the names of images they are made from.
const MAX_LOCK_NAME: usize = 4096;

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

pub(crate) struct LeaseTable {
    /// `None` in a read-only store: nothing can be protected there.
    shared: Option<Shared>,
    own: Mutex<Own>,
    /// Last: when the database is closed.
    _reserve: Option<Arc<KeepOnDrop>>,
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

impl LeaseTable {
    /// Opens or creates the database. Callers hold the store's opening lock. Once it is closed the reserve
    /// may be `kept`.
    pub(crate) fn open(
        layout: &Layout,
        owner: Owner,
        busy_timeout: Duration,
        kept: Arc<KeepOnDrop>,
    ) -> Result<LeaseTable, Error> {
        let private = layout.place().clone();
        let path = layout.private("leases.db");
        // Without a lease nothing is pruned.
        let mut opened = reserve::spend(layout, || {
            let has_small_blocks = reserve::has_small_blocks(layout)?;
            let opened = Opened::open(&private, &owner, busy_timeout, false)?;
            if has_small_blocks {
                database::touch(&opened.connection)?;
            }
            Ok(opened)
        })?;
        // Out of the reserve, if need be: closing the store gives it back.
        if let Err(error) = reserve::spend(layout, || make_room(&opened.connection, &path)) {
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
        Ok(LeaseTable {
            shared: Some(shared),
            own: Mutex::default(),
            _reserve: Some(kept),
        })
    }

    /// Leases of a store nobody here can delete from: they protect nothing.
    pub(crate) fn read_only() -> LeaseTable {
        LeaseTable {
            shared: None,
            own: Mutex::default(),
            _reserve: None,
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

    /// Ends a lease at once for this process. True if [`LeaseTable::settle_all`] has to be called, which
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

    /// Nobody is about to call [`LeaseTable::settle_all`] any more.
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
            return Err(Error::Argument(format!(
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
