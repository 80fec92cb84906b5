//! Tests, checks and the bench, in the order a reader of the output wants them.

use crate::build::{CODE, WASM, all, code, wasm_target};
use crate::cargo::{cargo, run, target_dir};
use crate::{dependencies, fuzz, peers};
use anyhow::Result;
use std::ffi::OsString;

/// Native crates, grouped so that each group needs no feature of a dependency the release binary was built without:
/// one group for all would compile wasmtime a second time.
const GROUPS: [&[&str]; 3] = [
    &[
        "strata-oci",
        "strata-registry",
        "strata-engine",
        "strata-http",
        "strata-docker",
    ],
    &["strata-code", "strata-codec", "strata-store", "strata"],
    &["strata-tests"],
];

/// Builds, installs peers, runs every test. `filter` goes to each test program.
pub(crate) fn test(filter: Vec<OsString>) -> Result<()> {
    let binary = all()?;
    peers::install(&peers::FOR_TESTS)?;
    let code = code(&target_dir()?);
    for group in GROUPS {
        let mut test = cargo();
        test.args(["test", "--release", "--locked"]);
        for package in group {
            test.args(["-p", package]);
        }
        test.args(filter.iter().filter(|arg| *arg != "--"));
        run(test.env("STRATA_BIN", &binary).env(CODE, &code))?;
    }
    if filter.is_empty() {
        fuzz::run_targets(&[], Some(fuzz::TEST_INPUTS))?;
    }
    Ok(())
}

/// Formatting, lints of both sides, documentation, dependencies: warnings are errors.
pub(crate) fn check(args: &[OsString]) -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    wasm_target()?;
    // The host embeds the component's code, so it must exist before the host is looked at.
    all()?;
    let code = code(&target_dir()?);
    let deny = ["--", "-D", "warnings"];
    run(cargo()
        .args([
            "clippy",
            "--release",
            "--locked",
            "--workspace",
            "--exclude",
            "strata-component",
            "--all-targets",
        ])
        .args(deny)
        .env(CODE, &code))?;
    run(cargo()
        .args([
            "clippy",
            "--release",
            "--locked",
            "-p",
            "strata-component",
            "--target",
            WASM,
        ])
        .args(deny))?;
    run(cargo()
        .args([
            "doc",
            "--release",
            "--locked",
            "--workspace",
            "--exclude",
            "strata-component",
            "--no-deps",
        ])
        .env("RUSTDOCFLAGS", "-D warnings")
        .env(CODE, &code))?;
    dependencies::check(args.iter().any(|arg| arg == "--advisories"))
}

/// Builds, installs the peers of the comparison, prints the table.
pub(crate) fn bench(args: Vec<OsString>) -> Result<()> {
    let binary = all()?;
    peers::install(&peers::FOR_BENCH)?;
    let mut bench = cargo();
    bench.args([
        "run",
        "--release",
        "--locked",
        "--quiet",
        "-p",
        "strata-tests",
        "--bin",
        "bench",
        "--",
    ]);
    bench.args(args.iter().filter(|arg| *arg != "--"));
    run(bench.env("STRATA_BIN", &binary))
}
