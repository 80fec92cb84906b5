//! The wasm target, the component, its machine code, and the host binary that carries the code inside it.

use crate::cargo::{cargo, command, output, run, target_dir};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// The triple the component is built for.
pub(crate) const WASM: &str = "wasm32-wasip2";

/// Adds the wasm target to the toolchain in use, when its library is not there.
pub(crate) fn wasm_target() -> Result<()> {
    target(WASM)
}

/// Adds a target to the toolchain in use, when its library is not there.
pub(crate) fn target(triple: &str) -> Result<()> {
    let libdir = output(command("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    if Path::new(libdir.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("adding the Rust target {triple} (rustup target add {triple})");
    run(command("rustup").args(["target", "add", triple])).with_context(|| {
        format!("this needs the Rust target {triple}; add it to this toolchain (`rustup target add {triple}`) and run the task again")
    })
}

/// The environment variable that tells the host's build where the machine code is.
pub(crate) const CODE: &str = "STRATA_CODE";

/// Where [`all`] puts the component's machine code.
pub(crate) fn code(target: &Path) -> PathBuf {
    target.join("release/strata.cwasm")
}

/// Builds the component, compiles it, then builds the binary around that. Returns the binary's path.
pub(crate) fn all() -> Result<PathBuf> {
    let target = target_dir()?;
    let code = component_code(&target)?;
    run(cargo()
        .args(["build", "--release", "--locked", "-p", "strata"])
        .env(CODE, &code))?;
    Ok(target.join("release/strata"))
}

/// Builds the component and compiles it. Returns where its machine code is.
pub(crate) fn component_code(target: &Path) -> Result<PathBuf> {
    wasm_target()?;
    // Alone, for one target: built beside the host, cargo would give the guest the host's features.
    run(cargo().args([
        "build",
        "--release",
        "--locked",
        "-p",
        "strata-component",
        "--target",
        WASM,
    ]))?;
    let component = target.join(WASM).join("release/strata_component.wasm");
    if !component.is_file() {
        bail!(
            "cargo built strata-component but left nothing at {}",
            component.display()
        );
    }
    machine_code(target, &component)
}

/// Compiles the component, unless that was done after both it and the compiler were built.
fn machine_code(target: &Path, component: &Path) -> Result<PathBuf> {
    // With the host named beside it, wasmtime has the features the host needs, and is not built twice.
    run(cargo()
        .args(["build", "--release", "--locked", "-p", "strata"])
        .args(["-p", "strata-code", "--bin", "strata-code"]))?;
    let compiler = target.join("release/strata-code");
    let code = code(target);
    let age = |path: &Path| path.metadata().and_then(|it| it.modified()).ok();
    let made = age(&code);
    if made.is_none() || made < age(component) || made < age(&compiler) {
        run(command(&compiler).arg(component).arg(&code))?;
    }
    Ok(code)
}

/// Builds, then becomes `strata serve`, so that signals reach the server itself.
pub(crate) fn serve(args: Vec<OsString>) -> Result<()> {
    let binary = all()?;
    let args = args.into_iter().skip_while(|arg| arg == "--");
    let directory = std::env::current_dir().context("no current directory")?;
    let error = command(&binary)
        .current_dir(directory)
        .arg("serve")
        .args(args)
        .exec();
    Err(error).with_context(|| format!("could not start {}", binary.display()))
}
