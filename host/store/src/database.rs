//! The SQLite side of a store: one writer, one reader, and the generation.
//!
//! `store.db` holds what must survive a power cut (WAL, `synchronous=FULL`). What need not lives in
//! `leases.db`, see [`crate::lease`].

mod head;
mod schema;
pub(crate) mod suspect;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::sync::lock;
use head::{data_version, mend_head, read_head, write_head};

use crate::{Error, holder};
pub(crate) use head::{Head, advance, late_generation};
pub(crate) use schema::{create, create_alone};

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
        schema::create_all(&mut writer)?;
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
        schema::create_all(&mut connection)?;
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

/// Writes to the log, and so to all of the shared index: see [`crate::reserve::has_small_blocks`].
pub(crate) fn touch(connection: &Connection) -> Result<(), Error> {
    let transaction = connection.unchecked_transaction()?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    transaction.pragma_update(None, "user_version", version)?;
    Ok(transaction.commit()?)
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
