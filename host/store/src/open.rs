//! Opening a store, writable or not, and what runs in the background while it is open.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::damage::Damage;
use crate::database::Database;
use crate::derived::Derived;
use crate::error::Doing as _;
use crate::facts::{self, Facts};
use crate::ingest::{self, Ingests};
use crate::layout::{self, Layout, OPENING};
use crate::lease::Leases;
use crate::name::Snapshots;
use crate::owner::{self, Owner};
use crate::sync::lock;
use crate::trash::Trash;
use crate::{DecoderMemory, Error, content, derived, index, rebuild, reserve, verify};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Never write, even where it were possible. Default: false.
    pub read_only: bool,
    /// How long to wait for another process's database transaction before [`Error::Locked`].
    /// Default: 10 s, far longer than any of them takes.
    pub busy_timeout: Duration,
    /// How long to wait for a lock of the store, other than a database's, before [`Error::Locked`].
    /// Default: 5 s. Each is held for milliseconds, or seconds by a process that is starved; who
    /// holds one for longer hangs, and people want to know who that is.
    pub lock_timeout: Duration,
    /// How long `index.json` may lag behind the names. Default: 50 ms.
    pub projection_delay: Duration,
    /// Whether queued diff-ids are checked in the background. Default: true.
    pub background_checks: bool,
    /// The memory of the decoders that look into layers. Default: a small one of the store's own.
    pub decoders: DecoderMemory,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            read_only: false,
            busy_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            projection_delay: Duration::from_millis(50),
            background_checks: true,
            decoders: DecoderMemory::default(),
        }
    }
}

/// What clones, ingests and background threads share.
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) database: Database,
    pub(crate) leases: Leases,
    pub(crate) names: Snapshots,
    pub(crate) ingests: Ingests,
    pub(crate) index: index::Signal,
    pub(crate) facts: Facts,
    pub(crate) trash: Trash,
    pub(crate) damage: Damage,
    pub(crate) verifying: verify::Permits,
    pub(crate) derived: Derived,
    pub(crate) decoders: DecoderMemory,
    pub(crate) writable: bool,
    /// Why it is not writable although it could be: the disk is full.
    full: Option<String>,
    owner_id: String,
    counter: AtomicU64,
    /// Last: when the databases are closed.
    _reserve: Option<reserve::KeepOnDrop>,
}

impl Inner {
    /// A name for a temporary file no other user of this store has.
    pub(crate) fn unique(&self) -> String {
        format!(
            "{}-{}",
            self.owner_id,
            self.counter.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Empties the log of the database if nobody else uses the store: what is in the database survives
    /// damage better.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        match owner::living(&self.layout.owners(), &self.owner_id)?.is_empty() {
            true => self.database.empty_log(),
            false => Ok(()),
        }
    }

    /// Does `work`, and once more if the disk was full, with all room made that costs nothing.
    pub(crate) fn make_room<T>(&self, work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let give_up = || {
            // Of downloads that nobody works on; who fetches them again begins at the start.
            let partial = ingest::discard(&self.layout, "").unwrap_or_default();
            derived::clear(&self.layout) || partial > 0
        };
        self.trash.make_room(give_up, work)
    }

    /// Fails in a read-only store; `what` was to be written.
    pub(crate) fn check_writable(&self, what: impl std::fmt::Display) -> Result<(), Error> {
        if self.writable {
            return Ok(());
        }
        if let Some(why) = &self.full {
            return Err(Error::NoSpace(format!("{what} cannot be written: {why}")));
        }
        Err(Error::ReadOnly(format!(
            "{what} cannot be written to {}",
            self.layout.root().display()
        )))
    }
}

/// The background threads, for as long as the store is open.
pub(crate) struct Background {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.inner.index.stop();
        self.inner.facts.stop();
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join();
        }
        derived::pack::save(&self.inner);
        self.inner.trash.wait();
    }
}

/// Opens the store at `path`. See [`Store::open`](crate::Store::open).
pub(crate) fn open(path: &Path, options: &Options) -> Result<(Arc<Inner>, Background), Error> {
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
) -> Result<(Arc<Inner>, Background), Error> {
    let (layout, writable) = Layout::open(path, options)?;
    let inner = if writable {
        // Dropped after the opening lock.
        let keeper = reserve::KeepOnDrop::new(&layout);
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
    let inner = Arc::new(inner);
    let background = Background {
        inner: inner.clone(),
        threads: Mutex::default(),
    };
    if inner.writable {
        background.start(options)?;
    }
    Ok((inner, background))
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
    keeper: reserve::KeepOnDrop,
    layout: Layout,
    locked: File,
    owner: Owner,
    options: &Options,
    is_strict: bool,
) -> Result<Inner, Error> {
    let owner_id = owner.id().to_owned();
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
    let leases = Leases::open(&layout, owner, timeout)?;
    if is_new {
        layout::sync_directory(&layout.private(""))?;
    }
    drop(locked);
    let inner = Inner {
        layout,
        database,
        leases,
        names: Snapshots::default(),
        ingests: Ingests::default(),
        index: index::Signal::default(),
        facts: Facts::default(),
        trash: Trash::default(),
        damage: Damage::default(),
        verifying: verify::Permits::default(),
        derived: Derived::default(),
        decoders: options.decoders.clone(),
        writable: true,
        full: None,
        owner_id,
        counter: AtomicU64::new(0),
        _reserve: Some(keeper),
    };
    // A full disk must not keep anybody from opening the store to free space.
    for prefix in [content::PUT_PREFIX, ingest::STAGE_PREFIX] {
        if let Err(error) = ingest::discard(&inner.layout, prefix) {
            tracing::warn!(%error, "temporary files of dead processes stay");
        }
    }
    inner.trash.empty(&inner.layout);
    reserve::keep(&inner.layout);
    match inner.names.check(&inner) {
        Err(error @ Error::Broken(_)) if is_strict => return Err(error),
        Err(error) => tracing::warn!(%error, "names are damaged"),
        Ok(()) => {}
    }
    match index::synchronize(&inner) {
        Ok(()) => {}
        Err(error @ (Error::NoSpace(_) | Error::Invalid(_) | Error::Locked(_))) => {
            tracing::warn!(%error, "index.json is out of date");
            inner.index.mark();
        }
        Err(error) => return Err(error),
    }
    Ok(inner)
}

/// Opens a store on a disk that is full, reserve and all: it can still be read. `why` is what it was full for.
fn open_full(path: &Path, options: &Options, why: String) -> Result<Inner, Error> {
    let full = || Error::NoSpace(why.clone());
    let read_only = Options {
        read_only: true,
        ..options.clone()
    };
    let opened = Layout::open(path, &read_only);
    let opened = opened.and_then(|(layout, _)| open_read_only(layout, &read_only));
    let mut inner = opened.map_err(|_| full())?;
    tracing::warn!(error = %full(), "the store can only be read");
    inner.full = Some(why);
    Ok(inner)
}

fn open_read_only(layout: Layout, options: &Options) -> Result<Inner, Error> {
    let path = layout.private("store.db");
    let database = match Database::open_read_only(&path, options.busy_timeout)? {
        Some(database) => database,
        None => Database::in_memory(|tx| index::names_from_layout(&layout, tx))?,
    };
    Ok(Inner {
        layout,
        database,
        leases: Leases::read_only(),
        names: Snapshots::default(),
        ingests: Ingests::default(),
        index: index::Signal::default(),
        facts: Facts::default(),
        trash: Trash::default(),
        damage: Damage::default(),
        verifying: verify::Permits::default(),
        derived: Derived::default(),
        decoders: options.decoders.clone(),
        writable: false,
        full: None,
        owner_id: String::new(),
        counter: AtomicU64::new(0),
        _reserve: None,
    })
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
        let (inner, delay) = (self.inner.clone(), options.projection_delay);
        spawn("strata-index", Box::new(move || index::run(&inner, delay)))?;
        if options.background_checks {
            let inner = self.inner.clone();
            spawn("strata-facts", Box::new(move || facts::run(&inner)))?;
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
