//! Quoting as Go's `%q` does it: error texts are part of the wire contract (docker §1.3) and name the
//! caller's value in this form.

use std::fmt::Write as _;

/// `text` in double quotes, with quotes, backslashes and unprintable characters escaped.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            '\x07' => write!(quoted, "\\a"),
            '\x08' => write!(quoted, "\\b"),
            '\x0c' => write!(quoted, "\\f"),
            '\n' => write!(quoted, "\\n"),
            '\r' => write!(quoted, "\\r"),
            '\t' => write!(quoted, "\\t"),
            '\x0b' => write!(quoted, "\\v"),
            '\0'..='\x1f' | '\x7f' => write!(quoted, "\\x{:02x}", u32::from(c)),
            _ if c == '\'' || c.escape_debug().len() == 1 => write!(quoted, "{c}"),
            _ if u32::from(c) > 0xffff => write!(quoted, "\\U{:08x}", u32::from(c)),
            _ => write!(quoted, "\\u{:04x}", u32::from(c)),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_like_go() {
        for (text, expected) in [
            ("plain/ü'", r#""plain/ü'""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("\n\t\0\x7f", r#""\n\t\x00\x7f""#),
            ("\u{200b}\u{e0001}", r#""\u200b\U000e0001""#),
        ] {
            assert_eq!(quote(text), expected);
        }
    }
}
