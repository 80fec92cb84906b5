//! What a host tells about itself.

/// Facts about the host, for `/info` and `/version`, beside what its engine's settings say.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// Name of the machine.
    pub hostname: String,
    /// Number of logical processors.
    pub processors: u32,
    /// Bytes of main memory.
    pub memory: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Folder of the store.
    pub root: String,
    /// Names this store for as long as it exists.
    pub id: String,
}
