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
/// The most features the platform of one image demands.
pub const MAX_PLATFORM_FEATURES: usize = 64;
/// The most bytes of a word of a platform: its system, its architecture, a feature. The longest known have some twenty.
/// Listings have them of every image.
pub const MAX_PLATFORM_WORD: usize = 256;
/// The most bytes of a media type: its two names have 127 at most (RFC 6838, 4.2), parameters are not used. Names have
/// that of their target.
pub const MAX_MEDIA_TYPE: usize = 1024;
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
    /// Whether they are the bytes of a text, each time anew.
    pub(super) is_of_text: bool,
}

/// The position among [`LIMITS`] of what a newtype's name names.
pub(super) fn find(name: &str) -> Option<usize> {
    LIMITS.iter().position(|limit| limit.name == name)
}

macro_rules! limits {
    ($($function:ident $what:literal $most:expr, $is_of_text:literal;)*) => {
        /// Every limit.
        pub(super) static LIMITS: &[Limit] = &[
            $(Limit {
                name: concat!("$strata::limits::", stringify!($function)),
                what: $what,
                most: $most,
                is_of_text: $is_of_text,
            },)*
        ];
        $(
            /// Reads a list, map or text of bounded size; `null` is an empty one, or none.
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
    history "history entries" MAX_HISTORY, false;
    diff_ids "diff-ids" MAX_CHILDREN, false;
    labels "labels" MAX_LABELS, false;
    annotations "annotations" MAX_ANNOTATIONS, false;
    urls "addresses" MAX_URLS, false;
    features "os.features" MAX_FEATURES, false;
    platform_features "os.features" MAX_PLATFORM_FEATURES, false;
    media_type "bytes in a media type" MAX_MEDIA_TYPE, true;
    platform_word "bytes in a word of a platform" MAX_PLATFORM_WORD, true;
    env "environment variables" MAX_WORDS, false;
    cmd "words of the command" MAX_WORDS, false;
    entrypoint "words of the entrypoint" MAX_WORDS, false;
    shell "words of the shell" MAX_WORDS, false;
    on_build "triggers" MAX_WORDS, false;
    test "words of the health check" MAX_WORDS, false;
    ports "exposed ports" MAX_PORTS, false;
    volumes "volumes" MAX_VOLUMES, false;
}

struct Limited<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Limited<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list, an object or a string")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or_default())
    }
}
