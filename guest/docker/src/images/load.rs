//! `POST /images/load` (§4.12 of the contract).

use http::HeaderMap;
use strata_engine::{BlobProgress, Event, LoadOptions, Loaded, Phase, Progress};

use super::archive_platforms;
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

/// A load whose parameters are in order.
pub(crate) struct Load {
    options: LoadOptions,
    /// Only the results are told.
    quiet: bool,
}

impl Load {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 for platforms.
    pub(crate) fn new(version: ApiVersion, query: &Query) -> Result<Self, Failure> {
        Ok(Self {
            options: LoadOptions {
                platforms: archive_platforms(version, query)?,
            },
            quiet: query.boolean_or("quiet", true),
        })
    }
}

/// Loads an archive, telling the client how far it is, unless that is to be quiet, and what it had.
/// `headers` are those of the stream.
///
/// # Errors
/// An inner failure only if the shell has not streamed the body: whatever is wrong with an archive is told
/// in the stream. [`Gone`] if the client left, which cancels the load.
pub(crate) async fn load<O: Operations, W: Output>(
    operations: &O,
    Load { options, quiet }: &Load,
    body: RequestBody<O::Body>,
    headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    let body = match body::archive(body) {
        Ok(body) => body,
        Err(failure) => return Ok(Err(failure)),
    };
    let lines = Lines::default();
    let display = Display {
        lines: &lines,
        quiet: *quiet,
    };
    let work = async {
        for loaded in operations.load(body, options, &display).await? {
            lines.push_result(result(&loaded)).await;
        }
        Ok(())
    };
    stream::run(work, &lines, Failures::InStream, headers, output).await
}

fn result(loaded: &Loaded) -> Line {
    Line::text(match &loaded.name {
        Some(name) => format!("Loaded image: {name}\n"),
        None => format!("Loaded image ID: {}\n", loaded.id),
    })
}

/// Words events as dockerd's older store does; the other one has no progress here.
struct Display<'a> {
    lines: &'a Lines,
    quiet: bool,
}

impl Progress for Display<'_> {
    fn report(&self, event: Event) {
        match event {
            _ if self.quiet => {}
            Event::Blob(blob) => self.blob(&blob),
            Event::Warning(text) => self.lines.push(Line::warning(&text)),
            // Said by the results, or of no concern to a load.
            Event::Resolved(_)
            | Event::Content(_)
            | Event::Substituted(_)
            | Event::Retry(_)
            | Event::Completed(_) => {}
        }
    }
}

impl Display<'_> {
    fn blob(&self, blob: &BlobProgress) {
        let (status, detail) = match blob.phase {
            // A count of nothing would show as a line without numbers.
            Phase::Downloading | Phase::Downloaded if blob.current == 0 => return,
            Phase::Downloading | Phase::Downloaded => {
                ("Loading layer", Detail::count(blob.current, blob.total))
            }
            Phase::AlreadyExists => ("Already exists", Detail::DONE),
            // Of no concern to a load.
            Phase::Queued
            | Phase::Uploading
            | Phase::Uploaded
            | Phase::Mounted
            | Phase::Retrying
            | Phase::Unavailable
            | Phase::Verifying => return,
        };
        let line = Line::layer(blob.digest.short(), status, detail);
        self.lines.push(line);
    }
}
