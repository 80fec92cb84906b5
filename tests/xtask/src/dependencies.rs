//! What may be depended on, as `deny.toml` says.

use crate::cargo::{cargo, command, run, target_dir};
use crate::peers::on_path;
use anyhow::Result;
use std::path::PathBuf;

/// The release of cargo-deny that is installed where there is none.
const VERSION: &str = "0.20.2";

/// Licences, sources and what is there twice. `advisories` as well asks for RustSec's database on the internet.
pub(crate) fn check(advisories: bool) -> Result<()> {
    let mut deny = command(program()?);
    // The fuzz targets are members, too.
    deny.args([
        "--all-features",
        "--locked",
        "check",
        "--hide-inclusion-graph",
    ]);
    if advisories {
        deny.arg("advisories");
    }
    run(deny.args(["bans", "licenses", "sources"]))
}

/// cargo-deny, installed into the target folder if there is none.
fn program() -> Result<PathBuf> {
    if let Some(found) = on_path("cargo-deny") {
        return Ok(found);
    }
    let tools = target_dir()?.join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        let version = ["--version", VERSION];
        run(cargo()
            .args(["install", "cargo-deny", "--locked", "--quiet"])
            .args(version)
            .arg("--root")
            .arg(&tools))?;
    }
    Ok(program)
}
