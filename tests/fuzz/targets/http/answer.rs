//! What every answer must be.

use http::{
    Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use serde_json::Value;

use crate::{client::Answer, script::Asked};

/// Where dockerd, too, says 500 to what a client or a registry did.
const AS_DOCKERD: [&str; 4] = [
    "no basic auth credentials",
    "content does not match its digest",
    "http: no Host in request URL",
    "is not paused",
];

/// Checks `answer`; a registry can be to blame only if one was asked, and the disk only if it is bad.
pub(crate) fn check(asked: &Asked, answer: &Answer, was_online: bool, is_harmed: bool) {
    let line = format!("{} {}", asked.method, asked.path_and_query);
    let (code, text) = (answer.code(), answer.text());
    let shown: String = text.chars().take(2000).collect();
    let shown = format!("{line}: {code} {shown}");
    assert!(code != 0 || answer.left, "{shown}: no answer");
    let header = |name| answer.headers.get(name).and_then(|it| it.to_str().ok());
    if let Some(length) = header(CONTENT_LENGTH)
        && !answer.left
        && !answer.aborted
    {
        assert_eq!(length, answer.body.len().to_string(), "{shown}");
    }
    match code {
        // The answer to a HEAD has no text.
        500 if is_harmed && (text.contains("damaged") || asked.method == Method::HEAD) => {}
        500 => assert!(AS_DOCKERD.iter().any(|it| text.contains(it)), "{shown}"),
        502..=504 => assert!(was_online, "{shown}"),
        501 => {}
        _ => assert!(code < 500, "{shown}"),
    }
    let content_type = header(CONTENT_TYPE).unwrap_or_default();
    if answer.aborted || answer.left {
        return;
    }
    if code >= 400 && asked.method == Method::HEAD {
        assert!(answer.body.is_empty(), "{shown}");
    } else if code >= 400 && content_type == "application/json" {
        let error: Value = serde_json::from_slice(&answer.body).expect(&shown);
        let members = error.as_object().map_or(0, |it| it.len());
        let message = error["message"].as_str().unwrap_or_default();
        assert!(members == 1 && !message.is_empty(), "{shown}");
        check_printable(message, &shown);
    } else if code >= 400 {
        // To clients of before 1.24.
        assert!(content_type.starts_with("text/plain"), "{shown}");
        assert!(!text.trim().is_empty(), "{shown}");
    } else if content_type == "application/json" {
        let values = serde_json::Deserializer::from_slice(&answer.body).into_iter::<Value>();
        for value in values {
            let value = value.expect(&shown);
            if let Some(message) = value["errorDetail"]["message"].as_str() {
                check_printable(message, &shown);
            }
        }
    } else if content_type == "application/x-tar" {
        assert_eq!(answer.body.len() % 512, 0, "{line}");
        assert!(answer.body.ends_with(&[0; 1024]), "{line}");
    }
}

/// People see messages at a terminal.
fn check_printable(message: &str, shown: &str) {
    let drives = |it: char| it.is_control() && it != '\n';
    assert!(!message.contains(drives), "{shown:?}");
}
