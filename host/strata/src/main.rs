//! The `strata` command: the engine at a terminal.
//!
//! Everything is in [`cli`], which turns words into calls of the `strata` library and answers
//! into text. No operation on images is implemented here.

mod cli;

/// The allocator of the static binary: musl's own is slow where several threads allocate.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
