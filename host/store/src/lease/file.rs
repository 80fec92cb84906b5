//! The file leases are in, and how it is made anew when it is broken, or gone.
//!
//! It never waits for the disk, so a power cut may tear it; and nothing in it outlives its owner. So
//! a broken one is set aside and made anew, whoever notices. What living owners hold in the old one
//! is then not known: until each has said it again, in the new one, nobody deletes content or takes a
//! lock. They notice by themselves, as the file has moved, at their next change or within seconds. An
//! owner that never says it (another version's) holds deletions up until it ends: the safe side.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::{Own, SCHEMA, forget};
use crate::aside::{self, BESIDE_DATABASE};
use crate::error::broken;
use crate::owner::{self, Dead, Owner, find_dead};
use crate::private::Private;
use crate::{Error, database};

const FILE: &str = "leases.db";

// What came later, see `database`.
const ADDITIONS: &str = "
CREATE TABLE IF NOT EXISTS unaccounted (owner TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
";

/// Which file was opened: its device and inode.
#[derive(Clone, Copy)]
pub(super) struct Identity(Option<(u64, u64)>);

impl Identity {
    fn of(path: &Path) -> Identity {
        let metadata = fs::metadata(path);
        Identity(metadata.ok().map(|found| (found.dev(), found.ino())))
    }

    /// Fails if another file is at `path` now. To be asked within a transaction: who replaces the file
    /// afterwards notes that this owner is not accounted for.
    pub(super) fn check(self, path: &Path) -> Result<(), Error> {
        if self.0.is_some() && self.0 == Identity::of(path).0 {
            return Ok(());
        }
        Err(broken("the file has moved"))
    }
}

/// The open file.
pub(super) struct Opened {
    pub(super) connection: Connection,
    identity: Identity,
}

impl Opened {
    /// Opens or creates the file. Callers hold the store's opening lock, so that nobody sets aside
    /// what another has just made. A `thorough` look reads all of it.
    pub(super) fn open(
        private: &Private,
        owner: &Owner,
        busy_timeout: Duration,
        thorough: bool,
    ) -> Result<Opened, Error> {
        let path = private.path(FILE);
        let why = if aside::is_odd_database(&path) {
            "not a file".to_owned()
        } else if fs::metadata(&path).is_ok_and(|found| found.len() == 0) {
            // Nobody makes it but under the lock, and others may still have it open.
            "empty".to_owned()
        } else {
            match Opened::try_open(private, owner, busy_timeout, thorough) {
                Err(error) if error.is_broken() => error.to_string(),
                // Perhaps a newer version's. If nobody uses it, nothing in it is worth keeping.
                Err(error @ Error::Unsupported(_))
                    if owner::living(&private.owners(), owner.id())?.is_empty() =>
                {
                    error.to_string()
                }
                result => return result,
            }
        };
        let moved = aside::set_aside(private, &path, &BESIDE_DATABASE)?;
        tracing::warn!(
            why,
            "{} was broken and is made anew; what it was is {}, which may be deleted",
            path.display(),
            moved.display()
        );
        Opened::try_open(private, owner, busy_timeout, false)
    }

    fn try_open(
        private: &Private,
        owner: &Owner,
        busy_timeout: Duration,
        thorough: bool,
    ) -> Result<Opened, Error> {
        let path = private.path(FILE);
        let mut connection = Connection::open(&path)?;
        database::configure(&connection, busy_timeout, "NORMAL")?;
        let schema = schema(&owner::living(&private.owners(), owner.id())?);
        database::create(&mut connection, &schema, 1)?;
        connection.execute_batch(ADDITIONS)?;
        if thorough {
            let found: String =
                connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Err(broken(&found));
            }
            read_all(&connection)?;
        }
        let mut opened = Opened {
            identity: Identity::of(&path),
            connection,
        };
        opened.look(private, owner)?;
        Ok(opened)
    }

    /// Reads what there should be, and drops what dead owners left.
    fn look(&mut self, private: &Private, owner: &Owner) -> Result<(), Error> {
        let owners = private.owners();
        let looked = (|| {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for sql in [
                "SELECT id, owner FROM leases LIMIT 1",
                "SELECT lease, digest FROM protections LIMIT 1",
                "SELECT name, lease FROM locks LIMIT 1",
                "SELECT owner, owner FROM unaccounted LIMIT 1",
            ] {
                let mut query = transaction.prepare(sql)?;
                let mut rows = query.query([])?;
                rows.next()?;
            }
            let dead = prune(&transaction, &owners, owner)?;
            transaction.commit()?;
            drop(dead);
            Ok(())
        })();
        match looked {
            Err(error @ Error::Database(_)) if error.is_broken() => Err(error),
            // Best effort: a full disk must not keep a store from opening.
            Err(error) => {
                tracing::warn!(%error, "leases of dead processes stay for now");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Which file it is.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Fails as broken if the file has moved, or does not know what this owner holds.
    pub(super) fn check(&self, path: &Path, owner: &Owner) -> Result<(), Error> {
        self.identity.check(path)?;
        let is_accounted = self
            .connection
            .prepare_cached("SELECT 1 FROM unaccounted WHERE owner = ?")?
            .query_row([owner.id()], |_| Ok(()))
            .optional()?
            .is_none();
        if is_accounted {
            return Ok(());
        }
        Err(broken("others made it anew"))
    }

    /// Says again what `own` holds.
    pub(super) fn account(&mut self, own: &Own, owner: &Owner) -> Result<(), Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (lease, held) in &own.live {
            let lease = lease.cast_signed();
            transaction
                .prepare_cached("INSERT OR IGNORE INTO leases (id, owner) VALUES (?, ?)")?
                .execute((lease, owner.id()))?;
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO protections VALUES (?, ?)")?;
            for digest in &held.digests {
                insert.execute((lease, digest.as_str()))?;
            }
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO locks VALUES (?, ?)")?;
            for name in &held.locks {
                insert.execute((name, lease))?;
            }
        }
        transaction
            .prepare_cached("DELETE FROM unaccounted WHERE owner = ?")?
            .execute([owner.id()])?;
        transaction.commit()?;
        Ok(())
    }
}

/// Reads every row as it will be read, so that none is met later that cannot be.
fn read_all(connection: &Connection) -> Result<(), Error> {
    for sql in [
        "SELECT id, owner FROM leases",
        "SELECT lease, digest FROM protections",
        "SELECT lease, name FROM locks",
        "SELECT 0, owner FROM unaccounted",
    ] {
        let mut query = connection.prepare(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            row.get::<_, i64>(0)?;
            row.get::<_, String>(1)?;
        }
    }
    Ok(())
}

/// The tables of a new file that `living` have not said yet what they hold in.
fn schema(living: &[String]) -> String {
    let mut schema = format!("{SCHEMA}{ADDITIONS}");
    for id in living {
        schema.push_str(&format!("INSERT INTO unaccounted VALUES ('{id}');"));
    }
    if !living.is_empty() {
        // Numbers nobody has in the old file: nobody starts a million leases in a second.
        let start = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        schema.push_str(&format!(
            "INSERT INTO sqlite_sequence VALUES ('leases', {start});"
        ));
    }
    schema
}

/// Fails while a living owner has not said what it holds.
pub(super) fn check_accounted(
    transaction: &Transaction<'_>,
    owners: &Path,
    own: &Owner,
) -> Result<(), Error> {
    let mut query = transaction.prepare_cached("SELECT owner FROM unaccounted WHERE owner != ?")?;
    let mut rows = query.query([own.id()])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        if find_dead(owners, &id).is_none() {
            return Err(Error::Locked(format!(
                "{FILE} was made anew, and {} has not said yet what it uses; that takes a few \
                 seconds",
                owner::describe(&id)
            )));
        }
    }
    Ok(())
}

/// Drops what dead owners left. Keep the result until the transaction is committed: with it go the
/// owners' files.
pub(super) fn prune(
    transaction: &Transaction<'_>,
    owners: &Path,
    own: &Owner,
) -> Result<Vec<Dead>, Error> {
    let mut dead = Vec::new();
    let found: Vec<String> = {
        let mut query = transaction.prepare_cached(
            "SELECT owner FROM leases WHERE owner != ?1
             UNION SELECT owner FROM unaccounted WHERE owner != ?1",
        )?;
        let rows = query.query_map([own.id()], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    for owner in found {
        let Some(proof) = find_dead(owners, &owner) else {
            continue;
        };
        let mut query = transaction.prepare_cached("SELECT id FROM leases WHERE owner = ?")?;
        let leases: Vec<i64> = query
            .query_map([&owner], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for lease in leases {
            forget(transaction, lease)?;
        }
        transaction
            .prepare_cached("DELETE FROM unaccounted WHERE owner = ?")?
            .execute([&owner])?;
        dead.push(proof);
    }
    Ok(dead)
}
