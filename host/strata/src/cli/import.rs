//! `strata import`.

use std::path::Path;

use serde_json::json;
use strata::Engine;
use strata::types::{ImportOptions, Platform};

use super::Outcome;
use super::arguments::Import;
use super::input::Input;
use super::shown::Shown;
use super::terminal::Terminal;
use super::wording::Work;

/// Makes an image from a tar and prints its ID.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Import,
    platform: Option<Platform>,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let format = arguments.printing.format;
    let shown = Shown::new(Work::Import, format, arguments.quiet, terminal);
    let imported = async {
        let options = ImportOptions {
            reference: arguments.reference,
            message: arguments.message,
            platform,
            changes: arguments.change,
        };
        let path = match Source::of(&arguments.source) {
            Source::Url(url) => {
                return Ok(engine.import_url(url, options, shown.listener()).await?);
            }
            Source::Stdin => None,
            Source::File(path) => Some(path),
        };
        let input = Input::open(path, terminal).await?;
        let root = shown.meter(input.size).around(input.reader);
        Ok(engine.import(root, options, shown.listener()).await?)
    }
    .await;
    shown.conclude(imported, |id| json!(id), |id| format!("{id}\n"))?;
    Ok(Outcome::Done)
}

/// Where the tar is.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    Stdin,
    Url(&'a str),
    File(&'a Path),
}

impl Source<'_> {
    fn of(text: &str) -> Source<'_> {
        let is_url = |scheme: &str| {
            let start = text.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        match text {
            "-" => Source::Stdin,
            _ if is_url("http://") || is_url("https://") => Source::Url(text),
            _ => Source::File(Path::new(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_stdin_a_url_or_a_file() {
        for (text, source) in [
            ("-", Source::Stdin),
            ("http://a/b.tar", Source::Url("http://a/b.tar")),
            ("HTTPS://a", Source::Url("HTTPS://a")),
            ("http:", Source::File(Path::new("http:"))),
            ("ftp://a", Source::File(Path::new("ftp://a"))),
            ("ü.tar", Source::File(Path::new("ü.tar"))),
            ("./-", Source::File(Path::new("./-"))),
        ] {
            assert_eq!(Source::of(text), source, "{text}");
        }
    }
}
