//! Deserialisers that read JSON `null` as "absent", as Go's decoder does: images written by Go tools
//! carry `null` wherever a list, map or string was empty.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use crate::json::limits;

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
    Ok(Option::deserialize(deserializer)?.and_then(filled))
}

/// Reads a media type; `null` as an empty one.
pub(crate) fn media_type<'de, D>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    limits::media_type(deserializer)
}

/// Reads a media type; `null` and `""` as `None`.
pub(crate) fn non_empty_media_type<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(filled(media_type(deserializer)?))
}

/// Reads a word of a platform; `null` as an empty one.
pub(crate) fn word<'de, D>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    limits::platform_word(deserializer)
}

/// Reads a word of a platform; `null` and `""` as `None`.
pub(crate) fn non_empty_word<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(filled(word(deserializer)?))
}

/// Reads the features a platform of an index demands.
pub(crate) fn features<'de, D>(deserializer: D) -> Result<Vec<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(words(limits::features(deserializer)?))
}

/// Reads the features the platform of an image demands.
pub(crate) fn platform_features<'de, D>(deserializer: D) -> Result<Vec<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(words(limits::platform_features(deserializer)?))
}

/// The text, unless it is empty.
fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn words(words: Vec<Word>) -> Vec<String> {
    words.into_iter().map(|Word(word)| word).collect()
}

/// A word of a platform.
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(deserializer).map(Self)
    }
}

/// Reads `Cmd`, which was once written as one string.
pub(crate) fn cmd<'de, D>(deserializer: D) -> Result<Option<Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    let words: Option<Words> = limits::cmd(deserializer)?;
    Ok(words.map(|Words(words)| words))
}

/// The same for `Entrypoint`.
pub(crate) fn entrypoint<'de, D>(deserializer: D) -> Result<Option<Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    let words: Option<Words> = limits::entrypoint(deserializer)?;
    Ok(words.map(|Words(words)| words))
}

/// A list of strings, or one string as a list of one.
struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings or a string")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Words, E> {
        Ok(Words(vec![word.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(Words(words))
    }
}
