//! A mark of a damaged blob, and how it is stored.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use crate::layout::Stamp;
use crate::{Digest, Error};

/// Longest reason kept, in bytes: a sentence.
const MAX_REASON: usize = 1024;

/// That the file of `stamp` is bad, and why.
#[derive(Clone)]
pub(super) struct Mark {
    pub(super) stamp: Stamp,
    pub(super) reason: String,
}

impl Mark {
    pub(super) fn new(stamp: Stamp, reason: &str) -> Mark {
        let reason = sentence(reason);
        Mark { stamp, reason }
    }
}

/// Stores marks.
pub(super) fn store<'m>(
    transaction: &Transaction<'_>,
    marks: impl Iterator<Item = &'m (Digest, Mark)>,
) -> Result<(), Error> {
    let mut insert =
        transaction.prepare_cached("INSERT OR REPLACE INTO damage VALUES (?, ?, ?, ?, ?)")?;
    for (digest, Mark { stamp, reason }) in marks {
        insert.execute((
            digest.as_str(),
            stamp.size.cast_signed(),
            stamp.modified,
            stamp.inode.cast_signed(),
            reason,
        ))?;
    }
    Ok(())
}

/// Drops a mark within a change of the database.
pub(crate) fn forget(connection: &Connection, digest: &Digest) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM damage WHERE digest = ?")?
        .execute([digest.as_str()])?;
    Ok(())
}

/// Every mark that is stored.
pub(super) fn load(connection: &Connection) -> Result<HashMap<Digest, Mark>, Error> {
    // A store that an older version wrote and that cannot be written has no such table.
    let exists: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'damage'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if exists.is_none() {
        return Ok(HashMap::new());
    }
    let mut query =
        connection.prepare_cached("SELECT digest, size, modified, inode, reason FROM damage")?;
    let mut rows = query.query([])?;
    let mut marks = HashMap::new();
    while let Some(row) = rows.next()? {
        match mark_of(row) {
            Some((digest, mark)) => drop(marks.insert(digest, mark)),
            None => tracing::debug!("a mark of a damaged blob cannot be read"),
        }
    }
    Ok(marks)
}

/// A mark as it is stored. What cannot be read marks nothing: whoever reads the blob marks it again.
fn mark_of(row: &rusqlite::Row<'_>) -> Option<(Digest, Mark)> {
    let digest: String = row.get(0).ok()?;
    let stamp = Stamp {
        size: row.get::<_, i64>(1).ok()?.cast_unsigned(),
        modified: row.get(2).ok()?,
        inode: row.get::<_, i64>(3).ok()?.cast_unsigned(),
    };
    let reason: String = row.get(4).ok()?;
    Some((Digest::parse(&digest).ok()?, Mark::new(stamp, &reason)))
}

/// A reason as it is kept.
fn sentence(reason: &str) -> String {
    reason
        .char_indices()
        .take_while(|(at, _)| *at < MAX_REASON)
        .map(|(_, character)| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}
