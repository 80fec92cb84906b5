//! What a string says: escapes undone, and what no text may have replaced as Go does.

use std::borrow::Cow;

/// Stands for what is no character.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The text of a string of a document that has been checked, given what is between its quotes.
pub(super) fn text(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\')
        && let Ok(text) = std::str::from_utf8(raw)
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while !rest.is_empty() {
        let plain = rest.iter().position(|byte| *byte == b'\\');
        let (plain, escaped) = rest.split_at(plain.unwrap_or(rest.len()));
        push(&mut text, plain);
        rest = match escaped {
            [_, b'u', after @ ..] => escape(&mut text, after),
            [_, short, after @ ..] => {
                text.push(match short {
                    b'b' => '\u{8}',
                    b'f' => '\u{c}',
                    b'n' => '\n',
                    b'r' => '\r',
                    b't' => '\t',
                    // Quote, backslash and slash stand for themselves.
                    other => char::from(*other),
                });
                after
            }
            _ => &[],
        };
    }
    Cow::Owned(text)
}

/// Bytes as text: each byte that belongs to no character becomes a replacement.
pub(super) fn push(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| REPLACEMENT));
    }
}

/// The character of a `\u` escape whose digits `bytes` begins with, and what follows it.
fn escape<'a>(text: &mut String, bytes: &'a [u8]) -> &'a [u8] {
    let Some((unit, rest)) = unit(bytes) else {
        return &[];
    };
    if !(0xd800..0xe000).contains(&unit) {
        text.push(char::from_u32(unit).unwrap_or(REPLACEMENT));
        return rest;
    }
    // Half of a pair; on its own it is no character.
    if unit < 0xdc00
        && let Some(second) = rest.strip_prefix(b"\\u")
        && let Some((low @ 0xdc00..0xe000, after)) = self::unit(second)
    {
        let character = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        text.push(char::from_u32(character).unwrap_or(REPLACEMENT));
        return after;
    }
    text.push(REPLACEMENT);
    rest
}

/// The number of four hexadecimal digits, and what follows.
fn unit(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}
