//! How a store is opened.

use std::time::Duration;

use strata_codec::DecoderMemory;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Never write, even where it were possible. Default: false.
    pub read_only: bool,
    /// How long to wait for another process's database transaction before [`Error::Locked`](crate::Error::Locked).
    /// Default: 10 s, far longer than any of them takes.
    pub busy_timeout: Duration,
    /// How long to wait for a lock of the store, other than a database's, before [`Error::Locked`](crate::Error::Locked).
    /// Default: 5 s. Each is held for milliseconds, or seconds by a process that is starved; who
    /// holds one for longer hangs, and people want to know who that is.
    pub lock_timeout: Duration,
    /// How long `index.json` may lag behind the names. Default: 50 ms.
    pub projection_delay: Duration,
    /// Whether queued diff-ids are checked in the background. Default: true.
    pub background_checks: bool,
    /// The memory of the decoders that look into layers. Default: a small one of the store's own.
    pub decoders: DecoderMemory,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            read_only: false,
            busy_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            projection_delay: Duration::from_millis(50),
            background_checks: true,
            decoders: DecoderMemory::default(),
        }
    }
}
