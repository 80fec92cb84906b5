//! `POST /images/create` without `fromImage` (§4.5 of the contract).

use std::cell::Cell;

use http::{HeaderMap, StatusCode};
use strata_engine::{ContentProgress, Event, ImportOptions, ImportSource, Phase, Progress};

use super::{new_name, platform_specifier};
use crate::{
    body,
    failure::Failure,
    line::{Detail, Line},
    operations::Operations,
    output::{Gone, Output, RequestBody},
    query::Query,
    stream::{self, Failures, Lines},
    version::ApiVersion,
};

/// Where the root file system is, as `fromSrc` says that it is the request's body.
const IN_BODY: &str = "-";

/// An import whose parameters are in order.
pub(crate) struct Import {
    options: ImportOptions,
    /// `None` is the request's body.
    url: Option<String>,
}

/// Whether a request to `/images/create` is an import, not a pull.
pub(crate) fn is_import(query: &Query) -> bool {
    query.text("fromImage").is_empty()
}

/// Whether such a request carries an archive.
pub(crate) fn has_archive(query: &Query) -> bool {
    is_import(query) && query.text("fromSrc") == IN_BODY
}

impl Import {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 for them; 500 for no source at all, as dockerd.
    pub(crate) fn new<O: Operations>(
        operations: &O,
        version: ApiVersion,
        query: &Query,
    ) -> Result<Self, Failure> {
        let platform = match version.at_least(32) {
            true => platform_specifier(query, &operations.host().platform)?,
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
        Ok(Self {
            options,
            url: (source != IN_BODY).then(|| with_scheme(source)),
        })
    }
}

fn with_scheme(source: &str) -> String {
    match source.contains("://") {
        true => source.to_owned(),
        false => format!("http://{source}"),
    }
}

/// Imports an archive; what comes from a URL with progress. `headers` are those of the stream.
///
/// # Errors
/// The inner failure if nothing was sent yet; [`Gone`] if the client left, which cancels the import.
pub(crate) async fn import<O: Operations, W: Output>(
    operations: &O,
    Import { options, url }: &Import,
    body: RequestBody<O::Body>,
    headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    let source = match url {
        Some(url) => ImportSource::Url(url.clone()),
        None => match body::archive(body) {
            Ok(body) => ImportSource::Body(body),
            Err(failure) => return Ok(Err(failure)),
        },
    };
    let lines = Lines::default();
    let display = Display {
        lines: &lines,
        url: url.as_deref(),
        has_begun: Cell::new(false),
    };
    let work = async {
        let id = operations.import(source, options, &display).await?;
        lines.push(Line::plain(id.to_string()));
        Ok(())
    };
    stream::run(work, &lines, Failures::ByStatus, headers, output).await
}

/// Words events as dockerd does.
struct Display<'a> {
    lines: &'a Lines,
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
