//! The grammar of <https://github.com/distribution/reference>, character by character; it knows no defaults.

use super::MAX_TAG_LEN;

/// Fewer hexadecimal characters than this are not taken for a digest at all.
const MIN_DIGEST_HEX: usize = 32;

/// The pieces of a text that follows the grammar; a first segment that can be no host belongs to the path.
pub(super) struct Parts<'a> {
    pub(super) domain: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) tag: Option<&'a str>,
    /// What looks like a digest; whether it is one, `Digest::parse` says.
    pub(super) digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Takes `[name][:tag][@digest]` apart; `None` if it does not follow the grammar.
    pub(super) fn scan(text: &'a str) -> Option<Self> {
        // '@' occurs nowhere but before the digest; a ':' after the last '/' only before the tag.
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest_like(digest) => (rest, Some(digest)),
            Some(_) => return None,
            None => (text, None),
        };
        let last_segment = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last_segment..].find(':') {
            Some(colon) => {
                let (name, tag) = rest.split_at(last_segment + colon);
                (name, Some(tag.strip_prefix(':')?))
            }
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        let (domain, path) = match name.split_once('/') {
            Some((first, path)) if is_domain(first) => (Some(first), path),
            _ => (None, name),
        };
        path.split('/').all(is_component).then_some(Self {
            domain,
            path,
            tag,
            digest,
        })
    }
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
pub(super) fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_TAG_LEN
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// `[a-z0-9]+` runs joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edge = |b: Option<u8>| b.is_some_and(alphanumeric);
    edge(text.bytes().next())
        && edge(text.bytes().last())
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|gap| {
                matches!(gap, "" | "." | "_" | "__")
                    || !gap.is_empty() && gap.bytes().all(|b| b == b'-')
            })
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(literal) => {
            let Some((address, rest)) = literal.split_once(']') else {
                return false;
            };
            let hex_or_colon = |b: u8| b.is_ascii_hexdigit() || b == b':';
            if address.is_empty() || !address.bytes().all(hex_or_colon) {
                return false;
            }
            match rest.strip_prefix(':') {
                Some(port) => (None, Some(port)),
                None if rest.is_empty() => (None, None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    host.is_none_or(|host| host.split('.').all(is_label))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// A DNS label as the grammar has it: of any length, no hyphen at either end.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The reference grammar's view of a digest: wider than [`Digest::parse`], which then says what is wrong.
fn is_digest_like(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return false;
    };
    algorithm.split(['-', '_', '+', '.']).all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    }) && encoded.len() >= MIN_DIGEST_HEX
        && encoded.bytes().all(|b| b.is_ascii_hexdigit())
}
