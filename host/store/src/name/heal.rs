//! Putting names right whose rows were damaged.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rusqlite::Transaction;

use super::mirror;
use super::resolve::{Resolved, resolve};
use super::row::Row;
use crate::error::{Doing as _, broken};
use crate::layout::Layout;
use crate::rebuild::salvage;
use crate::{Error, aside, database, directory, rebuild};

/// Faults that are logged one by one: a page has some fifteen rows.
const SAID: usize = 16;
/// What the file of rows that cannot be read begins with.
const HEADER: &str = "Rows of names that cannot be read, as they were in the store's database: name space, name, \
     media type, digest, size, labels, created, updated.\n";

/// Writes the names anew as they were, and counts that as a change of names. What cannot be read goes to
/// quarantine, and a name in the name space `lost` keeps what it may have named.
///
/// Fails as broken if more than rows is damaged: the next start rebuilds the database.
pub(super) fn heal(transaction: &Transaction<'_>, layout: &Layout) -> Result<(), Error> {
    let Resolved {
        rows,
        lost,
        faults,
        is_whole,
        failure,
    } = resolve(transaction, layout)?;
    if let ([false, false], Some(failure)) = (is_whole, failure) {
        return Err(failure);
    }
    if !mirror::exists(transaction)? {
        mirror::create(transaction)?;
    }
    mirror::rewrite(transaction, rows.values()).map_err(|error| match error {
        // A page of both tables takes a row twice, or not at all.
        Error::Database(source) => broken(source),
        error => error,
    })?;
    // Where pages are not what they should be, what was freed just now may belong to others; or it is
    // others that are not.
    if check(transaction)?.is_some() {
        salvage::rewrite(transaction)?;
        if let Some(found) = check(transaction)? {
            return Err(broken(&found));
        }
        tracing::warn!("a page of the store's database was damaged, and is written anew");
    }
    let moved = match lost.is_empty() {
        true => None,
        false => Some(set_aside(layout, &lost)?),
    };
    if let Some(moved) = &moved {
        rebuild::add_lost(transaction, moved, "text/plain")?;
    }
    database::advance(transaction, true)?;
    tell(&faults, moved.as_deref());
    Ok(())
}

/// What SQLite finds wrong.
fn check(transaction: &Transaction<'_>) -> Result<Option<String>, Error> {
    let found: String = transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Writes rows that cannot be read to a file in quarantine.
fn set_aside(layout: &Layout, lost: &[Row]) -> Result<PathBuf, Error> {
    let path = aside::free_name(layout.place(), Path::new("names"))?;
    let doing = || format!("writing {}", path.display());
    let mut text = HEADER.to_owned();
    for row in lost {
        text.push_str(&format!("{row}\n"));
    }
    let mut file = File::create_new(&path).doing(doing)?;
    file.write_all(text.as_bytes()).doing(doing)?;
    file.sync_all().doing(doing)?;
    directory::sync(&layout.place().quarantine())?;
    Ok(path)
}

/// Says what was found, and what to do.
fn tell(faults: &[String], moved: Option<&Path>) {
    for fault in faults.iter().take(SAID) {
        tracing::warn!(fault, "a name was damaged in the store's database");
    }
    if faults.len() > SAID {
        let more = faults.len() - SAID;
        tracing::warn!(more, "more names were damaged in the store's database");
    }
    if let Some(moved) = moved {
        tracing::warn!(
            "names that cannot be read any more were moved to {}; prune keeps all content until you delete \
             that file and start again",
            moved.display()
        );
    }
}
