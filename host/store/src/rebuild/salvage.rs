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
use crate::{Digest, Error, name};

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

/// All but what is found out again: facts of layers, and how checks of them went.
const TABLES: [Table; 5] = [
    Table {
        name: "names",
        columns: 8,
        key: "namespace, name",
        is_right: |row| match row {
            [
                Value::Text(space),
                Value::Text(name),
                Value::Text(media_type),
                Value::Text(digest),
                Value::Integer(0..),
                Value::Text(labels),
                Value::Integer(_),
                Value::Integer(_),
            ] => name::is_right(space, name, media_type, labels) && is_digest(digest),
            _ => false,
        },
    },
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
/// empty one's file.
pub(super) fn salvage(
    layout: &Layout,
    path: &Path,
    copy: &Path,
    new: &Path,
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
            Ok(from) if is_readable(&from) => return read(layout, &from, with_log, into),
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
    with_log: bool,
    into: &Transaction<'_>,
) -> Result<Salvaged, Error> {
    let sound: Result<String, _> =
        from.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    // Where SQLite finds no fault, no row is missing either.
    let mut is_complete = with_log && sound.is_ok_and(|found| found == "ok");
    let mut names = 0;
    for table in &TABLES {
        let (rows, is_whole) = read_table(from, table, into)?;
        if table.name == "names" {
            names = rows;
            is_complete &= is_whole;
        }
    }
    into.execute("UPDATE checks SET state = 'pending'", [])?;
    set_head(into, Some((from, is_complete)))?;
    if !is_complete {
        names += read_pages(layout, from, into)?;
    }
    Ok(Salvaged { names, is_complete })
}

/// Reads a table from both ends, as far as that goes. Returns how many rows it had, and whether these
/// are all.
fn read_table(
    from: &Connection,
    table: &Table,
    into: &Transaction<'_>,
) -> Result<(u64, bool), Error> {
    let &Table {
        name,
        columns,
        key,
        is_right,
    } = table;
    let marks = vec!["?"; columns].join(", ");
    let mut insert = into.prepare(&format!("INSERT OR IGNORE INTO {name} VALUES ({marks})"))?;
    let mut found: u64 = 0;
    let mut is_whole = true;
    for order in ["ASC", "DESC"] {
        let order = key.replace(',', &format!(" {order},")) + " " + order;
        let Ok(mut query) = from.prepare(&format!("SELECT * FROM {name} ORDER BY {order}")) else {
            return Ok((found, false));
        };
        let Ok(mut rows) = query.query([]) else {
            is_whole = false;
            continue;
        };
        for number in 0.. {
            let row = match rows.next() {
                Ok(Some(_)) if number >= MAX_ROWS => break,
                Ok(Some(row)) => row,
                Ok(None) => return Ok((found, is_whole)),
                Err(_) => break,
            };
            let values: Result<Vec<Value>, _> = (0..columns).map(|at| row.get(at)).collect();
            match values {
                Ok(values) if is_right(&values) => {
                    // A check that failed is made again.
                    match insert.execute(params_from_iter(values)) {
                        Ok(1) => found += 1,
                        Ok(_) => {}
                        // A full disk is no reason to lose a row.
                        Err(error) => match Error::from(error) {
                            error if error.is_constraint() => is_whole = false,
                            error => return Err(error),
                        },
                    }
                }
                _ => is_whole = false,
            }
        }
        is_whole = false;
    }
    Ok((found, false))
}

/// Reads names from every page that has some, by taking each in turn for the table's first: where a
/// page is damaged that says where others are, these are still whole. Returns how many more it had.
///
/// Such a page may also be one that is free again, so what the content is not here of is left out.
/// A name that was removed lately may come back; that is better than losing one.
fn read_pages(layout: &Layout, from: &Connection, into: &Transaction<'_>) -> Result<u64, Error> {
    let Ok(pages) = from.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)) else {
        return Ok(0);
    };
    let [names, ..] = &TABLES;
    let before = count_names(into)?;
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
        let Ok(mut query) = from.prepare("SELECT * FROM names") else {
            continue;
        };
        let Ok(mut rows) = query.query([]) else {
            continue;
        };
        for _ in 0..MAX_ROWS {
            let Ok(Some(row)) = rows.next() else { break };
            let values: Result<Vec<Value>, _> = (0..names.columns).map(|at| row.get(at)).collect();
            let Ok(values) = values else { continue };
            if (names.is_right)(&values) && is_here(layout, &values) {
                insert.execute(params_from_iter(values))?;
            }
        }
    }
    Ok(count_names(into)?.saturating_sub(before))
}

/// Whether the target of a name is in the store.
fn is_here(layout: &Layout, row: &[Value]) -> bool {
    let (Some(Value::Text(digest)), Some(Value::Integer(size))) = (row.get(3), row.get(4)) else {
        return false;
    };
    let Ok(digest) = Digest::parse(digest) else {
        return false;
    };
    let found = layout.blob_size(&digest);
    found.is_ok_and(|found| found == Some(size.cast_unsigned()))
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
    // It must have grown. More changes than milliseconds since 1970 no store has seen.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |since| i64::try_from(since.as_millis()).unwrap_or(1));
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
