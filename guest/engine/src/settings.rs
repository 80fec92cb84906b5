//! What the host decides for the engine.

use strata_oci::Platform;

use crate::Mirror;

/// See WIT's `settings.configuration`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// strata's version.
    pub version: String,
    /// The platform images are chosen for.
    pub platform: Platform,
    /// Tried in order, pulls only.
    pub mirrors: Vec<Mirror>,
    /// `host` or `host:port` that may be reached by plain HTTP besides loopback.
    pub insecure_registries: Vec<String>,
    /// Layers fetched at once by one pull, at least 1.
    pub parallel_layers: usize,
    /// Follow redirects of imports to private addresses and from `https` to `http`.
    pub allow_unsafe_redirects: bool,
    /// Check diff-ids before a pull ends.
    pub verify_diff_ids_first: bool,
}
