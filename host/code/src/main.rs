//! `strata-code COMPONENT FILE`: compiles a component into a file.

use std::{fs, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [component, file] = arguments.as_slice() else {
        eprintln!("usage: strata-code COMPONENT FILE");
        return ExitCode::from(2);
    };
    let written = fs::read(component)
        .map_err(wasmtime::Error::from)
        .and_then(|bytes| strata_code::compile(&bytes))
        .and_then(|code| Ok(fs::write(file, code)?));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strata-code: {error:#}");
            ExitCode::FAILURE
        }
    }
}
