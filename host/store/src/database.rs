//! The SQLite side of a store: one writer, one reader, and the generation.
//!
//! `store.db` holds what must survive a power cut (WAL, `synchronous=FULL`). What need not lives in
//! `leases.db`, see [`crate::lease`].

pub(crate) mod suspect;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::broken;
use crate::name::mirror;
use crate::sync::lock;
use crate::{Error, holder};

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

/// Largest generation that is believed: there must be room to count on.
const MAX_GENERATION: i64 = i64::MAX / 2;

/// Where the store stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Grows with every change of names or deletion of content, by any process.
    pub(crate) generation: u64,
    /// The generation of the last change of names.
    pub(crate) names: u64,
}

pub(crate) struct Database {
    path: PathBuf,
    /// `None` in a read-only store.
    writer: Option<Mutex<Connection>>,
    reader: Mutex<Reader>,
}

struct Reader {
    connection: Connection,
    /// SQLite's own change counter at the time `head` was read.
    data_version: i64,
    head: Head,
}

impl Database {
    /// Opens or creates the database. Callers hold the store's opening lock.
    pub(crate) fn open(path: &Path, busy_timeout: Duration) -> Result<Database, Error> {
        let mut writer = Connection::open(path)?;
        configure(&writer, busy_timeout, "FULL")?;
        create(&mut writer, SCHEMA, SCHEMA_VERSION)?;
        writer.execute_batch(ADDITIONS)?;
        add_mirror(&mut writer)?;
        mend_head(&mut writer, path)?;
        let reader = Connection::open(path)?;
        configure(&reader, busy_timeout, "FULL")?;
        reader.pragma_update(None, "query_only", true)?;
        Ok(Database {
            path: path.to_owned(),
            writer: Some(Mutex::new(writer)),
            reader: Mutex::new(Reader::new(reader)?),
        })
    }

    /// As [`touch`].
    pub(crate) fn touch(&self) -> Result<(), Error> {
        match &self.writer {
            Some(writer) => self.judge(touch(&lock(writer))),
            None => Ok(()),
        }
    }

    /// Moves all changes from the log to the database, and empties it; not while somebody reads or writes.
    pub(crate) fn empty_log(&self) -> Result<(), Error> {
        let Some(writer) = &self.writer else {
            return Ok(());
        };
        let writer = lock(writer);
        let patience: i64 = writer.query_row("PRAGMA busy_timeout", [], |row| row.get(0))?;
        writer.busy_timeout(Duration::ZERO)?;
        let emptied = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let patience = u64::try_from(patience).unwrap_or_default();
        writer.busy_timeout(Duration::from_millis(patience))?;
        Ok(emptied?)
    }

    /// Says what to do about an error of a damaged file, and notes it for the next start.
    fn judge<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| {
            if error.is_broken() {
                return suspect::note(&self.path, &error, self.writer.is_some());
            }
            error
        })
    }

    /// Opens the database of a store that cannot be written. `None` if there is none, or its last
    /// changes cannot be read without writing.
    pub(crate) fn open_read_only(
        path: &Path,
        busy_timeout: Duration,
    ) -> Result<Option<Database>, Error> {
        if !path.is_file() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let attempt = |uri: &str| -> Result<Reader, Error> {
            let connection = Connection::open_with_flags(uri, flags)?;
            connection.busy_timeout(busy_timeout)?;
            Reader::new(connection)
        };
        let uri = file_uri(path);
        let reader = attempt(&format!("{uri}?mode=ro")).or_else(|error| {
            // Without a writable directory SQLite cannot create its shared index, and reads a WAL
            // database only when told that nobody changes it. That skips the log: it must be empty.
            let mut log = path.as_os_str().to_owned();
            log.push("-wal");
            if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
                return Err(error);
            }
            attempt(&format!("{uri}?mode=ro&immutable=1"))
        });
        match reader {
            Ok(reader) => Ok(Some(Database {
                path: path.to_owned(),
                writer: None,
                reader: Mutex::new(reader),
            })),
            Err(error) => {
                tracing::warn!(%error, "the store's database cannot be read without writing to it");
                Ok(None)
            }
        }
    }

    /// A database in memory, for a read-only layout that has none. `fill` writes it once.
    pub(crate) fn in_memory(
        fill: impl FnOnce(&Transaction<'_>) -> Result<(), Error>,
    ) -> Result<Database, Error> {
        let mut connection = Connection::open_in_memory()?;
        create(&mut connection, SCHEMA, SCHEMA_VERSION)?;
        connection.execute_batch(ADDITIONS)?;
        add_mirror(&mut connection)?;
        let transaction = connection.transaction()?;
        fill(&transaction)?;
        transaction.commit()?;
        Ok(Database {
            path: PathBuf::new(),
            writer: None,
            reader: Mutex::new(Reader::new(connection)?),
        })
    }

    /// Where the store stands now, other processes included. Costs microseconds.
    pub(crate) fn head(&self) -> Result<Head, Error> {
        let head = lock(&self.reader).head();
        match head {
            Err(error) if error.is_broken() => self.read(|_, head| Ok(head)),
            head => self.judge(head),
        }
    }

    /// Reads from one consistent state.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection, Head) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = lock(&self.reader);
        self.judge((|| {
            let mut transaction = reader.connection.transaction()?;
            let head = match (read_head(&transaction), &self.writer) {
                (Err(error), Some(writer)) if error.is_broken() => {
                    drop(transaction);
                    drop(reader);
                    mend_head(&mut lock(writer), &self.path)?;
                    reader = lock(&self.reader);
                    transaction = reader.connection.transaction()?;
                    read_head(&transaction)?
                }
                // SQLite's own counter is as good.
                (Err(error), None) if error.is_broken() => {
                    let version = data_version(&transaction)?.cast_unsigned();
                    Head {
                        generation: version,
                        names: version,
                    }
                }
                (head, _) => head?,
            };
            work(&transaction, head)
        })())
    }

    /// Changes the database, alone among all processes. Commits if `work` succeeds; durable on
    /// return.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>, Head) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(writer) = &self.writer else {
            return Err(Error::ReadOnly("names and facts cannot be changed".into()));
        };
        let mut writer = lock(writer);
        self.judge((|| {
            let transaction = begin(&mut writer, &self.path)?;
            let head = match read_head(&transaction) {
                Err(error) if error.is_broken() => {
                    write_head(&transaction, &error)?;
                    read_head(&transaction)?
                }
                head => head?,
            };
            let result = work(&transaction, head)?;
            transaction.commit()?;
            Ok(result)
        })())
    }
}

impl Reader {
    fn new(connection: Connection) -> Result<Reader, Error> {
        let data_version = data_version(&connection)?;
        // One that cannot be read is none of the counter's.
        let (data_version, head) = match read_head(&connection) {
            Err(error)
                if error.is_broken()
                    && connection
                        .prepare("SELECT 1 FROM head, names LIMIT 0")
                        .is_ok() =>
            {
                (-1, Head::default())
            }
            head => (data_version, head?),
        };
        Ok(Reader {
            connection,
            data_version,
            head,
        })
    }

    fn head(&mut self) -> Result<Head, Error> {
        // The counter is read before the head: a change in between is only noticed once more.
        let data_version = data_version(&self.connection)?;
        if data_version != self.data_version {
            self.head = read_head(&self.connection)?;
            self.data_version = data_version;
        }
        Ok(self.head)
    }
}

/// Begins a change of the database at `path`. If another process does not let go of it, says which.
pub(crate) fn begin<'a>(
    connection: &'a mut Connection,
    path: &Path,
) -> Result<Transaction<'a>, Error> {
    // Which byte of the shared index a writer locks: `WAL_WRITE_LOCK` of SQLite's file format.
    const WRITER: u64 = 120;
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    begun.map_err(|error| match Error::from(error) {
        Error::Locked(_) => {
            let mut index = path.as_os_str().to_owned();
            index.push("-shm");
            Error::Locked(format!(
                "{} is held by {} for longer than any change takes",
                path.display(),
                holder::of_byte(Path::new(&index), WRITER)
            ))
        }
        other => other,
    })
}

/// Counts a change and returns the new generation.
pub(crate) fn advance(transaction: &Transaction<'_>, names: bool) -> Result<u64, Error> {
    let sql = if names {
        "UPDATE head SET generation = max(generation, names) + 1,
             names = max(generation, names) + 1 RETURNING generation"
    } else {
        "UPDATE head SET generation = max(generation, names) + 1 RETURNING generation"
    };
    let generation: i64 = transaction
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?;
    Ok(generation.cast_unsigned())
}

/// Settings every connection that may write shares.
pub(crate) fn configure(
    connection: &Connection,
    busy_timeout: Duration,
    synchronous: &str,
) -> Result<(), Error> {
    connection.busy_timeout(busy_timeout)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

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

/// Writes to the log, and so to all of the shared index: see [`crate::reserve::has_small_blocks`].
pub(crate) fn touch(connection: &Connection) -> Result<(), Error> {
    let transaction = connection.unchecked_transaction()?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    transaction.pragma_update(None, "user_version", version)?;
    Ok(transaction.commit()?)
}

/// A database that nobody else has, with tables, in one file and durable when it is closed.
pub(crate) fn create_alone(path: &Path) -> Result<Connection, Error> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    create(&mut connection, SCHEMA, SCHEMA_VERSION)?;
    connection.execute_batch(ADDITIONS)?;
    add_mirror(&mut connection)?;
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

/// Text of a row that need not be readable: what is not, is other text.
pub(crate) fn text(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(at)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => String::new(),
    })
}

fn data_version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))?)
}

fn read_head(connection: &Connection) -> Result<Head, Error> {
    let mut query = connection.prepare_cached("SELECT generation, names FROM head")?;
    let mut rows = query.query([])?;
    let Some(row) = rows.next()? else {
        return Err(broken("its generation is not there"));
    };
    let number = |at| -> rusqlite::Result<Option<u64>> {
        let number = row.get_ref(at)?.as_i64().ok();
        Ok(number
            .filter(|number| (0..=MAX_GENERATION).contains(number))
            .map(i64::cast_unsigned))
    };
    match (number(0)?, number(1)?) {
        (Some(generation), Some(names)) => Ok(Head {
            // Should one of them not be what it was.
            generation: generation.max(names),
            names,
        }),
        _ => Err(broken("its generation cannot be read")),
    }
}

/// Makes the generation anew if it cannot be read.
fn mend_head(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    match read_head(connection) {
        Err(error) if error.is_broken() => {}
        head => return head.map(drop),
    }
    let transaction = begin(connection, path)?;
    match read_head(&transaction) {
        Err(error) if error.is_broken() => write_head(&transaction, &error)?,
        head => return head.map(drop),
    }
    Ok(transaction.commit()?)
}

/// Makes the generation anew, for it cannot be read: `why`.
fn write_head(transaction: &Transaction<'_>, why: &Error) -> Result<(), Error> {
    let (before, after) = transaction
        .query_row("SELECT index_before, index_after FROM head", [], |row| {
            Ok((text(row, 0)?, text(row, 1)?))
        })
        .unwrap_or_default();
    transaction.execute("DELETE FROM head", [])?;
    transaction.execute(
        "INSERT INTO head VALUES (0, ?1, ?1, ?2, ?3)",
        (late_generation(), before, after),
    )?;
    tracing::warn!(%why, "the generation of the store was damaged and is made anew");
    Ok(())
}

/// A generation that no store has come to: more changes than milliseconds since 1970 none has seen.
pub(crate) fn late_generation() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| i64::try_from(since.as_millis()).unwrap_or(1))
}

/// SQLite's URI form of a path: everything but unreserved bytes and `/` escaped.
fn file_uri(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn touching_writes_to_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        drop(Database::open(&path, Duration::ZERO).unwrap());
        let database = Database::open(&path, Duration::ZERO).unwrap();
        let log = || std::fs::metadata(folder.path().join("store.db-wal")).map_or(0, |it| it.len());
        let before = log();
        database.touch().unwrap();
        assert!(log() > before);
    }
}
