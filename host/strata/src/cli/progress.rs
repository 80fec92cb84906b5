//! How a running pull is shown: lines for logs, objects for programs, bars for people.

use std::collections::HashMap;

use strata::types::{BlobProgress, Completed, Event, Phase, Retry};

use super::bars::Bars;
use super::reference::{familiar, path_and_tag, short_digest};
use super::terminal::{Terminal, printable};
use super::{machine, size};

/// One way to show events.
pub(crate) enum Display {
    /// Nothing at all.
    Quiet,
    /// A JSON object per event and line.
    Objects(Terminal),
    /// A line per change of state.
    Lines(Lines),
    /// A bar per layer.
    Bars(Bars),
}

impl Display {
    /// Shows one event. A reader that went away is no reason to stop the pull: the error comes
    /// again when the result is printed.
    pub(crate) fn show(&mut self, event: &Event) {
        match self {
            Display::Quiet => {}
            Display::Objects(terminal) => {
                let _ = terminal.line(machine::event(event));
            }
            Display::Lines(lines) => {
                for line in lines.of(event) {
                    let _ = lines.terminal.line(line);
                }
            }
            Display::Bars(bars) => bars.show(event),
        }
    }

    /// Takes away what is only of interest while the operation runs.
    pub(crate) fn finish(&mut self) {
        if let Display::Bars(bars) = self {
            bars.finish();
        }
    }
}

/// Plain lines in docker's words, one per change of state and none per byte.
pub(crate) struct Lines {
    terminal: Terminal,
    phases: HashMap<String, Phase>,
}

impl Lines {
    /// Lines on a terminal or, more likely, in a log.
    pub(crate) fn new(terminal: Terminal) -> Lines {
        Lines {
            terminal,
            phases: HashMap::new(),
        }
    }

    fn of(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::Resolved(resolved) => {
                // The next reference of the same pull may have the same layers.
                self.phases.clear();
                vec![heading(&resolved.reference)]
            }
            Event::Blob(blob) => self.blob(blob).into_iter().collect(),
            Event::Retry(retry) => vec![retrying(retry)],
            Event::Warning(text) => vec![warning(text)],
            Event::Completed(completed) => verdict(completed).into(),
        }
    }

    fn blob(&mut self, blob: &BlobProgress) -> Option<String> {
        let earlier = self.phases.insert(blob.digest.clone(), blob.phase);
        if earlier == Some(blob.phase) {
            return None;
        }
        let line = |text: &str| Some(format!("{}: {text}", short_digest(&blob.digest)));
        match (earlier, blob.phase) {
            // The start of a transfer is announced once; that bytes come is no news then.
            (None, Phase::Downloading) => line("Pulling fs layer"),
            (Some(Phase::Queued), Phase::Downloading) => None,
            (_, Phase::Downloading) if blob.current > 0 => {
                line(&format!("Resuming at {}", size::short(blob.current)))
            }
            // The retry event has said it, with its reason.
            (_, Phase::Retrying) => None,
            (_, phase) => word(phase).and_then(line),
        }
    }
}

/// `latest: Pulling from library/alpine`.
pub(crate) fn heading(reference: &str) -> String {
    let (path, tag) = path_and_tag(reference);
    format!("{}: Pulling from {path}", tag.unwrap_or(reference))
}

/// Docker's word for a phase; none for one that people need not see.
pub(crate) fn word(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Queued => Some("Pulling fs layer"),
        Phase::Downloading => Some("Downloading"),
        Phase::Downloaded => Some("Download complete"),
        Phase::AlreadyExists => Some("Already exists"),
        Phase::Uploading => Some("Pushing"),
        Phase::Uploaded => Some("Pushed"),
        Phase::Mounted => Some("Mounted"),
        Phase::Retrying => Some("Retrying"),
        Phase::Unavailable => None,
    }
}

/// A failure that will be tried again, with its reason.
pub(crate) fn retrying(retry: &Retry) -> String {
    let seconds = retry.delay.div_ceil(1000);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let reason = strata::Error::Image(retry.reason.clone()).to_string();
    let what = format!("Retrying in {seconds} {unit}: {}", printable(&reason));
    match &retry.digest {
        Some(digest) => format!("{}: {what}", short_digest(digest)),
        None => what,
    }
}

/// A registry's word to people.
pub(crate) fn warning(text: &str) -> String {
    format!("Warning: {}", printable(text))
}

/// The last two lines about a reference.
pub(crate) fn verdict(completed: &Completed) -> [String; 2] {
    let status = match completed.changed {
        true => "Downloaded newer image for",
        false => "Image is up to date for",
    };
    [
        format!("Digest: {}", completed.digest),
        format!("Status: {status} {}", familiar(&completed.reference)),
    ]
}

#[cfg(test)]
mod tests;
