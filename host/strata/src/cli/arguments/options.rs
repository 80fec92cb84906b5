//! The options every command has.

use std::path::PathBuf;

use clap::Args;

use super::Serve;
use crate::cli::settings::Mirror;
use crate::cli::size::ByteCount;

/// Options of every command. All are optional here because the settings file may hold them.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Settings (option > environment > settings file > default)")]
pub(crate) struct Options {
    /// Settings file [default: $XDG_CONFIG_HOME/strata/config.toml, if it exists]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "STRATA_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,

    /// Folder of the store [default: $XDG_DATA_HOME/strata]
    ///
    /// An OCI image layout; created if it is missing. Without $XDG_DATA_HOME it is
    /// ~/.local/share/strata. Several strata processes may use one store at the same time.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "STRATA_STORE",
        hide_env_values = true
    )]
    pub(crate) store: Option<PathBuf>,

    /// Platform images are chosen for, OS/ARCH[/VARIANT] [default: this machine's]
    ///
    /// Typed on the command line it asks for exactly this platform, and the command fails where
    /// an image does not have it. `pull`, `save` and `load` take it several times.
    #[arg(
        long,
        global = true,
        value_name = "PLATFORM",
        env = "STRATA_PLATFORM",
        hide_env_values = true
    )]
    pub(crate) platform: Option<Vec<String>>,

    /// Whether the platform was typed, rather than set in the environment.
    #[arg(skip)]
    pub(crate) platform_is_typed: bool,

    /// Try this mirror before the registry itself; repeat for more
    ///
    /// For example `--mirror docker.io=http://127.0.0.1:5000`. Several mirrors of one registry
    /// are tried in the order given. Used by pulls only.
    #[arg(
        long,
        global = true,
        value_name = "REGISTRY=URL",
        env = "STRATA_MIRROR",
        hide_env_values = true
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) mirror: Option<Vec<Mirror>>,

    /// Allow plain HTTP to this registry; repeat for more
    ///
    /// Registries on this machine (127.0.0.0/8, ::1, localhost) may use it anyway.
    #[arg(
        long,
        global = true,
        value_name = "HOST[:PORT]",
        env = "STRATA_INSECURE_REGISTRY",
        hide_env_values = true
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) insecure_registry: Option<Vec<String>>,

    /// Also trust the certificate authorities in this PEM file; repeat for more
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "STRATA_CA",
        hide_env_values = true,
        hide_short_help = true,
        value_delimiter = ','
    )]
    pub(crate) ca: Option<Vec<PathBuf>>,

    /// Let the engine reach only this registry; repeat for more [default: any]
    ///
    /// Registries send clients to other hosts for tokens and for layers: list those, too.
    #[arg(
        long,
        global = true,
        value_name = "HOST[:PORT]",
        env = "STRATA_ALLOW_REGISTRY",
        hide_env_values = true,
        hide_short_help = true
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) allow_registry: Option<Vec<String>>,

    /// Ask private addresses that a server or a manifest out there names
    ///
    /// That is redirects of `import`, and what a registry names for tokens, layers and uploads;
    /// and redirects of `import` from https to http. Without it a registry in a private network
    /// may name addresses there, others may not, so that nobody on the internet can have something
    /// fetched that only this network can reach.
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        env = "STRATA_ALLOW_UNSAFE_REDIRECTS",
        hide_env_values = true,
        hide_short_help = true
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) allow_unsafe_redirects: Option<bool>,

    /// Layers that one pull fetches at once, 1 to 64 [default: 4]
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        env = "STRATA_PARALLEL_LAYERS",
        hide_env_values = true,
        hide_short_help = true
    )]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) parallel_layers: Option<u8>,

    /// Compare layers with the image config before a pull ends [default: right after]
    ///
    /// The digest of every downloaded blob is always checked before it is kept. This is about
    /// the digests of the *unpacked* layers, whose computation takes longer than the download.
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        env = "STRATA_VERIFY_DIFF_IDS_FIRST",
        hide_env_values = true,
        hide_short_help = true
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) verify_diff_ids_first: Option<bool>,

    /// Memory one instance of the sandbox may use [default: 512MiB]
    #[arg(
        long,
        global = true,
        value_name = "BYTES",
        env = "STRATA_MEMORY_LIMIT",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(crate) memory_limit: Option<ByteCount>,

    /// Memory all instances and decoders may use together [default: half of the machine's, at most 4GiB]
    ///
    /// An operation that finds no room waits for it. When that takes long, clients are told to come
    /// again.
    #[arg(
        long,
        global = true,
        value_name = "BYTES",
        env = "STRATA_TOTAL_MEMORY_LIMIT",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(crate) total_memory_limit: Option<ByteCount>,

    /// Processor time one operation may take in the sandbox [default: 60]
    ///
    /// What moving its bytes costs is not counted, so that an image is never too large.
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        env = "STRATA_COMPUTE_LIMIT",
        hide_env_values = true,
        hide_short_help = true
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) compute_limit: Option<u32>,

    /// How long a client may neither send nor read in the middle of a request [default: 60]
    ///
    /// While others wait for its place it is 2 seconds. A connection on which nothing is asked is
    /// kept as long.
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        env = "STRATA_STALL_LIMIT",
        hide_env_values = true,
        hide_short_help = true
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) stall_limit: Option<u32>,

    /// Client connections served at once [default: 4096]
    ///
    /// For a further one the connection is closed that has been idle for longest; where none is
    /// idle, it waits.
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        env = "STRATA_CONNECTIONS",
        hide_env_values = true,
        hide_short_help = true
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: Option<u32>,

    /// Engine component to run instead of the built-in one
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "STRATA_COMPONENT",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(crate) component: Option<PathBuf>,

    /// What to log to stderr: off, error, warn, info, debug or trace [default: warn]
    ///
    /// Levels may differ by module: `info,strata_store=debug`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "STRATA_LOG",
        hide_env_values = true
    )]
    pub(crate) log: Option<String>,

    /// The options of `serve`, kept with the others they are resolved with.
    #[arg(skip)]
    pub(crate) serve: Serve,
}
