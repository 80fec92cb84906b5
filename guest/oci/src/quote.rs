//! Texts of others in texts of ours. Quoting is that of Go's `%q`: error texts are dockerd's, and name the caller's
//! value in this form.

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

/// `text` on one line and without what could drive a terminal: control characters, and those that change the direction
/// of writing or end a line.
pub fn printable(text: &str) -> String {
    let drives = |it: char| {
        it.is_control()
            || matches!(
                it,
                '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            )
    };
    text.replace(drives, " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{printable, quote};

    #[test]
    fn what_drives_a_terminal_is_not_passed_on() {
        let text = "a\u{1b}[31mb\r\nc\u{9b}d\u{202e}e\u{2066}f\u{2028}g ";
        assert_eq!(printable(text), "a [31mb  c d e f g");
    }

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
