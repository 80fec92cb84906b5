//! `strata inspect`: the documents of the engine's own Docker face, so that their shape has one
//! home.

use anyhow::Context as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;
use strata::Engine;
use strata::types::Platform;

use super::arguments::Inspect;
use super::terminal::Terminal;
use super::{Outcome, json};

/// What need not be escaped in a path, and is easier to read in a log unescaped.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'/')
    .remove(b':')
    .remove(b'@');

/// Prints an array with the images and containers that are there, and a line on stderr for each other one.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Inspect,
    platform: Option<Platform>,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let mut documents = Vec::new();
    let mut outcome = Outcome::Done;
    for name in &arguments.names {
        let (mut status, mut body) = engine
            .request("GET", &path(name, platform.as_ref()))
            .await?;
        if status == 404 && platform.is_none() {
            let container = engine.request("GET", &container_path(name)).await?;
            // Where there is neither, it is the image that is missing. One that cannot be read is there.
            if container.0 != 404 {
                (status, body) = container;
            }
        }
        if status == 200 {
            documents.push(body);
        } else {
            outcome = Outcome::Failed;
            terminal.notice(format_args!("strata: {}", message(status, &body)));
        }
    }
    let text = json::array(&documents).context("the engine answered with invalid JSON")?;
    terminal.text(&text)?;
    Ok(outcome)
}

fn container_path(name: &str) -> String {
    format!("/containers/{}/json", utf8_percent_encode(name, IN_PATH))
}

fn path(name: &str, platform: Option<&Platform>) -> String {
    let name = utf8_percent_encode(name, IN_PATH);
    let Some(platform) = platform else {
        return format!("/images/{name}/json");
    };
    let mut document = json!({ "os": platform.os, "architecture": platform.architecture });
    if let Some(variant) = &platform.variant {
        document["variant"] = json!(variant);
    }
    let document = document.to_string();
    let document = utf8_percent_encode(&document, NON_ALPHANUMERIC);
    format!("/images/{name}/json?platform={document}")
}

/// The sentence in an error body.
fn message(status: u16, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        message: String,
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.message,
        Err(_) => format!("the engine answered with status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::platform;

    #[test]
    fn names_and_platforms_are_escaped() {
        assert_eq!(
            path("ghcr.io/o/a:1@sha256:0", None),
            "/images/ghcr.io/o/a:1@sha256:0/json"
        );
        assert_eq!(path("a b?c#d%", None), "/images/a%20b%3Fc%23d%25/json");
        let arm = platform::parse("linux/arm/v6").unwrap();
        let expected = "/images/a/json?platform=%7B%22architecture%22%3A%22arm%22%2C\
                        %22os%22%3A%22linux%22%2C%22variant%22%3A%22v6%22%7D";
        assert_eq!(path("a", Some(&arm)), expected);
    }

    #[test]
    fn the_engines_own_sentence_is_shown() {
        assert_eq!(
            message(404, br#"{"message":"No such image: a:latest"}"#),
            "No such image: a:latest"
        );
        assert_eq!(message(500, b"oops"), "the engine answered with status 500");
    }
}
