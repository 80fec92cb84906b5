//! `oci-layout`, by which a directory is known as a layout.
//!
//! Its few bytes are always the same. So where `.strata` shows that the layout is one of ours they are
//! written anew when they are damaged; a directory that is not ours is left alone.

use std::fs;

use super::{Layout, OPENING};
use crate::Error;
use crate::aside;
use crate::error::Doing as _;

const NAME: &str = "oci-layout";
const VERSION: &str = "1.0.0";
/// Most bytes read of it.
const MAX: u64 = 64 * 1024;

/// What `oci-layout` says.
pub(super) enum Marker {
    /// A layout we know.
    Right,
    /// Nothing.
    Absent,
    /// Nothing that can be understood: why.
    Broken(String),
}

impl Layout {
    /// Reads the marker.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if it is a layout of another version.
    pub(super) fn marker(&self) -> Result<Marker, Error> {
        #[derive(serde::Deserialize)]
        struct Blobs {
            #[serde(rename = "imageLayoutVersion")]
            version: String,
        }
        let path = self.root.join(NAME);
        let text = match aside::read(&path, MAX) {
            Ok(Some(text)) => text,
            // A link to nothing is not nothing.
            Ok(None) if fs::symlink_metadata(&path).is_ok() => {
                return Ok(Marker::Broken("it is a link to nothing".into()));
            }
            Ok(None) => return Ok(Marker::Absent),
            Err(error) if aside::is_unreadable(&error) => {
                return Ok(Marker::Broken(error.to_string()));
            }
            Err(error) => return Err(Error::io(format!("reading {}", path.display()), error)),
        };
        let version = match serde_json::from_slice::<Blobs>(&text) {
            Ok(content) => content.version,
            Err(error) => return Ok(Marker::Broken(error.to_string())),
        };
        if version == VERSION {
            return Ok(Marker::Right);
        }
        if !is_version(&version) {
            return Ok(Marker::Broken(format!("its version is {version:?}")));
        }
        Err(Error::Unsupported(format!(
            "{} has image layout version {version:?}, this program knows {VERSION}; if nothing newer \
             wrote it, remove {}",
            self.root.display(),
            path.display()
        )))
    }

    /// Whether a store of ours was here before: it has what only an open store makes.
    pub(super) fn is_ours(&self) -> bool {
        self.was_open() || self.has_any(&["store.db", "quarantine"])
    }

    /// Whether a store was open here before, and so has had a database.
    pub(crate) fn was_open(&self) -> bool {
        self.has_any(&["leases.db", "index.lock"])
    }

    fn has_any(&self, names: &[&str]) -> bool {
        let mut paths = names.iter().map(|name| self.private(name));
        paths.any(|path| fs::symlink_metadata(path).is_ok())
    }

    /// Why the directory is refused; the way out included.
    pub(super) fn refuse(&self, why: &str) -> Error {
        Error::Invalid(format!(
            "{} cannot be understood ({why}), and the directory is not a store of strata; give another \
             one, or make that file {:?} if it is an image layout",
            self.root.join(NAME).display(),
            content()
        ))
    }

    /// Writes the marker unless another process has. `why` it is written anew, if it is.
    pub(super) fn mark(&self, why: Option<&str>) -> Result<(), Error> {
        let _locked = self.lock(OPENING)?;
        if let Marker::Right = self.marker()? {
            return Ok(());
        }
        let path = self.root.join(NAME);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            aside::set_aside(&self.private, &path, &[])?;
        }
        self.replace(NAME, content().as_bytes())?;
        if let Some(why) = why {
            tracing::warn!(why, "{} was damaged and is written anew", path.display());
        }
        Ok(())
    }

    /// Makes a folder of our own, in place of anything else there. Such a thing is moved away.
    pub(super) fn make_folder(&self, name: &str) -> Result<(), Error> {
        self.clear_folder(name)?;
        super::make(&self.private(name))
    }

    /// Moves away what is where a folder of our own should be, if it is none.
    pub(super) fn clear_folder(&self, name: &str) -> Result<(), Error> {
        let path = self.private(name);
        let is_odd = || !path.is_dir() && fs::symlink_metadata(&path).is_ok();
        if !is_odd() {
            return Ok(());
        }
        let _locked = self.lock(OPENING)?;
        if !is_odd() {
            return Ok(());
        }
        let moved = if path == self.private.quarantine() {
            let moved = aside::beside(&path, ".broken");
            fs::rename(&path, &moved).doing(|| format!("moving {} away", path.display()))?;
            moved
        } else {
            aside::set_aside(&self.private, &path, &[])?
        };
        tracing::warn!(
            "{} was not a folder and is made anew; what it was is {}",
            path.display(),
            moved.display()
        );
        Ok(())
    }
}

fn content() -> String {
    format!("{{\"imageLayoutVersion\":\"{VERSION}\"}}")
}

/// Whether it looks like a version somebody may have written.
fn is_version(text: &str) -> bool {
    let mut parts = text.split('.');
    let are_numbers = parts
        .by_ref()
        .take(3)
        .filter(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        .count();
    are_numbers == 3 && parts.next().is_none()
}
