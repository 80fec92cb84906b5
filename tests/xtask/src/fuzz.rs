//! Coverage-guided fuzzing with stable Rust: the targets of `tests/fuzz`, built with libFuzzer's instrumentation.
//!
//! The flags are those of cargo-fuzz without a sanitizer, which needs nightly Rust; the folder is laid out so that
//! `cargo fuzz run --fuzz-dir tests/fuzz TARGET` works as well where both are installed.

use crate::cargo::{cargo, command, output, root, run, target_dir};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// What tells libFuzzer which code ran; assertions and overflow checks find what release builds would let pass.
const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0";
/// Inputs each target gets in `cargo xtask test`: seconds each.
pub(crate) const TEST_INPUTS: u64 = 20_000;
/// Bounds on every input: bytes, seconds, megabytes of memory.
const LIMITS: [&str; 3] = ["-max_len=65536", "-timeout=10", "-rss_limit_mb=1024"];
const PREFIX: &str = "fuzz-";

/// `cargo xtask fuzz [TARGET…] [--inputs N]`: without a number, the one target named runs until it is stopped.
pub(crate) fn by_hand(args: Vec<OsString>) -> Result<()> {
    let mut chosen = Vec::new();
    let mut inputs = None;
    let mut args = args.iter().filter_map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        if arg == "--inputs" {
            let number = args.next().context("--inputs needs a number")?;
            inputs = Some(number.parse().context("--inputs needs a number")?);
        } else {
            chosen.push(arg.to_owned());
        }
    }
    if inputs.is_none() && chosen.len() != 1 {
        bail!("name one target, or say how many inputs each gets: --inputs N");
    }
    run_targets(&chosen, inputs)
}

/// Builds the targets and gives each `inputs` inputs, or one of them as many as it is let; `chosen` empty means all.
pub(crate) fn run_targets(chosen: &[String], inputs: Option<u64>) -> Result<()> {
    let names = targets()?;
    if let Some(unknown) = chosen.iter().find(|name| !names.contains(name)) {
        bail!(
            "there is no target {unknown}; there are {}",
            names.join(", ")
        );
    }
    let host = host()?;
    let folder = target_dir()?.join("fuzz");
    run(cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "strata-fuzz",
            "--bins",
        ])
        // With a target named, build scripts and macros are built without the flags.
        .args(["--target", &host, "--target-dir"])
        .arg(&folder)
        .env("RUSTFLAGS", FLAGS))?;
    for name in names
        .iter()
        .filter(|name| chosen.is_empty() || chosen.contains(name))
    {
        let program = folder
            .join(&host)
            .join("release")
            .join(format!("{PREFIX}{name}"));
        run_target(name, &program, &folder, inputs)?;
    }
    Ok(())
}

fn run_target(name: &str, program: &Path, folder: &Path, inputs: Option<u64>) -> Result<()> {
    let found = folder.join("corpus").join(name);
    if inputs.is_some() && found.is_dir() {
        // The same inputs each time.
        fs::remove_dir_all(&found)?;
    }
    fs::create_dir_all(&found)?;
    let artifacts = folder.join("artifacts");
    fs::create_dir_all(&artifacts)?;
    let mut fuzz = command(program);
    fuzz.args(LIMITS)
        .arg(format!("-artifact_prefix={}/{name}-", artifacts.display()));
    if let Some(inputs) = inputs {
        fuzz.args(["-seed=1", "-verbosity=0"])
            .arg(format!("-runs={inputs}"));
    }
    fuzz.arg(&found);
    let seeds = root().join("tests/fuzz/corpus").join(name);
    if seeds.is_dir() {
        fuzz.arg(seeds);
    }
    if inputs.is_none() {
        return run(&mut fuzz);
    }
    let done = fuzz.stdin(Stdio::null()).output()?;
    if !done.status.success() {
        bail!(
            "fuzz target {name} failed ({}); the input is in {}:\n{}",
            done.status,
            artifacts.display(),
            String::from_utf8_lossy(&done.stderr)
        );
    }
    println!(
        "fuzz {name}: {} inputs, no failure",
        inputs.unwrap_or_default()
    );
    Ok(())
}

/// Names of the targets, in order.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("tests/fuzz/targets"))? {
        if let Some(name) = entry?.path().file_stem().and_then(|name| name.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The triple programs here are built for.
fn host() -> Result<String> {
    let version = output(command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}
