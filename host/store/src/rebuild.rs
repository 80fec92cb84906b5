//! A damaged `store.db` is rebuilt when the store is opened: from what can still be read of it, and
//! from `index.json`.
//!
//! Nothing is lost silently. The damaged file stays in quarantine. Unless all of it could be read a
//! name in the name space [`LOST`] points at content that nobody has, and so, whatever collects
//! garbage, keeps it from knowing what is garbage, until people have deleted the file.
//!
//! The new file is complete before the damaged one is moved, and takes its place last, so a rebuild may
//! be cut short anywhere: either the damaged file is still in its place, or the new one is complete.

pub(crate) mod salvage;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Transaction, params};

use crate::aside::{self, BESIDE_DATABASE, beside};
use crate::database::suspect;
use crate::database::{self, Database};
use crate::directory;
use crate::error::Doing as _;
use crate::layout::Layout;
use crate::log::{self, Found};
use crate::name::{LOST, mirror};
use crate::owner::{self, Owner};
use crate::private::Private;
use crate::{Digest, Error, reached};
use salvage::Salvaged;

const FILE: &str = "store.db";
/// The new file, until it is complete and the damaged one is moved.
const NEW: &str = "store.db.new";
/// A copy of the damaged file, to be read.
const COPY: &str = "store.db.copy";

/// Opens the database, rebuilt if it is damaged. Callers hold the store's opening lock.
pub(crate) fn open(
    layout: &Layout,
    owner: &Owner,
    busy_timeout: Duration,
) -> Result<Database, Error> {
    let private = layout.place();
    let path = private.path(FILE);
    finish(private)?;
    let is_suspect = suspect::is_noted(private);
    let other = || -> Result<Option<String>, Error> {
        let living = owner::living(&private.owners(), owner.id())?;
        Ok(living.first().map(|id| owner::describe(id)))
    };
    let seen = match fs::symlink_metadata(&path) {
        _ if aside::is_odd_database(&path) => Some("it is not a file".to_owned()),
        // SQLite would take it for a new one, and drop the log beside it.
        Ok(found) if found.len() == 0 => Some("it is empty".to_owned()),
        // A store that never was open has none yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound && layout.was_open() => {
            Some("it is missing".to_owned())
        }
        _ if is_suspect && other()?.is_none() => Some("a page of it could not be read".to_owned()),
        _ => None,
    };
    let cut = match seen {
        None if other()?.is_none() => mend_log(&path),
        _ => None,
    };
    let is_cut = cut.is_some();
    let (why, is_cut) = match seen.or(cut) {
        Some(why) => (why, is_cut),
        None => match Database::open(&path, busy_timeout) {
            Ok(database) if reached::is_behind(private, &database)? && other()?.is_none() => {
                let why = "the last changes of it are not there, which were in its log";
                (why.to_owned(), true)
            }
            Ok(database) => {
                forget_lost(private, &database);
                return Ok(database);
            }
            Err(error) if error.is_broken() => (error.to_string(), false),
            Err(error) => return Err(error),
        },
    };
    if let Some(other) = other()? {
        return Err(Error::Broken(format!(
            "the store's database {} is damaged ({why}), and {other} uses it; stop every process \
             that uses this store, and the next start rebuilds it",
            path.display()
        )));
    }
    rebuild(layout, &path, &why, is_cut)?;
    Database::open(&path, busy_timeout)
}

/// Completes a rebuild that was cut short, or clears away what one left.
fn finish(private: &Private) -> Result<(), Error> {
    let (path, new, copy) = (private.path(FILE), private.path(NEW), private.path(COPY));
    let is_here = |path: &Path| fs::symlink_metadata(path).is_ok();
    if is_here(&copy) {
        remove_database(&copy)?;
    }
    if !is_here(&new) {
        return Ok(());
    }
    if is_here(&path) {
        return remove_database(&new);
    }
    // What belongs to the damaged file must not be taken for the new one's.
    if BESIDE_DATABASE
        .iter()
        .any(|end| is_here(&beside(&path, end)))
    {
        aside::set_aside(private, &path, &BESIDE_DATABASE)?;
    }
    put_in_place(private)?;
    tracing::warn!("{} was damaged and has been rebuilt", path.display());
    Ok(())
}

/// Puts right what is damaged in the log, and says why if changes in it cannot be read.
fn mend_log(path: &Path) -> Option<String> {
    match log::mend(path) {
        Ok(Found::Whole) => None,
        Ok(Found::PutRight(words)) => {
            let log = beside(path, "-wal");
            tracing::warn!(words, "{} was damaged and is put right", log.display());
            None
        }
        Ok(Found::Lost(why)) => Some(why),
        Err(error) => {
            tracing::warn!(%error, "the log of {} cannot be looked at", path.display());
            None
        }
    }
}

/// `is_cut` if the last changes are known to be missing.
fn rebuild(layout: &Layout, path: &Path, why: &str, is_cut: bool) -> Result<(), Error> {
    let private = layout.place();
    let moved = aside::free_name(private, path)?;
    let result = write_new(layout, path, &moved, is_cut);
    let removed = remove_database(&private.path(COPY));
    let salvaged = result?;
    removed?;
    if fs::symlink_metadata(path).is_ok() {
        aside::set_aside_as(private, path, &BESIDE_DATABASE, &moved)?;
    } else {
        // Something to delete for people who miss nothing.
        fs::write(&moved, "The store's database was missing.\n")
            .doing(|| format!("writing {}", moved.display()))?;
        aside::set_aside(private, path, &BESIDE_DATABASE)?;
    }
    put_in_place(private)?;
    let (path, moved) = (path.display(), moved.display());
    if salvaged.is_complete {
        tracing::warn!(
            why,
            names = salvaged.names,
            "{path} was damaged and has been rebuilt, with all that was in it; what it was is \
             {moved}, which may be deleted"
        );
    } else {
        tracing::warn!(
            why,
            names = salvaged.names,
            "{path} was damaged and has been rebuilt from what could be read of it and from \
             index.json; other names, such as those of containers, may be lost, so prune keeps all \
             content until you delete what it was: {moved}"
        );
    }
    Ok(())
}

/// Writes the new database, complete and durable, with all that can be read of the damaged one, which
/// will be at `moved`.
fn write_new(layout: &Layout, path: &Path, moved: &Path, is_cut: bool) -> Result<Salvaged, Error> {
    let private = layout.place();
    let new = private.path(NEW);
    remove_database(&new)?;
    let mut connection = database::create_alone(&new)?;
    let transaction = connection.transaction()?;
    let copy = private.path(COPY);
    let salvaged = salvage::salvage(layout, path, &copy, &new, is_cut, &transaction)?;
    if !salvaged.is_complete {
        add_lost(&transaction, moved, "application/vnd.sqlite3")?;
    }
    transaction.commit()?;
    connection
        .close()
        .map_err(|(_, error)| Error::from(error))?;
    File::open(&new)
        .and_then(|file| file.sync_all())
        .doing(|| format!("syncing {}", new.display()))?;
    directory::sync(&private.path(""))?;
    Ok(salvaged)
}

/// Keeps all content until `moved`, which named content that is not known, is deleted.
pub(crate) fn add_lost(
    transaction: &Transaction<'_>,
    moved: &Path,
    media_type: &str,
) -> Result<(), Error> {
    let name = moved.file_name().unwrap_or_default().to_string_lossy();
    transaction.execute(
        "INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, 0, '{}', 0, 0)",
        params![
            LOST,
            name,
            media_type,
            Digest::sha256(name.as_bytes()).as_str()
        ],
    )?;
    mirror::seal(transaction, LOST, &name)
}

fn put_in_place(private: &Private) -> Result<(), Error> {
    let (new, path) = (private.path(NEW), private.path(FILE));
    // Where the new one begins has nothing to do with that.
    reached::forget(private);
    fs::rename(&new, &path).doing(|| format!("moving {}", new.display()))?;
    suspect::clear(private);
    directory::sync(&private.path(""))
}

fn remove_database(path: &Path) -> Result<(), Error> {
    for end in ["", "-journal"].iter().chain(&BESIDE_DATABASE) {
        let path: PathBuf = beside(path, end);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(format!("removing {}", path.display()), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Drops the names of quarantined databases that people have deleted, and reminds them of others.
fn forget_lost(private: &Private, database: &Database) {
    let forgotten = (|| {
        let names: Vec<String> = database.read(|connection, _| {
            let mut query = connection.prepare("SELECT name FROM names WHERE namespace = ?")?;
            let names = query.query_map([LOST], |row| database::text(row, 0))?;
            Ok(names.collect::<Result<_, _>>()?)
        })?;
        for name in names {
            let path = private.quarantine().join(&name);
            if fs::symlink_metadata(&path).is_ok() {
                tracing::warn!(
                    "names were lost when the store's database was damaged; prune keeps all content \
                     until you delete {}",
                    path.display()
                );
                continue;
            }
            database.write(|transaction, _| {
                transaction.execute(
                    "DELETE FROM names WHERE namespace = ? AND name = ?",
                    [LOST, &name],
                )?;
                database::advance(transaction, true)
            })?;
        }
        Ok::<_, Error>(())
    })();
    if let Err(error) = forgotten {
        tracing::warn!(%error, "names of lost databases stay for now");
    }
}
