//! The `strata` command: the engine at a terminal.
//!
//! Everything is in [`cli`], which turns words into calls of the `strata` library and answers
//! into text. No operation on images is implemented here.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
