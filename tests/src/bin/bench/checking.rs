//! `strata check` beside the programs that do nothing but hash the same files.

use crate::Options;
use crate::fixture::Debian;
use crate::peer::{measure, place, settle, strata_command};
use crate::stock;
use crate::table::{Samples, Table, mib, time};
use anyhow::{Context, Result};
use std::path::Path;
use strata_tests::store;
use tokio::process::Command;

/// Whichever is the fastest here is what strata is compared with.
const HASHERS: [(&str, &[&str]); 2] = [
    ("sha256sum", &["sha256sum"]),
    ("openssl", &["openssl", "dgst", "-sha256"]),
];

/// All content of the image of eleven layers, hashed again.
pub(crate) async fn all_content(
    options: &Options,
    image: &Debian,
    table: &mut Table,
) -> Result<()> {
    let folder = place()?;
    let store = folder.path().join("store");
    stock::fill(image, &store).await?;
    let files: Vec<String> = store::blobs(&store)?
        .iter()
        .map(|digest| store::blob(&store, digest).display().to_string())
        .collect();
    let mut ours = Samples::default();
    let mut peak = 0;
    let mut theirs = HASHERS.map(|_| Samples::default());
    let mut hashers: Vec<usize> = (0..HASHERS.len()).collect();
    for run in 1..=options.runs {
        eprintln!("check, run {run} of {}", options.runs);
        settle().await?;
        let checked = measure(strata_command(&store, &["check", "--quiet"])?).await?;
        ours.add(checked.wall);
        peak = peak.max(checked.peak);
        hashers = hash(&hashers, &files, &store, &mut theirs, table).await?;
    }
    let fastest = hashers
        .into_iter()
        .min_by_key(|at| theirs[*at].median())
        .context("nothing else here computes SHA-256")?;
    let (name, theirs) = (HASHERS[fastest].0, theirs[fastest].median());
    let speed = theirs.as_secs_f64() / ours.median().as_secs_f64();
    table.row(
        "check of all content",
        format!("{}, {speed:.2} × as fast", time(ours.median())),
        format!("{name}, one for each processor, {}", time(theirs)),
        "≥ 0.8 × as fast",
    );
    table.row("peak memory of that", mib(peak), String::new(), "≤ 96 MiB");
    Ok(())
}

/// Has each of these hash the files; those that could.
async fn hash(
    hashers: &[usize],
    files: &[String],
    store: &Path,
    times: &mut [Samples],
    table: &mut Table,
) -> Result<Vec<usize>> {
    // The longest first would be better still; no tool knows that.
    let processors = std::thread::available_parallelism()?.to_string();
    let list = store.with_extension("list");
    std::fs::write(&list, files.join("\n"))?;
    let mut able = Vec::new();
    for &at in hashers {
        let (name, words) = HASHERS[at];
        let mut command = Command::new("xargs");
        command.arg("--arg-file").arg(&list);
        command
            .args(["--max-args", "1", "--max-procs", &processors])
            .args(words);
        match measure(command).await {
            Ok(run) => {
                times[at].add(run.wall);
                able.push(at);
            }
            Err(error) => table.note(&format!("check: {name} cannot run here: {error:#}")),
        }
    }
    Ok(able)
}
