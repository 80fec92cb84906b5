//! Carries the component's machine code into the binary.
//!
//! `cargo xtask build` makes it first and names its file in `STRATA_CODE`. Without it the library still builds;
//! [`Engine::new`] then asks for `--component`. A nested cargo here would fight over the target folder.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=STRATA_CODE");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("code.cwasm");
    let copied = match env::var_os("STRATA_CODE").map(PathBuf::from) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            fs::copy(&path, &out)
                .map(drop)
                .map_err(|error| format!("STRATA_CODE: cannot read {}: {error}", path.display()))
        }
        None => {
            fs::write(&out, []).map_err(|error| format!("cannot write {}: {error}", out.display()))
        }
    };
    if let Err(error) = copied {
        println!("cargo::error={error}");
    }
}
