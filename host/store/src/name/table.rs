//! Names as they are kept: in the database, which is put right where it is damaged, and in memory as last read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, Transaction};

use super::resolve::Resolved;
use super::{Name, heal, mirror, resolve};
use crate::Error;
use crate::database::{Database, Head, suspect};
use crate::error::broken;
use crate::layout::Layout;
use crate::projection::Projection;
use crate::reserve::KeepOnDrop;
use crate::sync::lock;

/// The database of a store. Whoever reads or changes it does so here, so that damaged names are put right first.
pub(crate) struct NameTable {
    pub(crate) layout: Arc<Layout>,
    pub(crate) database: Database,
    pub(crate) projection: Projection,
    /// Name spaces as last read, so that lists need no SQL until a name changes.
    known: Mutex<HashMap<String, Snapshot>>,
    /// [`Head::names`] of damage that could not be put right, so that it is tried and said once.
    given_up: Mutex<Option<u64>>,
    /// Last: when the database is closed.
    _reserve: Option<Arc<KeepOnDrop>>,
}

struct Snapshot {
    /// [`Head::names`] when it was read.
    at: u64,
    names: Arc<Vec<Name>>,
}

impl NameTable {
    /// The names in `database`. Once it is closed the reserve may be `kept`.
    pub(crate) fn new(
        layout: Arc<Layout>,
        database: Database,
        kept: Option<Arc<KeepOnDrop>>,
    ) -> NameTable {
        NameTable {
            layout,
            database,
            projection: Projection::default(),
            known: Mutex::default(),
            given_up: Mutex::default(),
            _reserve: kept,
        }
    }

    /// Changes the database. Where a page is such that only a change notices, it is put right first.
    pub(crate) fn write<T>(
        &self,
        work: impl Fn(&Transaction<'_>, Head) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.database.write(&work) {
            Err(Error::Broken(_)) if self.put_right().is_ok() => self.database.write(work),
            result => result,
        }
    }

    /// Reads the database; what cannot be read is put right first.
    pub(crate) fn read<T>(
        &self,
        work: impl Fn(&Connection, Head) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.database.read(&work) {
            Err(Error::Broken(_)) if self.put_right().is_ok() => self.database.read(work),
            result => result,
        }
    }

    /// Empties the log of the database if nobody else uses the store: what is in the database survives
    /// damage better.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        match self.layout.is_ours_alone()? {
            true => self.database.empty_log(),
            false => Ok(()),
        }
    }

    /// The snapshot of `namespace` if it is as new as `head`.
    pub(crate) fn current(&self, namespace: &str, head: Head) -> Option<Arc<Vec<Name>>> {
        let snapshots = lock(&self.known);
        let snapshot = snapshots.get(namespace)?;
        (snapshot.at == head.names).then(|| snapshot.names.clone())
    }

    /// Reads a name space, with the generation it was read at. Damaged rows are put right first.
    pub(crate) fn load(&self, namespace: &str) -> Result<(Head, Arc<Vec<Name>>), Error> {
        let read = |connection: &_, head| Ok((head, mirror::read(connection, namespace)?));
        let (head, names) = match self.database.read(read)? {
            (head, Some(names)) => (head, names),
            (head, None) => match self.put_right_at(head, read)? {
                Some(found) => found,
                None => self.database.read(|connection, head| {
                    Ok((head, self.resolve(connection)?.names(namespace)))
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
    pub(crate) fn spaces(&self) -> Result<Vec<String>, Error> {
        let read = |connection: &_, head| Ok((head, mirror::spaces(connection)?));
        let (head, spaces) = self.database.read(read)?;
        if let Some(spaces) = spaces {
            return Ok(spaces);
        }
        if let Some((_, spaces)) = self.put_right_at(head, read)? {
            return Ok(spaces);
        }
        self.database
            .read(|connection, _| Ok(self.resolve(connection)?.spaces()))
    }

    /// Reads every name, so that whatever is damaged is put right.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] if that is not possible, because more than rows is damaged.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for space in self.spaces()? {
            self.load(&space)?;
        }
        match *lock(&self.given_up) {
            Some(_) if self.layout.is_writable() => Err(Error::Broken(
                "names in the store's database are damaged".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Whether damage at `head` could not be put right.
    fn has_given_up(&self, head: Head) -> bool {
        *lock(&self.given_up) == Some(head.names)
    }

    fn give_up(&self, head: Head) {
        *lock(&self.given_up) = Some(head.names);
    }

    /// Puts right what is damaged at `head` and reads again. `None` if that is not possible: then what can
    /// be found out is read each time.
    fn put_right_at<T>(
        &self,
        head: Head,
        read: impl FnOnce(&Connection, Head) -> Result<(Head, Option<T>), Error>,
    ) -> Result<Option<(Head, T)>, Error> {
        if self.has_given_up(head) {
            return Ok(None);
        }
        match self.put_right() {
            Ok(()) => {
                let (head, found) = self.database.read(read)?;
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

    /// Puts names right in a change of its own, tried once.
    fn put_right(&self) -> Result<(), Error> {
        let head = self.database.head()?;
        if !self.layout.is_writable() || self.has_given_up(head) {
            return Err(broken("it stays as it is"));
        }
        let healed = self
            .database
            .write(|transaction, _| heal::heal(transaction, &self.layout));
        match healed {
            Ok(()) => {
                suspect::clear(self.layout.place());
                self.projection.mark();
            }
            Err(_) => self.give_up(head),
        }
        healed
    }

    /// What can be found out; an error if that may not be all.
    fn resolve(&self, connection: &Connection) -> Result<Resolved, Error> {
        let resolved = resolve::resolve(connection, &self.layout)?;
        match resolved {
            Resolved {
                is_whole: [false, false],
                failure: Some(failure),
                ..
            } => Err(failure),
            resolved => Ok(resolved),
        }
    }
}
