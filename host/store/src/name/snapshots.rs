//! Name spaces as last read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::mirror::{self, Resolved};
use super::{Descriptor, Name, heal};
use crate::database::Head;
use crate::open::Inner;
use crate::rebuild::LOST;
use crate::sync::lock;
use crate::{Digest, Error};

/// Name spaces as last read, so that lists need no SQL until a name changes.
#[derive(Default)]
pub(crate) struct Snapshots {
    known: Mutex<HashMap<String, Snapshot>>,
    /// [`Head::names`] of damage that could not be put right, so that it is tried and said once.
    given_up: Mutex<Option<u64>>,
}

struct Snapshot {
    /// [`Head::names`] when it was read.
    at: u64,
    names: Arc<Vec<Name>>,
}

impl Snapshots {
    /// The snapshot of `namespace` if it is as new as `head`.
    pub(crate) fn current(&self, namespace: &str, head: Head) -> Option<Arc<Vec<Name>>> {
        let snapshots = lock(&self.known);
        let snapshot = snapshots.get(namespace)?;
        (snapshot.at == head.names).then(|| snapshot.names.clone())
    }

    /// Reads a name space, with the generation it was read at. Damaged rows are put right first.
    pub(crate) fn load(
        &self,
        inner: &Inner,
        namespace: &str,
    ) -> Result<(Head, Arc<Vec<Name>>), Error> {
        let read = |connection: &_, head| Ok((head, mirror::read(connection, namespace)?));
        let (head, names) = match inner.database.read(read)? {
            (head, Some(names)) => (head, names),
            (head, None) => match self.put_right(inner, head, read)? {
                Some(found) => found,
                None => inner.database.read(|connection, head| {
                    Ok((head, resolve(inner, connection)?.names(namespace)))
                })?,
            },
        };
        let names = Arc::new(names);
        // Empty name spaces are not kept: callers choose their names, memory must not follow.
        if !names.is_empty() {
            let snapshot = Snapshot {
                at: head.names,
                names: names.clone(),
            };
            lock(&self.known).insert(namespace.into(), snapshot);
        }
        Ok((head, names))
    }

    /// Every name space that has a name, in order.
    pub(crate) fn spaces(&self, inner: &Inner) -> Result<Vec<String>, Error> {
        let read = |connection: &_, head| Ok((head, mirror::spaces(connection)?));
        let (head, spaces) = inner.database.read(read)?;
        if let Some(spaces) = spaces {
            return Ok(spaces);
        }
        if let Some((_, spaces)) = self.put_right(inner, head, read)? {
            return Ok(spaces);
        }
        inner
            .database
            .read(|connection, _| Ok(resolve(inner, connection)?.spaces()))
    }

    /// Reads every name, so that whatever is damaged is put right.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if that is not possible, because more than rows is damaged.
    pub(crate) fn check(&self, inner: &Inner) -> Result<(), Error> {
        for space in self.spaces(inner)? {
            self.load(inner, &space)?;
        }
        match *lock(&self.given_up) {
            Some(_) if inner.writable => Err(Error::Broken(
                "names in the store's database are damaged".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Whether damage at `head` could not be put right.
    pub(super) fn has_given_up(&self, head: Head) -> bool {
        *lock(&self.given_up) == Some(head.names)
    }

    pub(super) fn give_up(&self, head: Head) {
        *lock(&self.given_up) = Some(head.names);
    }

    /// Puts right what is damaged at `head` and reads again. `None` if that is not possible: then what can
    /// be found out is read each time.
    fn put_right<T>(
        &self,
        inner: &Inner,
        head: Head,
        read: impl FnOnce(&rusqlite::Connection, Head) -> Result<(Head, Option<T>), Error>,
    ) -> Result<Option<(Head, T)>, Error> {
        if self.has_given_up(head) {
            return Ok(None);
        }
        match heal::put_right(inner) {
            Ok(()) => {
                let (head, found) = inner.database.read(read)?;
                if let Some(found) = found {
                    return Ok(Some((head, found)));
                }
                self.give_up(head);
            }
            Err(error) => {
                tracing::warn!(%error, "names in the store's database are damaged");
                self.give_up(head);
            }
        }
        Ok(None)
    }
}

/// What can be found out; an error if that may not be all.
fn resolve(inner: &Inner, connection: &rusqlite::Connection) -> Result<Resolved, Error> {
    let resolved = mirror::resolve(connection, &inner.layout)?;
    match resolved {
        Resolved {
            is_whole: [false, false],
            failure: Some(failure),
            ..
        } => Err(failure),
        resolved => Ok(resolved),
    }
}

impl Resolved {
    /// The names of a name space, in name order. Rows that cannot be read are in [`LOST`].
    fn names(&self, namespace: &str) -> Vec<Name> {
        let rows = self.rows.values().filter_map(super::row::Row::name);
        let of_space = rows.filter(|(space, _)| *space == namespace);
        let mut names: Vec<Name> = of_space.map(|(_, name)| name).collect();
        if namespace == LOST {
            names.extend(self.lost.iter().map(|row| {
                let name = format!("row-{:016x}", row.checksum());
                Name {
                    target: Descriptor {
                        media_type: "text/plain".to_owned(),
                        digest: Digest::of(name.as_bytes()),
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

    fn spaces(&self) -> Vec<String> {
        let rows = self.rows.values().filter_map(super::row::Row::name);
        let mut spaces: Vec<String> = rows.map(|(space, _)| space.to_owned()).collect();
        if !self.lost.is_empty() {
            spaces.push(LOST.to_owned());
        }
        spaces.sort();
        spaces.dedup();
        spaces
    }
}
