//! The settings file: TOML, with one key per option of the same name.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Deserializer, de};
use strata::Listener;

use super::settings::Mirror;
use super::size::ByteCount;

/// What a settings file can say. A key that is not here is an error, because a misspelt key
/// that is ignored looks like a setting that does not work.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct SettingsFile {
    pub(crate) store: Option<PathBuf>,
    #[serde(deserialize_with = "parsed_list")]
    pub(crate) listen: Option<Vec<Listener>>,
    pub(crate) allow_host: Option<Vec<String>>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) tls_client_ca: Option<PathBuf>,
    pub(crate) platform: Option<String>,
    #[serde(deserialize_with = "parsed_list")]
    pub(crate) mirror: Option<Vec<Mirror>>,
    pub(crate) insecure_registry: Option<Vec<String>>,
    pub(crate) ca: Option<Vec<PathBuf>>,
    pub(crate) allow_registry: Option<Vec<String>>,
    pub(crate) allow_unsafe_redirects: Option<bool>,
    #[serde(deserialize_with = "layer_count")]
    pub(crate) parallel_layers: Option<u8>,
    pub(crate) verify_diff_ids_first: Option<bool>,
    #[serde(deserialize_with = "byte_count")]
    pub(crate) memory_limit: Option<ByteCount>,
    #[serde(deserialize_with = "byte_count")]
    pub(crate) total_memory_limit: Option<ByteCount>,
    #[serde(deserialize_with = "second_count")]
    pub(crate) compute_limit: Option<u32>,
    #[serde(deserialize_with = "second_count")]
    pub(crate) stall_limit: Option<u32>,
    #[serde(deserialize_with = "connection_count")]
    pub(crate) connections: Option<u32>,
    pub(crate) component: Option<PathBuf>,
    pub(crate) log: Option<String>,
}

impl SettingsFile {
    /// Reads a file. One that was only looked for by default may be absent.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not TOML, or has a key or value that means nothing. The
    /// message has the line and the key.
    pub(crate) fn read(path: &Path, required: bool) -> anyhow::Result<SettingsFile> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => {
                return Ok(SettingsFile::default());
            }
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        Self::parse(&text).with_context(|| format!("settings file {}", path.display()))
    }

    /// Parses the text of a file.
    pub(crate) fn parse(text: &str) -> anyhow::Result<SettingsFile> {
        // The message is several lines; its last line break would leave an empty one.
        toml::from_str(text).map_err(|error| anyhow::anyhow!("{}", error.to_string().trim_end()))
    }
}

fn parsed_list<'de, D, T>(source: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let texts = Vec::<String>::deserialize(source)?;
    let values = texts
        .iter()
        .map(|text| text.parse().map_err(de::Error::custom));
    values.collect::<Result<_, _>>().map(Some)
}

fn layer_count<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u8>, D::Error> {
    match u8::deserialize(source)? {
        count @ 1..=64 => Ok(Some(count)),
        count => Err(de::Error::custom(format!("{count} is not in 1 to 64"))),
    }
}

fn connection_count<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u32>, D::Error> {
    match u32::deserialize(source)? {
        0 => Err(de::Error::custom("a server needs at least 1 connection")),
        count => Ok(Some(count)),
    }
}

fn second_count<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u32>, D::Error> {
    match u32::deserialize(source)? {
        0 => Err(de::Error::custom("a limit is at least 1 second")),
        count => Ok(Some(count)),
    }
}

/// Takes `"512MiB"` and a plain number.
fn byte_count<'de, D: Deserializer<'de>>(source: D) -> Result<Option<ByteCount>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected bytes, such as 536870912 or \"512MiB\""
    )]
    enum Spelling {
        Number(u64),
        Text(String),
    }
    match Spelling::deserialize(source)? {
        Spelling::Number(bytes) => Ok(Some(ByteCount(bytes))),
        Spelling::Text(text) => text.parse().map(Some).map_err(de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::manual;

    #[test]
    fn the_example_in_the_help_is_valid_and_has_every_key() {
        let example: String = manual::STRATA
            .lines()
            .skip_while(|line| !line.contains("config.toml, every key"))
            .take_while(|line| !line.is_empty())
            .map(|line| format!("{}\n", line.trim()))
            .collect();
        let file = SettingsFile::parse(&example).unwrap();
        assert_eq!(file.memory_limit, Some(ByteCount(512 << 20)));
        assert!(!format!("{file:?}").contains("None"), "{file:?}");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = SettingsFile::parse("store = \"/s\"\nstoer = \"/t\"\n").unwrap_err();
        let message = format!("{error:#}");
        assert!(message.contains("unknown field `stoer`"), "{message}");
        assert!(message.contains("line 2"), "{message}");
    }

    #[test]
    fn a_bad_value_is_named_with_its_key() {
        for (text, word) in [
            ("parallel-layers = 0", "1 to 64"),
            ("connections = 0", "at least 1"),
            ("compute-limit = 0", "at least 1"),
            ("stall-limit = \"1m\"", "u32"),
            ("total-memory-limit = \"lots\"", "lots"),
            ("stall-limit = 0", "at least 1"),
            ("memory-limit = \"lots\"", "lots"),
            ("memory-limit = true", "512MiB"),
            ("mirror = [\"docker.io\"]", "REGISTRY=URL"),
            ("listen = [\"ftp://x\"]", "ftp://x"),
        ] {
            let message = format!("{:#}", SettingsFile::parse(text).unwrap_err());
            let key = text.split(' ').next().unwrap();
            assert!(message.contains(word) && message.contains(key), "{message}");
        }
    }

    #[test]
    fn only_a_file_that_was_asked_for_must_exist() {
        let missing = Path::new("/nonexistent/strata.toml");
        assert!(SettingsFile::read(missing, false).unwrap().store.is_none());
        assert!(SettingsFile::read(missing, true).is_err());
    }
}
