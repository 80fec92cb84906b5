//! `POST /images/create?fromImage=…`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageCreate>

use std::cell::RefCell;

use http::StatusCode;
use strata_engine::{
    BlobProgress, Completed, Event, Host, Phase, Progress, PullOptions, Resolved, Retry,
};
use strata_http::{Failures, Lines, Output};
use strata_oci::{Digest, Reference};

use super::platform_specifier;
use crate::{
    Answer, Asked, auth,
    failure::Failure,
    line::{Detail, Line},
};

/// Warnings kept while nothing is resolved: more than any registry sends, so that none fills the memory.
const MAX_EARLY_WARNINGS: usize = 16;

/// Pulls, telling the client how far it is.
///
/// # Errors
/// 400 for parameters, 403 for `scratch`; the engine's, if nothing was sent yet.
pub(crate) async fn pull<H: Host, W: Output>(asked: &Asked<'_, H>, output: &mut W) -> Answer {
    let options = options(asked)?;
    let lines = Lines::default();
    let display = Display::new(&lines);
    let work = async {
        let pulled = asked.engine.pull(&options, &display).await;
        pulled.map(drop)
    };
    let headers = asked.growing("application/json");
    lines
        .follow(work, Failures::ByStatus, headers, output)
        .await??;
    Ok(None)
}

fn options<H: Host>(asked: &Asked<'_, H>) -> Result<PullOptions, Failure> {
    let reference = reference(asked.query.text("fromImage"), asked.query.text("tag"))?;
    if reference.familiar_repository() == "scratch" {
        let message = "'scratch' is a reserved name";
        return Err(Failure::new(StatusCode::FORBIDDEN, message));
    }
    let platform = match asked.version.at_least(32) {
        true => platform_specifier(asked)?,
        false => None,
    };
    Ok(PullOptions {
        all_tags: reference.is_name_only(),
        platforms: platform.into_iter().collect(),
        all_platforms: false,
        auth: auth::credentials(asked.headers, &reference),
        headers: auth::meta_headers(asked.headers),
        reference,
    })
}

/// `tag` may be a digest, which replaces whatever tag or digest the image has.
fn reference(image: &str, tag: &str) -> Result<Reference, Failure> {
    // The CLI's way of saying "all tags" was once to leave the colon.
    let image = image.strip_suffix(':').unwrap_or(image);
    let image = Reference::parse(image).map_err(|error| Failure::invalid(error.to_string()))?;
    if tag.is_empty() {
        return Ok(image);
    }
    if let Ok(digest) = Digest::parse(tag) {
        return Ok(image.without_tag_and_digest().with_digest(digest));
    }
    image
        .with_tag(tag)
        .map_err(|error| Failure::invalid(error.to_string()))
}

/// Words events as dockerd does.
struct Display<'a> {
    lines: &'a Lines<Line>,
    /// Warnings, until something is resolved; attempts to resolve are not shown at all. A line before
    /// that would make the status 200, and what is likely to come (no such image, no credentials, a rate
    /// limit) is best told by status.
    early: RefCell<Option<Vec<Line>>>,
}

impl Progress for Display<'_> {
    fn report(&self, event: Event) {
        match event {
            Event::Resolved(resolved) => self.resolved(&resolved),
            Event::Blob(blob) => self.blob(&blob),
            Event::Retry(retry) => self.retry(&retry),
            Event::Warning(text) => self.warning(text),
            Event::Completed(completed) => self.completed(&completed),
            // Of no concern to a pull.
            Event::Content(_) | Event::Substituted(_) => {}
        }
    }
}

impl<'a> Display<'a> {
    fn new(lines: &'a Lines<Line>) -> Self {
        Self {
            lines,
            early: RefCell::new(Some(Vec::new())),
        }
    }

    fn resolved(&self, Resolved { reference, .. }: &Resolved) {
        for warning in self.early.take().into_iter().flatten() {
            self.lines.push(warning);
        }
        let id = reference
            .tag()
            .map_or_else(|| reference.to_string(), str::to_owned);
        let status = format!("Pulling from {}", reference.path());
        self.lines.push(Line::about(id, status));
    }

    fn warning(&self, text: String) {
        match self.early.borrow_mut().as_mut() {
            Some(early) if early.len() == MAX_EARLY_WARNINGS => {}
            Some(early) => early.push(Line::warning(&text)),
            None => self.lines.push(Line::warning(&text)),
        }
    }

    fn blob(&self, blob: &BlobProgress) {
        let id = blob.digest.short();
        match blob.phase {
            Phase::Queued => self
                .lines
                .push(Line::layer(id, "Pulling fs layer", Detail::PLAIN)),
            Phase::AlreadyExists => {
                self.lines
                    .push(Line::layer(id, "Already exists", Detail::DONE))
            }
            Phase::Downloading => {
                // A count of nothing would show as a line without numbers.
                if blob.current > 0 {
                    let detail = Detail::count(blob.current, blob.total);
                    self.lines.push(Line::layer(id, "Downloading", detail));
                }
            }
            Phase::Downloaded => {
                self.lines
                    .push(Line::layer(id, "Download complete", Detail::DONE));
                // Nothing is unpacked: a layer that is here, verified and durable is ready.
                self.lines
                    .push(Line::layer(id, "Pull complete", Detail::DONE));
            }
            // Said by the event of its own that comes with it.
            Phase::Retrying => {}
            // Of no concern to a pull.
            Phase::Uploading
            | Phase::Uploaded
            | Phase::Mounted
            | Phase::Unavailable
            | Phase::Verifying => {}
        }
    }

    fn retry(&self, retry: &Retry) {
        if self.early.borrow().is_some() {
            // Over by the time the first line may be sent.
            return;
        }
        self.lines.push(Line::retry(retry));
    }

    fn completed(&self, completed: &Completed) {
        let outcome = match completed.changed {
            true => "Downloaded newer image",
            false => "Image is up to date",
        };
        let name = completed.reference.familiar();
        self.lines
            .push(Line::plain(format!("Digest: {}", completed.digest)));
        self.lines
            .push(Line::plain(format!("Status: {outcome} for {name}")));
    }
}
