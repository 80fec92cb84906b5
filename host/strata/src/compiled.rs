//! Compiled code, kept in a file that is mapped at the next start.
//!
//! Compiling takes seconds. wasmtime's own cache compresses what it keeps, so a start would
//! unpack and hold all of it; of a mapped file only the pages that run are read, and all
//! processes share them.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use rustix::fs::{Mode, OFlags};
use wasmtime::{Engine, component::Component};

/// Files kept: for versions in use side by side.
const KEPT: usize = 4;
/// Age of a file that is not finished and never will be. Compiling takes a minute at most.
const UNFINISHED: Duration = Duration::from_secs(3600);
/// What a file's name ends with.
const EXTENSION: &str = "cwasm";

/// A component and what it is known by.
pub(crate) struct Code<'c> {
    /// Its bytes.
    pub(crate) bytes: &'c [u8],
    /// SHA-256 of them, in hex.
    pub(crate) digest: &'c str,
}

impl Code<'_> {
    /// The component, compiled now if that was not done before. A cache that cannot be
    /// used is worth a warning, never a failure.
    ///
    /// # Errors
    /// If it does not compile.
    pub(crate) fn component(&self, engine: &Engine) -> wasmtime::Result<Component> {
        let kept = folder().and_then(|folder| self.kept(engine, &folder).transpose());
        match kept {
            Some(Ok(component)) => Ok(component),
            Some(Err(error)) => {
                tracing::warn!("compiled code is not kept: {error:#}");
                Component::from_binary(engine, self.bytes)
            }
            None => Component::from_binary(engine, self.bytes),
        }
    }

    /// The component from its file, made first if need be; `None` if what was made cannot
    /// be used after all.
    fn kept(&self, engine: &Engine, folder: &Path) -> wasmtime::Result<Option<Component>> {
        let held = prepare(folder)?;
        // Whoever may write to a folder above can put another one in its place, but not
        // in the place of the one that was looked at.
        let folder = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        let path = folder.join(self.file_name(engine));
        if let Some(component) = map(engine, &path) {
            return Ok(Some(component));
        }
        let compiled = engine.precompile_component(self.bytes)?;
        write(&folder, &path, &compiled)?;
        drop(compiled);
        // Another process may be at it too.
        let _ = discard(&folder, &path);
        Ok(map(engine, &path))
    }

    /// Other code, another wasmtime and other settings have other files.
    fn file_name(&self, engine: &Engine) -> String {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        format!("{}-{:016x}.{EXTENSION}", self.digest, hasher.finish())
    }
}

/// Where compiled code is kept; `None` if there is no place for it.
fn folder() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("strata").join("compiled"))
}

/// Makes the folder if it is not there, and opens it if nobody else can write to it: what
/// is in it runs.
fn prepare(folder: &Path) -> io::Result<fs::File> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = fs::File::from(rustix::fs::open(folder, flags, Mode::empty())?);
    let metadata = held.metadata()?;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    match is_own && metadata.mode() & 0o022 == 0 {
        true => Ok(held),
        false => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "others may write to {}, make it a folder of your own with mode 0700",
                folder.display()
            ),
        )),
    }
}

/// The component in a file; `None` if there is none that this engine can use.
#[expect(unsafe_code, reason = "wasmtime cannot know who wrote a file")]
fn map(engine: &Engine, path: &Path) -> Option<Component> {
    if !path.exists() {
        return None;
    }
    // SAFETY: the folder is the user's own and only the user may write to it (`prepare`),
    // as with the program itself. Files in it are made by `write` from what wasmtime
    // compiled, appear whole and durable, and are never changed afterwards. wasmtime
    // refuses those of other versions and settings.
    let component = unsafe { Component::deserialize_file(engine, path) }.or_else(|_| {
        // The file system may not allow its files to be run.
        let bytes = fs::read(path)?;
        // SAFETY: as above.
        unsafe { Component::deserialize(engine, bytes) }
    });
    component
        .inspect_err(|error| {
            let name = path.file_name().unwrap_or_default().display();
            tracing::warn!("compiled code {name} cannot be used, it is made anew: {error:#}");
        })
        .ok()
}

/// Writes a file that appears whole, after a power cut too.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, unfinished) = create(folder)?;
    let result = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&unfinished, path));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
    }
    result
}

/// A file nobody else writes to: other threads of this process compile too, and an earlier
/// process with its number may have left files.
fn create(folder: &Path) -> io::Result<(fs::File, PathBuf)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{number}.tmp", std::process::id()));
        let created = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return Ok((created?, path)),
        }
    }
}

/// Removes the oldest files, but not `path`, and what was never finished. A process that
/// has mapped one keeps it.
fn discard(folder: &Path, path: &Path) -> io::Result<()> {
    let mut others: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let other = entry.path();
        let modified = entry.metadata()?.modified()?;
        if other.extension().is_some_and(|it| it == EXTENSION) {
            others.push((modified, other));
        } else if modified.elapsed().is_ok_and(|age| age > UNFINISHED) {
            fs::remove_file(other)?;
        }
    }
    others.retain(|(_, other)| other != path);
    others.sort();
    let excess = others.len().saturating_sub(KEPT - 1);
    for (_, other) in others.into_iter().take(excess) {
        fs::remove_file(other)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
