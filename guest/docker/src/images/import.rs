//! `POST /images/create` without `fromImage`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageCreate>

use std::cell::Cell;

use http::StatusCode;
use strata_engine::{ContentProgress, Event, Host, ImportOptions, ImportSource, Phase, Progress};
use strata_http::{Failures, Lines, Output, Query, RequestBody};

use super::{new_name, platform_specifier};
use crate::{
    Answer, Asked,
    failure::Failure,
    line::{Detail, Line},
};

/// The `fromSrc` which says that the root file system is the request's body.
const IN_BODY: &str = "-";

/// Whether a request to `/images/create` is an import, not a pull.
pub(crate) fn is_import(query: &Query) -> bool {
    query.text("fromImage").is_empty()
}

/// Whether such a request carries an archive.
pub(crate) fn has_archive(query: &Query) -> bool {
    is_import(query) && query.text("fromSrc") == IN_BODY
}

/// Imports an archive; what comes from a URL with progress.
///
/// # Errors
/// 400 for parameters, 500 for no source at all, as dockerd; the engine's, if nothing was sent yet.
pub(crate) async fn import<H: Host, W: Output>(
    asked: &Asked<'_, H>,
    body: RequestBody<H::Body>,
    output: &mut W,
) -> Answer {
    let (options, url) = options(asked)?;
    let source = match &url {
        Some(url) => ImportSource::Url(url.clone()),
        None => ImportSource::Body(body.stream().ok_or_else(Failure::not_streamed)?),
    };
    let lines = Lines::default();
    let display = Display {
        lines: &lines,
        url: url.as_deref(),
        has_begun: Cell::new(false),
    };
    let work = async {
        let id = asked.engine.import(source, &options, &display).await?;
        lines.push(Line::plain(id.to_string()));
        Ok(())
    };
    let headers = asked.growing("application/json");
    lines
        .follow(work, Failures::ByStatus, headers, output)
        .await??;
    Ok(None)
}

/// Reads the parameters; where the archive is, unless in the request's body.
fn options<H: Host>(asked: &Asked<'_, H>) -> Result<(ImportOptions, Option<String>), Failure> {
    let query = &asked.query;
    let platform = match asked.version.at_least(32) {
        true => platform_specifier(asked)?,
        false => None,
    };
    let reference = new_name(query)?;
    let source = query.text("fromSrc");
    if source.is_empty() {
        // What dockerd's HTTP client makes of an empty URL.
        let message = "Get \"http:\": http: no Host in request URL";
        return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message));
    }
    let message = match query.text("message") {
        // Without the query, which may hold a token: history travels with the image.
        "" => format!(
            "Imported from {}",
            source.split('?').next().unwrap_or_default()
        ),
        message => message.to_owned(),
    };
    let options = ImportOptions {
        reference,
        message: Some(message),
        platform,
        changes: query.all("changes").map(str::to_owned).collect(),
    };
    Ok((options, (source != IN_BODY).then(|| with_scheme(source))))
}

fn with_scheme(source: &str) -> String {
    match source.contains("://") {
        true => source.to_owned(),
        false => format!("http://{source}"),
    }
}

/// Words events as dockerd does.
struct Display<'a> {
    lines: &'a Lines<Line>,
    /// `None` is the request's body: its sender knows how far it is, and without lines a failure has its
    /// status.
    url: Option<&'a str>,
    has_begun: Cell<bool>,
}

impl Progress for Display<'_> {
    fn report(&self, event: Event) {
        let Some(url) = self.url else {
            return;
        };
        match event {
            Event::Content(content) => self.content(url, content),
            Event::Warning(text) => self.lines.push(Line::warning(&text)),
            // Said by the result, or of no concern to an import.
            Event::Resolved(_)
            | Event::Blob(_)
            | Event::Substituted(_)
            | Event::Retry(_)
            | Event::Completed(_) => {}
        }
    }
}

impl Display<'_> {
    fn content(&self, url: &str, content: ContentProgress) {
        if !matches!(content.phase, Phase::Downloading | Phase::Downloaded) {
            return;
        }
        if !self.has_begun.replace(true) {
            let status = format!("Downloading from {url}");
            self.lines.push(Line::warning(&status));
        }
        // A count of nothing would show as a line without numbers.
        if content.current > 0 {
            let detail = Detail::count(content.current, content.total);
            self.lines.push(Line::progress("Importing", detail));
        }
    }
}
