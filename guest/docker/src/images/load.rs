//! `POST /images/load`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageLoad>

use strata_engine::{BlobProgress, Event, Host, LoadOptions, Loaded, Phase, Progress};
use strata_http::{Failures, Lines, Output, RequestBody};

use super::archive_platforms;
use crate::{
    Answer, Asked,
    failure::Failure,
    line::{Detail, Line},
    query,
};

/// Loads an archive, telling the client how far it is, unless that is to be quiet, and what it had.
///
/// # Errors
/// 400 for platforms, 500 if the shell has not streamed the body; whatever is wrong with an archive is told in
/// the stream.
pub(crate) async fn load<H: Host, W: Output>(
    asked: &Asked<'_, H>,
    body: RequestBody<H::Body>,
    output: &mut W,
) -> Answer {
    let options = LoadOptions {
        platforms: archive_platforms(asked)?,
    };
    let body = body.stream().ok_or_else(Failure::not_streamed)?;
    let lines = Lines::default();
    let display = Display {
        lines: &lines,
        quiet: query::boolean(&asked.query, "quiet", true),
    };
    let work = async {
        for loaded in asked.engine.load(body, &options, &display).await? {
            lines.push_result(result(&loaded)).await;
        }
        Ok(())
    };
    let headers = asked.growing("application/json");
    lines
        .follow(work, Failures::InStream, headers, output)
        .await??;
    Ok(None)
}

fn result(loaded: &Loaded) -> Line {
    Line::text(match &loaded.name {
        Some(name) => format!("Loaded image: {name}\n"),
        None => format!("Loaded image ID: {}\n", loaded.id),
    })
}

/// Words events as dockerd's older store does; the other one has no progress here.
struct Display<'a> {
    lines: &'a Lines<Line>,
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
