//! The mirror of names: SQLite has no checksums, so a flipped bit in a row of names is believed. Each
//! row is in two tables, on different pages, and the second says what both should be.
//!
//! Triggers keep the mirror, so that it is right whoever changes names, an older program too; only
//! its checksums are added by [`seal`]. As long as both tables agree a reader compares and that is
//! all. Where they do not, [`resolve`](super::resolve) finds out what was written.

use rusqlite::types::Value;
use rusqlite::{
    Connection, OptionalExtension as _, Statement, Transaction, params, params_from_iter,
};

use super::Name;
use super::row::{COLUMNS, COUNT, Row, name_of};
use crate::Error;
use crate::error::broken;

/// Most rows read of a damaged table: its pages may lead in circles. No store has ten million names.
const MAX_ROWS: usize = 10_000_000;

const TABLE: &str = "
CREATE TABLE mirror (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    labels TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    checksum INTEGER,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
";

const TRIGGERS: &str = "
CREATE TRIGGER mirror_insert AFTER INSERT ON names BEGIN
    DELETE FROM mirror WHERE namespace = new.namespace AND name = new.name;
    INSERT INTO mirror SELECT *, NULL FROM names WHERE namespace = new.namespace AND name = new.name;
END;
CREATE TRIGGER mirror_update AFTER UPDATE ON names BEGIN
    DELETE FROM mirror WHERE namespace = new.namespace AND name = new.name;
    INSERT INTO mirror SELECT *, NULL FROM names WHERE namespace = new.namespace AND name = new.name;
END;
CREATE TRIGGER mirror_delete AFTER DELETE ON names BEGIN
    DELETE FROM mirror WHERE namespace = old.namespace AND name = old.name;
END;
";

const NO_TRIGGERS: &str = "
DROP TRIGGER IF EXISTS mirror_insert;
DROP TRIGGER IF EXISTS mirror_update;
DROP TRIGGER IF EXISTS mirror_delete;
";

/// Whether there is a mirror: a store that an older version wrote, and that cannot be written, has none.
pub(crate) fn exists(connection: &Connection) -> Result<bool, Error> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'mirror'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(found.is_some())
}

/// Makes the mirror of a database that has none yet, of whatever its names are.
pub(crate) fn create(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.execute_batch(TABLE)?;
    transaction.execute_batch(
        "INSERT OR IGNORE INTO mirror SELECT *, NULL FROM names WHERE typeof(namespace) = 'text'
             AND typeof(name) = 'text' AND typeof(media_type) = 'text' AND typeof(digest) = 'text'
             AND typeof(size) = 'integer' AND typeof(labels) = 'text'
             AND typeof(created) = 'integer' AND typeof(updated) = 'integer'",
    )?;
    transaction.execute_batch(TRIGGERS)?;
    seal_all(transaction)
}

/// [`seal`] for every name that is not yet: of an older program, or made in another way.
pub(crate) fn seal_all(transaction: &Transaction<'_>) -> Result<(), Error> {
    let names = scan(transaction, "names", "NULL")?;
    if let Some(failure) = names.failure {
        return Err(failure);
    }
    // What cannot be read is put right first: as long as nothing is sealed it is taken for a name.
    if names.rows.iter().any(|(row, _)| !row.is_right()) {
        return Ok(());
    }
    // What the tables do not agree on stays as it is.
    let mut write = transaction.prepare(
        "UPDATE mirror SET checksum = ?9 WHERE namespace = ?1 AND name = ?2 AND media_type = ?3
             AND digest = ?4 AND size = ?5 AND labels = ?6 AND created = ?7 AND updated = ?8
             AND checksum IS NULL",
    )?;
    for (row, _) in &names.rows {
        let checksum = Value::Integer(row.checksum());
        write.execute(params_from_iter(row.0.iter().chain([&checksum])))?;
    }
    Ok(())
}

/// Whether there is a name that is not sealed.
pub(crate) fn is_unsealed(connection: &Connection) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM mirror WHERE checksum IS NULL LIMIT 1";
    let found: Option<i64> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(found.is_some())
}

/// Notes what the row of a name is now.
pub(crate) fn seal(
    transaction: &Transaction<'_>,
    namespace: &str,
    name: &str,
) -> Result<(), Error> {
    if !exists(transaction)? {
        return Ok(());
    }
    let row = transaction
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM names WHERE namespace = ? AND name = ?"
        ))?
        .query_row([namespace, name], Row::read)?;
    transaction
        .prepare_cached("UPDATE mirror SET checksum = ? WHERE namespace = ? AND name = ?")?
        .execute(params![row.checksum(), namespace, name])?;
    Ok(())
}

/// What the tables say of a name, `None` if they do not agree, or not sensibly.
pub(super) fn current(
    transaction: &Transaction<'_>,
    namespace: &str,
    name: &str,
) -> Result<Option<Option<Row>>, Error> {
    let get = |table: &str| -> Result<Option<Row>, Error> {
        let mut query = transaction.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {table} WHERE namespace = ? AND name = ?"
        ))?;
        Ok(query.query_row([namespace, name], Row::read).optional()?)
    };
    let row = get("names")?;
    let is_agreed = !exists(transaction)? || get("mirror")? == row;
    let is_right = row.as_ref().is_none_or(Row::is_right);
    Ok((is_agreed && is_right).then_some(row))
}

/// Every name of a name space, in name order; `None` if the tables do not agree, or cannot be read.
pub(super) fn read(connection: &Connection, namespace: &str) -> Result<Option<Vec<Name>>, Error> {
    unless_broken(read_both(connection, namespace))
}

fn read_both(connection: &Connection, namespace: &str) -> Result<Option<Vec<Name>>, Error> {
    let select = |table: &str| {
        connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {table} WHERE namespace = ? ORDER BY name"
        ))
    };
    let mut query = select("names")?;
    let mut rows = query.query([namespace])?;
    let mut mirror = match exists(connection)? {
        true => Some(select("mirror")?),
        false => None,
    };
    let mut mirrored = match &mut mirror {
        Some(query) => Some(query.query([namespace])?),
        None => None,
    };
    let mut names: Vec<Name> = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(mirrored) = &mut mirrored {
            let Some(mirrored) = mirrored.next()? else {
                return Ok(None);
            };
            for at in 0..COUNT {
                if row.get_ref(at)? != mirrored.get_ref(at)? {
                    return Ok(None);
                }
            }
        }
        // In a page that is out of order a search finds others, too.
        let name = match row.get_ref(0)?.as_str() {
            Ok(space) if space == namespace => name_of(row, mirrored.is_some())?,
            _ => None,
        };
        let Some(name) = name else {
            return Ok(None);
        };
        if names.last().is_some_and(|last| last.name >= name.name) {
            return Ok(None);
        }
        names.push(name);
    }
    if let Some(mirrored) = &mut mirrored
        && mirrored.next()?.is_some()
    {
        return Ok(None);
    }
    Ok(Some(names))
}

/// Every name space that has a name, in order; `None` as [`read`] says.
pub(super) fn spaces(connection: &Connection) -> Result<Option<Vec<String>>, Error> {
    let both = || {
        // From one to the next by the index: there are few, of very many names.
        let select = |table: &str| {
            connection.prepare_cached(&format!(
                "SELECT namespace FROM {table} WHERE namespace > ? ORDER BY namespace LIMIT 1"
            ))
        };
        let mut query = select("names")?;
        let spaces = walk(&mut query)?;
        if spaces.is_none() || !exists(connection)? {
            return Ok(spaces);
        }
        let mut query = select("mirror")?;
        let mirrored = walk(&mut query)?;
        Ok(spaces.filter(|spaces| Some(spaces) == mirrored.as_ref()))
    };
    unless_broken(both())
}

fn walk(query: &mut Statement<'_>) -> Result<Option<Vec<String>>, Error> {
    let mut spaces: Vec<String> = Vec::new();
    loop {
        let after = spaces.last().map_or("", String::as_str);
        let mut rows = query.query([after])?;
        let Some(row) = rows.next()? else {
            return Ok(Some(spaces));
        };
        match row.get_ref(0)?.as_str() {
            Ok(space) if space > after => spaces.push(space.to_owned()),
            _ => return Ok(None),
        }
    }
}

fn unless_broken<T>(read: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match read {
        Err(error) if error.is_broken() => Ok(None),
        read => read,
    }
}

/// What was read of a table.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) rows: Vec<(Row, Option<i64>)>,
    pub(super) failure: Option<Error>,
    was_read: bool,
}

impl Scan {
    pub(super) fn is_whole(&self) -> bool {
        self.was_read && self.failure.is_none()
    }
}

/// Reads a table, if need be from both ends.
pub(super) fn scan(connection: &Connection, table: &str, sum: &str) -> Result<Scan, Error> {
    let mut scan = Scan {
        was_read: true,
        ..Scan::default()
    };
    for order in ["ASC", "DESC"] {
        let read = (|| {
            let mut query = connection.prepare(&format!(
                "SELECT {COLUMNS}, {sum} FROM {table} ORDER BY namespace {order}, name {order}"
            ))?;
            let mut rows = query.query([])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += 1;
                if count > MAX_ROWS {
                    return Err(broken(format!("{table} has no end")));
                }
                let sum = row.get_ref(COUNT)?.as_i64().ok();
                scan.rows.push((Row::read(row)?, sum));
            }
            Ok(())
        })();
        match read {
            Ok(()) => return Ok(scan),
            Err(error) if error.is_broken() => drop(scan.failure.get_or_insert(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(scan)
}

/// Writes both tables anew.
pub(super) fn rewrite<'a>(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = &'a Row>,
) -> Result<(), Error> {
    // Without triggers and conditions SQLite clears pages, in whatever order they are.
    transaction.execute_batch(NO_TRIGGERS)?;
    transaction.execute_batch("DELETE FROM names; DELETE FROM mirror;")?;
    let marks = ["?"; COUNT].join(", ");
    let mut names = transaction.prepare(&format!("INSERT INTO names VALUES ({marks})"))?;
    let mut mirror = transaction.prepare(&format!("INSERT INTO mirror VALUES ({marks}, ?)"))?;
    for row in rows {
        names.execute(params_from_iter(&row.0))?;
        let checksum = Value::Integer(row.checksum());
        mirror.execute(params_from_iter(row.0.iter().chain([&checksum])))?;
    }
    transaction.execute_batch(TRIGGERS)?;
    Ok(())
}
