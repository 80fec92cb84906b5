//! Lays out JSON text without reading it into values, so that keys keep their order.

use serde::Serializer as _;
use serde_json::Deserializer;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_transcode::Transcoder;

/// What docker indents by.
const INDENT: &[u8] = b"    ";

/// Lays out an array of documents over several lines, ended by a line break.
///
/// # Errors
///
/// If one is not JSON.
pub(crate) fn array(documents: &[Vec<u8>]) -> Result<String, serde_json::Error> {
    let readers = documents.iter();
    let mut readers: Vec<_> = readers.map(|it| Deserializer::from_slice(it)).collect();
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(INDENT);
    Serializer::with_formatter(&mut text, formatter)
        .collect_seq(readers.iter_mut().map(Transcoder::new))?;
    for reader in &mut readers {
        reader.end()?;
    }
    text.push(b'\n');
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order() {
        let document =
            br#"{"b": [1.5, {}, [ ], 18446744073709551615], "a":"x, {\"y\": [1]} \\" }"#.to_vec();
        let text = array(std::slice::from_ref(&document)).unwrap();
        let expected = r#"[
    {
        "b": [
            1.5,
            {},
            [],
            18446744073709551615
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
        for broken in ["{", "", "1,2", "1]", "[[]"] {
            assert!(array(&[broken.into()]).is_err(), "{broken}");
        }
    }
}
