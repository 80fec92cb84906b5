//! The tables of `store.db`.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::Error;
use crate::error::broken;
use crate::name::mirror;

/// What is written down as the version of these tables.
const SCHEMA_VERSION: i64 = 1;
/// Largest version that may be a newer program's, and not damage.
const MAX_VERSION: i64 = 99;

// `head.names` is the generation of the last change of names, `head.generation` that of the last
// change at all: a deletion in several batches does not conflict with itself.
const SCHEMA: &str = "
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    generation INTEGER NOT NULL,
    names INTEGER NOT NULL,
    index_before TEXT NOT NULL,
    index_after TEXT NOT NULL
) STRICT;
INSERT INTO head VALUES (0, 1, 1, '', '');
CREATE TABLE names (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    labels TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE withdrawn (
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (name, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE facts (
    digest TEXT PRIMARY KEY,
    diff_id TEXT NOT NULL,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE checks (
    digest TEXT NOT NULL,
    diff_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'right', 'wrong')),
    PRIMARY KEY (digest, diff_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX checks_pending ON checks (digest) WHERE state = 'pending';
";

// What came later. Version 1 still: an older program does not miss what it does not know, and may
// use the store at the same time. What it leaves of deleted blobs in here does no harm.
const ADDITIONS: &str = "
CREATE TABLE IF NOT EXISTS damage (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (
    digest TEXT NOT NULL,
    repository TEXT NOT NULL,
    noted INTEGER NOT NULL,
    PRIMARY KEY (digest, repository)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts_sums (
    digest TEXT PRIMARY KEY,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Creates the tables in a new database, or checks that they are ours.
///
/// [`Error::Unsupported`] if they are of another version.
pub(crate) fn create(connection: &mut Connection, schema: &str, version: i64) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found == 0 {
        transaction.execute_batch(schema)?;
        transaction.pragma_update(None, "user_version", version)?;
    } else if !(0..=MAX_VERSION).contains(&found) {
        return Err(broken(format!("its version is {found}")));
    } else if found != version {
        return Err(Error::Unsupported(format!(
            "the store's database has version {found}, this program knows {version}; \
             use the version of strata that wrote it"
        )));
    }
    transaction.commit()?;
    Ok(())
}

/// Creates the tables of `store.db`, those that came later included.
pub(super) fn create_all(connection: &mut Connection) -> Result<(), Error> {
    create(connection, SCHEMA, SCHEMA_VERSION)?;
    connection.execute_batch(ADDITIONS)?;
    add_mirror(connection)
}

/// A database that nobody else has, with tables, in one file and durable when it is closed.
pub(crate) fn create_alone(path: &Path) -> Result<Connection, Error> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    create_all(&mut connection)?;
    Ok(connection)
}

/// Gives the names a mirror if they have none, or not all. On a full disk they stay as they are: that keeps
/// nobody from opening the store.
fn add_mirror(connection: &mut Connection) -> Result<(), Error> {
    let exists = mirror::exists(connection)?;
    if exists && !mirror::is_unsealed(connection)? {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made = match exists {
        true => mirror::seal_all(&transaction),
        false => mirror::create(&transaction),
    };
    match made.and_then(|()| Ok(transaction.commit()?)) {
        Err(error @ Error::NoSpace(_)) => {
            tracing::warn!(%error, "names are not mirrored for now");
            Ok(())
        }
        made => made,
    }
}
