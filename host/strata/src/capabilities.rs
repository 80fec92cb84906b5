//! What an embedder provides to the component.

use std::{path::PathBuf, time::Duration};

/// Everything the component may use. Without it, nothing.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Folder of the store: an OCI image layout, created when missing.
    pub store: PathBuf,
    /// `os/architecture[/variant]` images are chosen for; `None` is this
    /// machine's.
    pub platform: Option<String>,
    /// Registry host and base URL of mirrors, tried in order before the registry
    /// itself, pulls only.
    pub mirrors: Vec<(String, String)>,
    /// `host` or `host:port` of registries that may be reached by plain HTTP.
    /// Loopback ones always may.
    pub insecure_registries: Vec<String>,
    /// PEM files with further certificate authorities.
    pub certificate_authorities: Vec<PathBuf>,
    /// `host` or `host:port` the component may connect to; `None` is any. Token
    /// servers and blob storage count: list them too.
    pub allowed_registries: Option<Vec<String>>,
    /// Ask private addresses whoever named them: a redirect of an import, a token
    /// server, a redirect or an upload address of a registry, a layer's address in
    /// a manifest; and follow imports from `https` to `http`. Without it nobody out
    /// there can make the component read what only this network can reach.
    pub allow_unsafe_redirects: bool,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            store: PathBuf::from("strata-store"),
            platform: None,
            mirrors: Vec::new(),
            insecure_registries: Vec::new(),
            certificate_authorities: Vec::new(),
            allowed_registries: None,
            allow_unsafe_redirects: false,
            limits: Limits::default(),
        }
    }
}

/// Bounds on what the component uses.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Linear memory of one instance in bytes, 4 MiB to 4 GiB. A listing of 2,000 images needs
    /// about 32 MiB.
    pub memory: u64,
    /// Linear memory of all instances together in bytes; `None` is half of the machine's, and at
    /// most 4 GiB. What does not fit waits, and is told to come again when that takes long.
    pub total_memory: Option<u64>,
    /// Processor time of one operation. What moving its bytes costs is not counted.
    pub compute: Duration,
    /// How long a client may neither send what it has begun nor read what it asked for, and how long
    /// a connection is kept on which nothing is asked.
    pub stall: Duration,
    /// Layers one pull fetches at once, 1 to 64.
    pub parallel_layers: u8,
    /// Check diff-ids before a pull ends instead of right after it.
    pub verify_diff_ids_first: bool,
    /// Client connections served at once, at most half as many as this process may have files open.
    /// For a further one an idle one is closed, or it waits.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 512 << 20,
            total_memory: None,
            compute: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            parallel_layers: 4,
            verify_diff_ids_first: false,
            connections: 4096,
        }
    }
}
