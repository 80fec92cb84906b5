//! Where things are: the checkout, cargo's target folder, the binary under test.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The workspace root.
#[must_use]
pub fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// Cargo's target folder, found from where this program runs: cargo marks the folder with a `CACHEDIR.TAG`.
#[must_use]
pub fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let marked = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(|| root().join("target"), PathBuf::from)
}

/// A folder below the target folder that outlives the run.
///
/// # Errors
/// When it cannot be made.
pub fn cache(name: &str) -> Result<PathBuf> {
    let folder = target().join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("could not make {}", folder.display()))?;
    Ok(folder)
}

/// The `strata` binary: `STRATA_BIN`, or what `cargo xtask build` leaves.
///
/// # Errors
/// When there is no such file.
pub fn strata() -> Result<PathBuf> {
    let binary = std::env::var_os("STRATA_BIN").map(PathBuf::from);
    let binary = binary.unwrap_or_else(|| target().join("release/strata"));
    if !binary.is_file() {
        bail!(
            "no strata binary at {}: run `cargo xtask test`, or set STRATA_BIN",
            binary.display()
        );
    }
    Ok(binary)
}
