//! Opening a store, writable or not, and what runs in the background while it is open.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::activity::Activity;
use crate::content::Blobs;
use crate::damage::Damage;
use crate::database::Database;
use crate::derived::Derived;
use crate::error::Doing as _;
use crate::facts::FactTable;
use crate::index::{self, projector};
use crate::ingest::Ingests;
use crate::layout::{Layout, OPENING};
use crate::lease::LeaseTable;
use crate::name::table::NameTable;
use crate::owner::Owner;
use crate::reserve::KeepOnDrop;
use crate::sync::lock;
use crate::trash::Trash;
use crate::verify::Permits;
use crate::{Error, Options, directory, partial, rebuild, reserve};

/// What a store consists of. Each part has those it needs, and clones, ingests and background threads have theirs.
pub(crate) struct Parts {
    pub(crate) layout: Arc<Layout>,
    pub(crate) names: Arc<NameTable>,
    pub(crate) leases: Arc<LeaseTable>,
    pub(crate) damage: Arc<Damage>,
    pub(crate) derived: Arc<Derived>,
    pub(crate) content: Arc<Blobs>,
    pub(crate) ingests: Arc<Ingests>,
    pub(crate) facts: Arc<FactTable>,
    pub(crate) verifying: Permits,
    activity: Arc<Activity>,
}

impl Parts {
    fn new(names: NameTable, leases: LeaseTable, options: &Options) -> Parts {
        let layout = names.layout.clone();
        let (names, leases) = (Arc::new(names), Arc::new(leases));
        let activity = Arc::<Activity>::default();
        let damage = Arc::new(Damage::new(names.clone(), activity.clone()));
        let derived = Arc::new(Derived::new(&damage));
        let content = Arc::new(Blobs {
            damage: damage.clone(),
            leases: leases.clone(),
            derived: derived.clone(),
            trash: Trash::default(),
        });
        let ingests = Ingests::new(content.clone(), activity.clone());
        let facts = FactTable::new(damage.clone(), activity.clone(), options.decoders.clone());
        Parts {
            layout,
            names,
            leases,
            damage,
            derived,
            content,
            ingests: Arc::new(ingests),
            facts: Arc::new(facts),
            verifying: Permits::default(),
            activity,
        }
    }
}

/// The background threads, for as long as the store is open.
pub(crate) struct Background {
    parts: Arc<Parts>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.parts.names.projection.stop();
        self.parts.activity.stop();
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join();
        }
        self.parts.derived.packs.save();
        self.parts.content.trash.wait();
    }
}

/// Opens the store at `path`. See [`Store::open`](crate::Store::open).
pub(crate) fn open(path: &Path, options: &Options) -> Result<(Arc<Parts>, Background), Error> {
    match try_open(path, options, true) {
        // Found while it was opened: this is the next start. If others use the database, what can be read
        // of it is.
        Err(Error::Broken(_)) => try_open(path, options, false),
        result => result,
    }
}

fn try_open(
    path: &Path,
    options: &Options,
    is_strict: bool,
) -> Result<(Arc<Parts>, Background), Error> {
    let (layout, writable) = Layout::open(path, options)?;
    let parts = if writable {
        // Dropped after the opening lock.
        let keeper = Arc::new(KeepOnDrop::new(&layout));
        match register(&layout) {
            Ok((locked, owner)) => {
                match open_writable(keeper, layout, locked, owner, options, is_strict) {
                    Err(Error::NoSpace(why)) => open_full(path, options, why)?,
                    opened => opened?,
                }
            }
            Err(Error::NoSpace(why)) => open_full(path, options, why)?,
            Err(error) if is_refused(&error) => open_read_only(layout, options)?,
            Err(error) => return Err(error),
        }
    } else {
        open_read_only(layout, options)?
    };
    let parts = Arc::new(parts);
    let background = Background {
        parts: parts.clone(),
        threads: Mutex::default(),
    };
    if parts.layout.is_writable() {
        background.start(options)?;
    }
    Ok((parts, background))
}

/// Takes the opening lock and registers under it, so that whoever has it and finds other owners knows
/// that they use the store.
fn register(layout: &Layout) -> Result<(File, Owner), Error> {
    // One at a time: SQLite does not wait while another process creates a database.
    let locked = layout.lock(OPENING)?;
    let owner = reserve::spend(layout, || Owner::register(&layout.owners()))?;
    Ok((locked, owner))
}

/// Opens what `locked` and `owner` are for. If that fails, the owner goes first.
fn open_writable(
    keeper: Arc<KeepOnDrop>,
    layout: Layout,
    locked: File,
    owner: Owner,
    options: &Options,
    is_strict: bool,
) -> Result<Parts, Error> {
    let layout = Arc::new(layout.written_by(owner.id()));
    let timeout = options.busy_timeout;
    let is_new = !layout.private("store.db").exists();
    let database = reserve::spend(&layout, || {
        let has_small_blocks = reserve::has_small_blocks(&layout)?;
        let database = rebuild::open(&layout, &owner, timeout)?;
        if has_small_blocks {
            database.touch()?;
        }
        Ok(database)
    })?;
    let leases = LeaseTable::open(&layout, owner, timeout, keeper.clone())?;
    if is_new {
        directory::sync(&layout.private(""))?;
    }
    drop(locked);
    let names = NameTable::new(layout.clone(), database, Some(keeper));
    let parts = Parts::new(names, leases, options);
    // A full disk must not keep anybody from opening the store to free space.
    partial::discard_temporary(&layout);
    parts.content.trash.empty(&layout.trash());
    reserve::keep(&layout);
    match parts.names.check() {
        Err(error @ Error::Broken(_)) if is_strict => return Err(error),
        Err(error) => tracing::warn!(%error, "names are damaged"),
        Ok(()) => {}
    }
    match index::synchronize(&parts.names) {
        Ok(()) => {}
        Err(error @ (Error::NoSpace(_) | Error::Invalid(_) | Error::Locked(_))) => {
            tracing::warn!(%error, "index.json is out of date");
            parts.names.projection.mark();
        }
        Err(error) => return Err(error),
    }
    Ok(parts)
}

/// Opens a store on a disk that is full, reserve and all: it can still be read. `why` is what it was full for.
fn open_full(path: &Path, options: &Options, why: String) -> Result<Parts, Error> {
    let full = || Error::NoSpace(why.clone());
    let read_only = Options {
        read_only: true,
        ..options.clone()
    };
    let opened = Layout::open(path, &read_only);
    let opened =
        opened.and_then(|(layout, _)| open_read_only(layout.full(why.clone()), &read_only));
    let parts = opened.map_err(|_| full())?;
    tracing::warn!(error = %full(), "the store can only be read");
    Ok(parts)
}

fn open_read_only(layout: Layout, options: &Options) -> Result<Parts, Error> {
    let path = layout.private("store.db");
    let database = match Database::open_read_only(&path, options.busy_timeout)? {
        Some(database) => database,
        None => Database::in_memory(|tx| index::names_from_layout(&layout, tx))?,
    };
    let names = NameTable::new(Arc::new(layout), database, None);
    Ok(Parts::new(names, LeaseTable::read_only(), options))
}

impl Background {
    fn start(&self, options: &Options) -> Result<(), Error> {
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| -> Result<(), Error> {
            let thread = std::thread::Builder::new()
                .name(name.into())
                .spawn(run)
                .doing(|| format!("starting thread {name}"))?;
            lock(&self.threads).push(thread);
            Ok(())
        };
        let (names, leases) = (self.parts.names.clone(), self.parts.leases.clone());
        let delay = options.projection_delay;
        let project = move || projector::run(&names, &leases, delay);
        spawn("strata-index", Box::new(project))?;
        if options.background_checks {
            let facts = self.parts.facts.clone();
            spawn("strata-facts", Box::new(move || facts.run()))?;
        }
        Ok(())
    }
}

fn is_refused(error: &Error) -> bool {
    match error {
        Error::ReadOnly(_) => true,
        Error::Io { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
        _ => false,
    }
}
