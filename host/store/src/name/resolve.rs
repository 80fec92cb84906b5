//! Finding out what was written where names and their mirror differ, or cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::mirror::{Scan, exists, scan};
use super::row::{Key, Row};
use super::{LOST, Name, Target};
use crate::layout::Layout;
use crate::{Digest, Error};

/// What was written, as far as it can be found out.
#[derive(Default)]
pub(crate) struct Resolved {
    /// The names, by key.
    pub(crate) rows: BTreeMap<Key, Row>,
    /// Rows that are no names, and of which nobody knows what they were.
    pub(crate) lost: Vec<Row>,
    /// What was wrong, for people.
    pub(crate) faults: Vec<String>,
    /// Whether the names, and whether their mirror, could be read to their end.
    pub(crate) is_whole: [bool; 2],
    /// What SQLite said of one of them.
    pub(crate) failure: Option<Error>,
}

/// What the tables have of one key.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    mirrored: Vec<(Row, Option<i64>)>,
}

impl Found {
    fn all(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .chain(self.mirrored.iter().map(|(row, _)| row))
    }

    /// The row whose checksum is right.
    fn sealed(&self) -> Option<&Row> {
        let sums: Vec<i64> = self.mirrored.iter().filter_map(|(_, sum)| *sum).collect();
        let mut rows = self.all().filter(|row| row.is_right());
        rows.find(|row| sums.contains(&row.checksum()))
    }

    /// The row that is most likely the one written.
    fn likeliest(&self, layout: &Layout) -> Option<Row> {
        let right = || self.all().filter(|row| row.is_right());
        let here = right().find(|row| row.is_here(layout));
        let known = here.or_else(|| right().next());
        let mut mended = self.all().filter(|row| row.digest().is_some());
        known
            .cloned()
            .or_else(|| mended.find_map(|row| row.mended(layout)))
            .or_else(|| self.all().find_map(|row| row.mended(layout)))
    }
}

/// Finds out what was written from both tables, whatever has become of them.
pub(crate) fn resolve(connection: &Connection, layout: &Layout) -> Result<Resolved, Error> {
    let mut resolved = Resolved::default();
    let mut found: BTreeMap<Key, Found> = BTreeMap::new();
    let names = scan(connection, "names", "NULL")?;
    let mirror = match exists(connection) {
        Ok(true) => scan(connection, "mirror", "checksum")?,
        Ok(false) => Scan::default(),
        Err(error) if error.is_broken() => Scan::default(),
        Err(error) => return Err(error),
    };
    resolved.is_whole = [names.is_whole(), mirror.is_whole()];
    for (row, _) in names.rows {
        found.entry(row.key()).or_default().rows.push(row);
    }
    for (row, sum) in mirror.rows {
        let of_key = found.entry(row.key()).or_default();
        of_key.mirrored.push((row, sum));
    }
    resolved.failure = names.failure.or(mirror.failure);
    if let Some(failure) = &resolved.failure {
        resolved.faults.push(failure.to_string());
    }

    // First what is known for certain.
    let mut open = Vec::new();
    let mut restored = Vec::new();
    for (key, of_key) in found {
        match of_key.sealed() {
            Some(row) => {
                if of_key.rows.is_empty() {
                    restored.push(row.clone());
                }
                if of_key.rows.len() != 1 || of_key.all().any(|other| other != row) {
                    resolved.faults.push(format!("restored {row}"));
                }
                resolved.rows.insert(key, row.clone());
            }
            None => open.push((key, of_key)),
        }
    }
    // Then what only one of the tables has. Where there is a mirror every name is in it, so that what makes no
    // sense and is not in both was no name: a damaged page may show what nobody wrote.
    let is_mirrored = !resolved.rows.is_empty();
    let alone: Vec<Row> = open
        .iter()
        .filter(|(_, of_key)| of_key.mirrored.is_empty())
        .flat_map(|(_, of_key)| of_key.rows.clone())
        .collect();
    let sums: BTreeSet<i64> = alone.iter().map(Row::checksum).collect();
    for (key, of_key) in open {
        let is_right = of_key.all().any(Row::is_right);
        let is_remnant = if of_key.mirrored.is_empty() {
            // Made of a row that was restored.
            let is_like = |row: &Row| of_key.rows.iter().any(|it| it.is_like(row));
            is_mirrored && !is_right || restored.iter().any(is_like)
        } else if of_key.rows.is_empty() {
            // Made of the mirror of a row that is as it was.
            let is_of_one = |sum: &Option<i64>| sum.is_some_and(|sum| sums.contains(&sum));
            let is_like = |row: &Row| alone.iter().any(|it| it.is_like(row));
            let mut mirrored = of_key.mirrored.iter();
            !is_right && (is_mirrored || !alone.is_empty())
                || mirrored.any(|(row, sum)| is_of_one(sum) || is_like(row))
        } else {
            false
        };
        let likeliest = of_key.likeliest(layout).filter(|_| !is_remnant);
        match likeliest {
            // Of an older program, or not mirrored yet.
            Some(row)
                if of_key.all().all(|it| *it == row)
                    && of_key.rows.len() == 1
                    && of_key.mirrored.iter().all(|(_, sum)| sum.is_none()) =>
            {
                resolved.rows.insert(key, row);
            }
            Some(row) => {
                let fault = format!("took the likeliest of what is there: {row}");
                resolved.faults.push(fault);
                resolved.rows.insert(row.key(), row);
            }
            None => {
                let what = if is_remnant { "dropped" } else { "cannot read" };
                let mut rows: Vec<&Row> = of_key.all().collect();
                rows.dedup();
                for row in rows {
                    resolved.faults.push(format!("{what} {row}"));
                    if !is_remnant {
                        resolved.lost.push(row.clone());
                    }
                }
            }
        }
    }
    Ok(resolved)
}

impl Resolved {
    /// The names of a name space, in name order. Rows that cannot be read are in [`LOST`].
    pub(super) fn names(&self, namespace: &str) -> Vec<Name> {
        let rows = self.rows.values().filter_map(Row::name);
        let of_space = rows.filter(|(space, _)| *space == namespace);
        let mut names: Vec<Name> = of_space.map(|(_, name)| name).collect();
        if namespace == LOST {
            names.extend(self.lost.iter().map(|row| {
                let name = format!("row-{:016x}", row.checksum());
                Name {
                    target: Target {
                        media_type: "text/plain".to_owned(),
                        digest: Digest::sha256(name.as_bytes()),
                        size: 0,
                    },
                    name,
                    labels: Vec::new(),
                    created: 0,
                    updated: 0,
                }
            }));
        }
        names.sort_by(|one, other| one.name.cmp(&other.name));
        names
    }

    pub(super) fn spaces(&self) -> Vec<String> {
        let rows = self.rows.values().filter_map(Row::name);
        let mut spaces: Vec<String> = rows.map(|(space, _)| space.to_owned()).collect();
        if !self.lost.is_empty() {
            spaces.push(LOST.to_owned());
        }
        spaces.sort();
        spaces.dedup();
        spaces
    }
}
