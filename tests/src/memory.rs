//! Memory of processes, as the kernel counts it.

use anyhow::{Context, Result};

/// What is told of a process.
#[derive(Clone, Copy, Debug)]
pub enum Memory {
    /// What it has now.
    Resident,
    /// The most it had.
    Peak,
}

/// Bytes of memory of a process.
///
/// # Errors
/// When it has ended.
pub fn memory(pid: u32, which: Memory) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let name = match which {
        Memory::Resident => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context(name)?.parse::<u64>()? << 10)
}
