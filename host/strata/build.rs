//! Carries the component into the binary.
//!
//! `cargo xtask build` builds the component first and names it in
//! `STRATA_COMPONENT`. Without it the library still builds; [`Engine::new`] then
//! asks for `--component`. Its digest is taken here, not at every start. A nested cargo here would fight over the target folder.

use std::{env, fs, path::PathBuf};

use sha2::{Digest as _, Sha256};

fn main() {
    println!("cargo::rerun-if-env-changed=STRATA_COMPONENT");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("component.wasm");
    let bytes = match env::var_os("STRATA_COMPONENT") {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", PathBuf::from(&path).display());
            match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    println!(
                        "cargo::error=STRATA_COMPONENT: cannot read {}: {error}",
                        PathBuf::from(&path).display()
                    );
                    return;
                }
            }
        }
        None => Vec::new(),
    };
    let digest = hex::encode(Sha256::digest(&bytes));
    println!("cargo::rustc-env=STRATA_COMPONENT_DIGEST={digest}");
    if let Err(error) = fs::write(&out, bytes) {
        println!("cargo::error=cannot write {}: {error}", out.display());
    }
}
