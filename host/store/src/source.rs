//! Where blobs are known to come from, so that a damaged one can be fetched again.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _};

use crate::name::table::NameTable;
use crate::{Digest, Error};

/// Repositories kept of one blob: base layers are in very many, and a few that answer suffice.
const MOST: i64 = 8;
/// Longest repository in bytes: a host name of 255, a path of 255, and what is between them.
const MAX_REPOSITORY: usize = 1024;

/// Notes that blobs are in a repository.
pub(crate) fn note(names: &NameTable, digests: &[Digest], repository: &str) -> Result<(), Error> {
    if !is_right(repository) {
        return Err(Error::Argument(format!(
            "a repository must have 1 to {MAX_REPOSITORY} bytes and no control characters, this \
             has {} bytes",
            repository.len()
        )));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
    names.write(|transaction, _| {
        // Later than any before, whatever the clock says.
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO sources VALUES (?1, ?2, max(?3, 1 + coalesce(
                 (SELECT max(noted) FROM sources WHERE digest = ?1), 0)))",
        )?;
        let mut bound = transaction.prepare_cached(
            "DELETE FROM sources WHERE digest = ?1 AND repository NOT IN
                 (SELECT repository FROM sources WHERE digest = ?1
                  ORDER BY noted DESC LIMIT ?2)",
        )?;
        for digest in digests {
            insert.execute((digest.as_str(), repository, now))?;
            bound.execute((digest.as_str(), MOST))?;
        }
        Ok(())
    })
}

/// Repositories of a blob, latest first.
pub(crate) fn of(names: &NameTable, digest: &Digest) -> Result<Vec<String>, Error> {
    names.read(|connection, _| {
        // A store that an older version wrote and that cannot be written has no such table.
        let exists: Option<i64> = connection
            .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'sources'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        if exists.is_none() {
            return Ok(Vec::new());
        }
        let mut query = connection.prepare_cached(
            "SELECT repository FROM sources WHERE digest = ? ORDER BY noted DESC",
        )?;
        let mut rows = query.query([digest.as_str()])?;
        let mut sources = Vec::new();
        while let Some(row) = rows.next()? {
            // What a flipped bit left is none.
            let source: Option<String> = row.get(0).ok();
            sources.extend(source.filter(|source| is_right(source)));
        }
        Ok(sources)
    })
}

fn is_right(repository: &str) -> bool {
    !repository.is_empty()
        && repository.len() <= MAX_REPOSITORY
        && !repository.chars().any(char::is_control)
}

/// Drops what is known about a deleted blob, within a change of the database.
pub(crate) fn forget(connection: &Connection, digest: &Digest) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM sources WHERE digest = ?")?
        .execute([digest.as_str()])?;
    Ok(())
}
