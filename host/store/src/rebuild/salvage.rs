//! What can still be read of a damaged database, row by row.
//!
//! A copy is read, as SQLite changes what it opens. What is always the same in our databases, most of
//! the header and if need be the whole first page, is put right in it first.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params_from_iter};

use crate::aside::{self, beside};
use crate::error::Doing as _;
use crate::layout::Layout;
use crate::name::mirror;
use crate::name::resolve::resolve;
use crate::name::row::{COLUMNS, Row};
use crate::{Digest, Error, database};

/// Bytes of a page, as SQLite has them unless told otherwise.
const PAGE: usize = 4096;

/// Most pages that are looked at one by one, and most rows read of a table: a damaged one must not keep
/// the store from opening. 100 MiB of names are several hundred thousand.
const MAX_PAGES: i64 = 25_000;
const MAX_ROWS: u64 = 10_000_000;

/// What was read.
pub(super) struct Salvaged {
    /// How many names.
    pub(super) names: u64,
    /// Whether that is all there was.
    pub(super) is_complete: bool,
}

/// A table, as it is in both databases.
struct Table {
    name: &'static str,
    columns: usize,
    key: &'static str,
    /// Whether a row is one that was written.
    is_right: fn(&[Value]) -> bool,
}

/// All but names, and what is found out again: facts of layers, and how checks of them went.
const TABLES: [Table; 4] = [
    Table {
        name: "withdrawn",
        columns: 2,
        key: "name, digest",
        is_right: |row| matches!(row, [Value::Text(_), Value::Text(digest)] if is_digest(digest)),
    },
    Table {
        name: "checks",
        columns: 3,
        key: "digest, diff_id",
        is_right: |row| {
            matches!(row, [Value::Text(digest), Value::Text(diff_id), Value::Text(_)]
                if is_digest(digest) && is_digest(diff_id))
        },
    },
    Table {
        name: "damage",
        columns: 5,
        key: "digest",
        is_right: |row| {
            matches!(row, [Value::Text(digest), Value::Integer(_), Value::Integer(_),
                Value::Integer(_), Value::Text(_)] if is_digest(digest))
        },
    },
    Table {
        name: "sources",
        columns: 3,
        key: "digest, repository",
        is_right: |row| {
            matches!(row, [Value::Text(digest), Value::Text(repository), Value::Integer(_)]
                if is_digest(digest) && !repository.chars().any(char::is_control))
        },
    },
];

/// Reads what can be read of the database at `path`, by way of a `copy`, into a new one; `new` is an
/// empty one's file. It is not complete in any case if it `is_cut`.
pub(super) fn salvage(
    layout: &Layout,
    path: &Path,
    copy: &Path,
    new: &Path,
    is_cut: bool,
    into: &Transaction<'_>,
) -> Result<Salvaged, Error> {
    // Without the log it is an older state, but better than none.
    for (is_grafted, with_log) in [(false, true), (true, true), (true, false)] {
        super::remove_database(copy)?;
        if !make_copy(path, copy, with_log)? {
            break;
        }
        put_right(copy, is_grafted.then_some(new))?;
        match Connection::open(copy) {
            Ok(from) if is_readable(&from) => {
                return read(layout, &from, is_grafted, with_log && !is_cut, into);
            }
            _ => {}
        }
    }
    set_head(into, None)?;
    Ok(Salvaged {
        names: 0,
        is_complete: false,
    })
}

/// False if there is nothing to copy.
fn make_copy(path: &Path, copy: &Path, with_log: bool) -> Result<bool, Error> {
    let is_file = |path: &Path| fs::metadata(path).is_ok_and(|found| found.is_file());
    let doing = || format!("copying {}", path.display());
    if !is_file(path) {
        return Ok(false);
    }
    fs::copy(path, copy).doing(doing)?;
    let log = beside(path, "-wal");
    if with_log && is_file(&log) {
        fs::copy(&log, beside(copy, "-wal")).doing(doing)?;
    }
    Ok(true)
}

/// Puts the header right, or with `graft` the whole first page, which says where tables begin: in all
/// our databases they begin at the same pages.
///
/// <https://www.sqlite.org/fileformat2.html#the_database_header>
fn put_right(copy: &Path, graft: Option<&Path>) -> Result<(), Error> {
    let doing = || format!("reading {}", copy.display());
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(copy)
        .doing(doing)?;
    let length = file.metadata().doing(doing)?.len();
    let mut page = vec![0; PAGE];
    if file.read_exact_at(&mut page, 0).is_err() {
        return Ok(());
    }
    if let Some(graft) = graft {
        let Ok(Some(fresh)) = aside::read(graft, PAGE as u64 - 1) else {
            return Ok(());
        };
        page = fresh;
        page.resize(PAGE, 0);
    }
    let pages = u32::try_from(length / PAGE as u64).unwrap_or(u32::MAX);
    let counter: Vec<u8> = page.get(24..28).unwrap_or_default().to_vec();
    for (at, bytes) in [
        (0, b"SQLite format 3\0".as_slice()),
        // Size of a page, a log, no bytes reserved, fractions that are fixed.
        (16, &[0x10, 0, 2, 2, 0, 64, 32, 32]),
        (28, &pages.to_be_bytes()),
        // The format of the schema.
        (44, &[0, 0, 0, 4]),
        // No vacuum by itself; UTF-8.
        (52, &[0, 0, 0, 0, 0, 0, 0, 1]),
        // No vacuum in steps.
        (64, &[0, 0, 0, 0]),
        (72, &[0; 20]),
        // The size above is right.
        (92, &counter),
    ] {
        if let Some(part) = page.get_mut(at..at + bytes.len()) {
            part.copy_from_slice(bytes);
        }
    }
    file.write_all_at(&page, 0).doing(doing)
}

fn is_readable(from: &Connection) -> bool {
    let first = || -> rusqlite::Result<()> {
        let mut query = from.prepare("SELECT namespace, name FROM names LIMIT 1")?;
        let mut rows = query.query([])?;
        rows.next()?;
        Ok(())
    };
    match first() {
        Ok(()) => true,
        // The first page of names is damaged, not where to find it.
        Err(_) => from.prepare("SELECT * FROM names").is_ok(),
    }
}

fn read(
    layout: &Layout,
    from: &Connection,
    is_grafted: bool,
    with_all: bool,
    into: &Transaction<'_>,
) -> Result<Salvaged, Error> {
    let resolved = resolve(from, layout)?;
    let mut insert = into.prepare("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
    for row in resolved.rows.values() {
        insert.execute(params_from_iter(&row.0))?;
    }
    let [names, mirrored] = resolved.is_whole;
    // Where SQLite finds no fault, no row is missing either. A grafted page may say of a table of another
    // store's where it begins, so then all of it must be right.
    let is_sound = (names || mirrored) && check(from, None)
        || !is_grafted
            && (names && check(from, Some("names")) || mirrored && check(from, Some("mirror")));
    let is_complete = with_all && is_sound && resolved.lost.is_empty();
    for table in &TABLES {
        read_table(from, table, into)?;
    }
    into.execute("UPDATE checks SET state = 'pending'", [])?;
    set_head(into, Some((from, is_complete)))?;
    if !is_complete {
        read_pages(layout, from, into)?;
    }
    mirror::seal_all(into)?;
    Ok(Salvaged {
        names: count_names(into)?,
        is_complete,
    })
}

/// Whether SQLite finds no fault in a table, or anywhere.
fn check(from: &Connection, table: Option<&str>) -> bool {
    let table = table.unwrap_or("1");
    let sql = format!("PRAGMA integrity_check({table})");
    let found: Result<String, _> = from.query_row(&sql, [], |row| row.get(0));
    found.is_ok_and(|found| found == "ok")
}

/// Reads a table into another database, as far as that goes.
fn read_table(from: &Connection, table: &Table, into: &Transaction<'_>) -> Result<(), Error> {
    insert(into, table, rows_of(from, table))
}

/// Writes every table but names anew, in the same database, with what can be read of it.
pub(crate) fn rewrite(transaction: &Transaction<'_>) -> Result<(), Error> {
    for table in &TABLES {
        let rows = rows_of(transaction, table);
        transaction.execute(&format!("DELETE FROM {}", table.name), [])?;
        insert(transaction, table, rows)?;
    }
    transaction.execute_batch("DELETE FROM facts; DELETE FROM facts_sums;")?;
    Ok(())
}

fn insert(into: &Transaction<'_>, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), Error> {
    let marks = vec!["?"; table.columns].join(", ");
    let name = table.name;
    let mut insert = into.prepare(&format!("INSERT OR IGNORE INTO {name} VALUES ({marks})"))?;
    for row in rows {
        match insert.execute(params_from_iter(row)).map_err(Error::from) {
            Ok(_) => {}
            Err(error) if error.is_constraint() => {}
            // A full disk is no reason to lose a row.
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The rows of a table that are right, from both ends, as far as that goes.
fn rows_of(from: &Connection, table: &Table) -> Vec<Vec<Value>> {
    let &Table {
        name,
        columns,
        key,
        is_right,
    } = table;
    let mut found = Vec::new();
    for order in ["ASC", "DESC"] {
        let order = key.replace(',', &format!(" {order},")) + " " + order;
        let Ok(mut query) = from.prepare(&format!("SELECT * FROM {name} ORDER BY {order}")) else {
            return found;
        };
        let Ok(mut rows) = query.query([]) else {
            continue;
        };
        for number in 0.. {
            let row = match rows.next() {
                Ok(Some(_)) if number >= MAX_ROWS => break,
                Ok(Some(row)) => row,
                Ok(None) => return found,
                Err(_) => break,
            };
            let values: Result<Vec<Value>, _> = (0..columns).map(|at| row.get(at)).collect();
            found.extend(values.ok().filter(|values| is_right(values)));
        }
    }
    found
}

/// Reads names from every page that has some, by taking each in turn for the table's first: where a
/// page is damaged that says where others are, these are still whole.
///
/// Such a page may also be one that is free again, so what the content is not here of is left out.
/// A name that was removed lately may come back; that is better than losing one.
fn read_pages(layout: &Layout, from: &Connection, into: &Transaction<'_>) -> Result<(), Error> {
    let Ok(pages) = from.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)) else {
        return Ok(());
    };
    let mut insert = into.prepare(
        "INSERT INTO names VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET
             media_type = ?3, digest = ?4, size = ?5, labels = ?6, created = ?7, updated = ?8
         WHERE ?8 > updated",
    )?;
    for page in 2..=pages.min(MAX_PAGES) {
        let pointed = from.execute_batch(&format!(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_master SET rootpage = {page} WHERE name = 'names';
             PRAGMA writable_schema = RESET;"
        ));
        if pointed.is_err() {
            break;
        }
        let Ok(mut query) = from.prepare(&format!("SELECT {COLUMNS} FROM names")) else {
            continue;
        };
        let Ok(mut rows) = query.query([]) else {
            continue;
        };
        for _ in 0..MAX_ROWS {
            let Ok(Some(row)) = rows.next() else { break };
            if let Ok(row) = Row::read(row)
                && row.is_right()
                && row.is_here(layout)
            {
                insert.execute(params_from_iter(&row.0))?;
            }
        }
    }
    Ok(())
}

fn count_names(into: &Transaction<'_>) -> Result<u64, Error> {
    let count: i64 = into.query_row("SELECT count(*) FROM names", [], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Goes on from where the damaged database was. Only where nothing is missing `index.json` is known to
/// be our own: otherwise all names in it are adopted.
fn set_head(into: &Transaction<'_>, from: Option<(&Connection, bool)>) -> Result<(), Error> {
    let old = from.and_then(|(from, is_complete)| {
        let head = from.query_row(
            "SELECT generation, index_before, index_after FROM head",
            [],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                ))
            },
        );
        head.ok().map(|head| (head, is_complete))
    });
    // It must have grown.
    let now = database::late_generation();
    let (generation, before, after) = match old {
        Some(((generation, before, after), true)) => (generation, before, after),
        Some(((generation, ..), false)) => (generation.clamp(1, now), String::new(), String::new()),
        None => (now, String::new(), String::new()),
    };
    into.execute(
        "UPDATE head SET generation = ?1, names = ?1, index_before = ?2, index_after = ?3",
        rusqlite::params![generation.saturating_add(1), before, after],
    )?;
    Ok(())
}

fn is_digest(text: &str) -> bool {
    Digest::parse(text).is_ok()
}
