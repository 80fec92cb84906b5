//! The generation of a store: where it stands, made anew where it cannot be read.

use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::{begin, text};
use crate::Error;
use crate::error::broken;

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

pub(super) fn data_version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))?)
}

pub(super) fn read_head(connection: &Connection) -> Result<Head, Error> {
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
pub(super) fn mend_head(connection: &mut Connection, path: &Path) -> Result<(), Error> {
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
pub(super) fn write_head(transaction: &Transaction<'_>, why: &Error) -> Result<(), Error> {
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
