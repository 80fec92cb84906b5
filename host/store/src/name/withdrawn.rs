//! Names that were removed or moved, as long as `index.json` may still say where they pointed.

use rusqlite::{Connection, Transaction};

use super::Change;
use crate::{Error, database};

/// Notes that `name` no longer points where the projection may still say.
pub(crate) fn remember(
    transaction: &Transaction<'_>,
    name: &str,
    old: Option<&str>,
    change: &Change,
) -> Result<(), Error> {
    let new = match change {
        Change::Set { target, .. } => Some(target.digest.as_str()),
        Change::Remove { .. } => None,
    };
    if let Some(old) = old.filter(|old| Some(*old) != new) {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO withdrawn VALUES (?, ?)")?
            .execute([name, old])?;
    }
    if let Some(new) = new {
        transaction
            .prepare_cached("DELETE FROM withdrawn WHERE name = ? AND digest = ?")?
            .execute([name, new])?;
    }
    Ok(())
}

/// Names that may still be in the projection, with what they pointed at. A row that cannot be read is
/// none: at worst another tool's change brings one name back.
pub(crate) fn all(connection: &Connection) -> Result<Vec<(String, String)>, Error> {
    Ok(connection
        .prepare_cached("SELECT name, digest FROM withdrawn")?
        .query_map([], |row| {
            Ok((database::text(row, 0)?, database::text(row, 1)?))
        })?
        .collect::<Result<_, _>>()?)
}

/// Forgets these: nothing on disk shows them any more.
pub(crate) fn forget(
    transaction: &Transaction<'_>,
    settled: &[(String, String)],
) -> Result<(), Error> {
    let mut delete =
        transaction.prepare_cached("DELETE FROM withdrawn WHERE name = ? AND digest = ?")?;
    for (name, digest) in settled {
        delete.execute((name, digest))?;
    }
    Ok(())
}
