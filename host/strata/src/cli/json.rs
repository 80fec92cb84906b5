//! Lays out JSON text without reading it into values, so that key order and number spelling stay
//! as the engine wrote them.

use serde::de::IgnoredAny;

/// What docker indents by.
const INDENT: &str = "    ";

/// Lays out an array of documents over several lines, ended by a line break.
///
/// # Errors
///
/// If one is not JSON.
pub(crate) fn array(documents: &[Vec<u8>]) -> Result<String, serde_json::Error> {
    let mut joined = Vec::from(b"[");
    for (index, document) in documents.iter().enumerate() {
        serde_json::from_slice::<IgnoredAny>(document)?;
        if index > 0 {
            joined.push(b',');
        }
        joined.extend_from_slice(document);
    }
    joined.push(b']');
    Ok(spread(&String::from_utf8_lossy(&joined)))
}

/// Puts every member of a valid document on its own line.
fn spread(text: &str) -> String {
    let mut spread = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if in_string {
            spread.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            c if c.is_whitespace() => {}
            '{' | '[' => {
                spread.push(c);
                while rest.next_if(|next| next.is_whitespace()).is_some() {}
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => spread.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut spread, depth);
                    }
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut spread, depth);
                spread.push(c);
            }
            ',' => {
                spread.push(c);
                new_line(&mut spread, depth);
            }
            ':' => spread.push_str(": "),
            c => {
                in_string = c == '"';
                spread.push(c);
            }
        }
    }
    spread.push('\n');
    spread
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n(INDENT, depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_spelling() {
        let document = br#"{"b": [1.50, {}, [ ]], "a":"x, {\"y\": [1]} \\" }"#.to_vec();
        let text = array(std::slice::from_ref(&document)).unwrap();
        let expected = r#"[
    {
        "b": [
            1.50,
            {},
            []
        ],
        "a": "x, {\"y\": [1]} \\"
    }
]
"#;
        assert_eq!(text, expected);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value[0],
            serde_json::from_slice::<serde_json::Value>(&document).unwrap()
        );
    }

    #[test]
    fn no_documents_are_an_empty_array() {
        assert_eq!(array(&[]).unwrap(), "[]\n");
        assert!(array(&[b"{".to_vec()]).is_err());
    }
}
