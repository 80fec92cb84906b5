//! How many of something a document may have. Without, a few megabytes of `{},{},…` would be hundreds of them in memory.
//!
//! A limit holds for a whole document: the annotations of all descriptors in it are counted together. A member has one by
//! `deserialize_with`: its function here tells [`super::value::Value`] which, in the name of a newtype, the one thing that
//! `serde` passes on. Other deserialisers ignore it.

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, de::Visitor};

use crate::document::MAX_CHILDREN;

/// The most history entries of a config. The longest known have some thousands, most below a hundred.
pub const MAX_HISTORY: usize = 16_384;
/// The most labels of an image. Few have more than thirty; those written by programs have some hundreds. So many take
/// some forty MiB of memory beside their texts, and what copies them stays below the memory of an instance.
pub const MAX_LABELS: usize = 600_000;
/// The most annotations of a document and of the descriptors in it: eight for each of the most children it may have.
/// Layers that can be read lazily have five each.
pub const MAX_ANNOTATIONS: usize = 8 * MAX_CHILDREN;
/// The most addresses of the foreign layers of a manifest: as many as layers.
pub const MAX_URLS: usize = MAX_CHILDREN;
/// The most features all platforms in a document demand: as many as children. Known is one, `win32k`.
pub const MAX_FEATURES: usize = MAX_CHILDREN;
/// The most words of environment, command, entrypoint, shell, triggers and health check of a config, each.
/// Linux takes 2 MiB of them in all, and no image is known that has a thousand.
pub const MAX_WORDS: usize = 16_384;
/// The most ports of a config: each of 65,536 by each of three protocols.
pub const MAX_PORTS: usize = 3 * 65_536;
/// The most volumes of a config. Mounts have a limit of 100,000 for a whole machine; images have a handful.
pub const MAX_VOLUMES: usize = 4096;

/// One limit.
pub(super) struct Limit {
    /// What names it.
    name: &'static str,
    /// What is counted, for people.
    pub(super) what: &'static str,
    /// The most of them.
    pub(super) most: usize,
}

/// The position among [`LIMITS`] of what a newtype's name names.
pub(super) fn find(name: &str) -> Option<usize> {
    LIMITS.iter().position(|limit| limit.name == name)
}

macro_rules! limits {
    ($($function:ident $what:literal $most:expr;)*) => {
        /// Every limit.
        pub(super) static LIMITS: &[Limit] = &[
            $(Limit {
                name: concat!("$strata::limits::", stringify!($function)),
                what: $what,
                most: $most,
            },)*
        ];
        $(
            /// Reads a list or map of bounded size; `null` is an empty one, or none.
            pub(crate) fn $function<'de, D, T>(deserializer: D) -> Result<T, D::Error>
            where
                D: Deserializer<'de>,
                T: Deserialize<'de> + Default,
            {
                let name = concat!("$strata::limits::", stringify!($function));
                deserializer.deserialize_newtype_struct(name, Limited(PhantomData))
            }
        )*
    };
}

limits! {
    history "history entries" MAX_HISTORY;
    diff_ids "diff-ids" MAX_CHILDREN;
    labels "labels" MAX_LABELS;
    annotations "annotations" MAX_ANNOTATIONS;
    urls "addresses" MAX_URLS;
    features "os.features" MAX_FEATURES;
    env "environment variables" MAX_WORDS;
    cmd "words of the command" MAX_WORDS;
    entrypoint "words of the entrypoint" MAX_WORDS;
    shell "words of the shell" MAX_WORDS;
    on_build "triggers" MAX_WORDS;
    test "words of the health check" MAX_WORDS;
    ports "exposed ports" MAX_PORTS;
    volumes "volumes" MAX_VOLUMES;
}

struct Limited<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Limited<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or_default())
    }
}
