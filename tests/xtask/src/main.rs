//! The project's own tasks: `cargo xtask <build|serve|dist|test|check|fuzz|bench|setup>`.
//!
//! Everything a fresh Debian machine with stable Rust lacks is put in place on the way: the wasm target through
//! rustup, the real registry and clients the tests talk to through apt. What is there already is left alone.
#![allow(
    clippy::print_stdout,
    reason = "a command-line program: its standard output is its answer"
)]

mod build;
mod cargo;
mod dependencies;
mod dist;
mod fuzz;
mod peers;
mod suite;

use std::ffi::OsString;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <task>

  build               build the component and the release binary; the last line printed is the binary's path
  serve [-- ARGS]     build, then run `strata serve ARGS`
  dist                a tarball and a Debian package of a static binary
  test  [FILTER]      build, install missing peers (docker-registry, skopeo, a docker CLI), run every test
  check [--advisories]
                      formatting, lints, documentation and dependencies, warnings being errors; known
                      vulnerabilities as well, which needs the internet
  fuzz  [TARGET…] [--inputs N]
                      run the fuzz targets of tests/fuzz: so many inputs each, or one target until it is stopped
  bench [ARGS]        build, install podman too, print the comparison table (`--runs N`, `--only pull,memory,…`)
  setup               only install what the other tasks need
";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let task = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    let done = match task.to_str() {
        Some("build") => build::all().map(|binary| println!("{}", binary.display())),
        Some("dist") => dist::all().map(|files| {
            for file in files {
                println!("{}", file.display());
            }
        }),
        Some("serve") => build::serve(rest),
        Some("test") => suite::test(rest),
        Some("check") => suite::check(&rest),
        Some("fuzz") => peers::install(&peers::FOR_FUZZING).and_then(|()| fuzz::by_hand(rest)),
        Some("bench") => suite::bench(rest),
        Some("setup") => build::wasm_target().and_then(|()| peers::install(&peers::FOR_BENCH)),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
