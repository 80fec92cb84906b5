//! Files on their way to become blobs: partial downloads, and temporary ones that go with their process.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use crate::error::Doing as _;
use crate::layout::Layout;
use crate::owner::{self, is_still, try_lock};
use crate::{Digest, Error, regular};

/// Prefixes of temporary files, which cannot be the name of a partial download.
const PUT: &str = "put-";
const STAGE: &str = "stage-";

/// The partial download of a blob, which has a name under which it can be resumed.
pub(crate) fn path(layout: &Layout, digest: &Digest) -> PathBuf {
    layout.ingests().join(format!(
        "{}-{}",
        digest.algorithm().as_str(),
        digest.encoded()
    ))
}

/// Where a small blob is written before it is published.
pub(crate) fn put_path(layout: &Layout) -> PathBuf {
    layout.ingests().join(format!("{PUT}{}", layout.unique()))
}

/// A locked file that goes when it does not become a blob.
pub(crate) fn stage(layout: &Layout) -> io::Result<(PathBuf, File)> {
    let path = layout.ingests().join(format!("{STAGE}{}", layout.unique()));
    let file = owner::create_locked(&path)?;
    Ok((path, file))
}

/// Removes temporary files of dead processes.
pub(crate) fn discard_temporary(layout: &Layout) {
    for prefix in [PUT, STAGE] {
        if let Err(error) = discard_some(layout, prefix) {
            tracing::warn!(%error, "temporary files of dead processes stay");
        }
    }
}

/// Removes all files that nobody is writing, and returns their bytes.
pub(crate) fn discard(layout: &Layout) -> Result<u64, Error> {
    discard_some(layout, "")
}

fn discard_some(layout: &Layout, prefix: &str) -> Result<u64, Error> {
    let directory = layout.ingests();
    let doing = || format!("reading {}", directory.display());
    let mut bytes = 0;
    for entry in fs::read_dir(&directory).doing(doing)? {
        let entry = entry.doing(doing)?;
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(prefix.as_bytes())
        {
            continue;
        }
        let path = entry.path();
        let Ok((file, _)) = regular::open(&path) else {
            // Nobody writes into what is no file.
            regular::clear_other(&path, false);
            continue;
        };
        if try_lock(&file).doing(doing)? && is_still(&file, &path) {
            let length = file.metadata().doing(doing)?.len();
            fs::remove_file(&path).doing(|| format!("removing {}", path.display()))?;
            bytes += length;
        }
    }
    Ok(bytes)
}
