//! Deserialisers that read JSON `null` as "absent", as Go's decoder does: images written by Go tools
//! carry `null` wherever a list, map or string was empty.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the type's default.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads `null` and `""` as `None`: Go has one empty string for both, and leaves it out when writing.
pub(crate) fn non_empty<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// Reads one string as a list of one: Docker's `Cmd` and `Entrypoint` were once written so.
pub(crate) fn string_or_list<'de, D>(deserializer: D) -> Result<Option<Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(
        Option::<Words>::deserialize(deserializer)?.map(|words| match words {
            Words::One(word) => vec![word],
            Words::Many(words) => words,
        }),
    )
}
