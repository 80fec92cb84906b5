//! How a running operation is shown: lines for logs, objects for programs, bars for people.

use std::collections::HashMap;

use strata::types::{BlobProgress, Event, Phase};

use super::bars::Bars;
use super::reference::short_digest;
use super::terminal::Terminal;
use super::wording::{self, Work};
use super::{machine, size};

/// One way to show events.
pub(crate) enum Display {
    /// Nothing at all but what nobody expects.
    Quiet(Terminal),
    /// A JSON object per event and line.
    Objects(Terminal),
    /// A line per change of state.
    Lines(Lines),
    /// A bar per layer, or one for a stream.
    Bars(Bars),
}

impl Display {
    /// Shows one event. A reader that went away is no reason to stop the operation: the error
    /// comes again when the result is printed.
    pub(crate) fn show(&mut self, event: &Event) {
        match self {
            // What is in the registry then is not what was named: scripts must be able to see it.
            Display::Quiet(terminal) => {
                if let Event::Substituted(substituted) = event {
                    terminal.notice(wording::substituted(substituted));
                }
            }
            Display::Objects(terminal) => {
                let _ = terminal.line(machine::event(event));
            }
            Display::Lines(lines) => {
                for line in lines.of(event) {
                    lines.print(&line);
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
    work: Work,
    terminal: Terminal,
    phases: HashMap<String, Phase>,
}

impl Lines {
    /// Lines on a terminal or, more likely, in a log.
    pub(crate) fn new(work: Work, terminal: Terminal) -> Lines {
        Lines {
            work,
            terminal,
            phases: HashMap::new(),
        }
    }

    /// What is told of pulls and pushes is docker's output. Of other operations only what is out
    /// of the ordinary is told, beside the output, which is then an ID or a list of images.
    fn print(&self, line: &str) {
        match self.work.is_transfer() {
            // See `Display::show`.
            true => drop(self.terminal.line(line)),
            false => self.terminal.notice(line),
        }
    }

    fn of(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::Retry(retry) => vec![wording::retrying(retry)],
            Event::Warning(text) => vec![wording::warning(text)],
            _ if !self.work.is_transfer() => Vec::new(),
            Event::Resolved(resolved) => {
                // The next reference of the same transfer may have the same layers.
                self.phases.clear();
                vec![wording::heading(self.work, &resolved.reference)]
            }
            Event::Blob(blob) => self.blob(blob).into_iter().collect(),
            Event::Content(_) => Vec::new(),
            Event::Substituted(substituted) => vec![wording::substituted(substituted)],
            Event::Completed(completed) => wording::verdict(self.work, completed),
        }
    }

    fn blob(&mut self, blob: &BlobProgress) -> Option<String> {
        let earlier = self.phases.insert(blob.digest.clone(), blob.phase);
        if earlier == Some(blob.phase) {
            return None;
        }
        let line = |text: &str| Some(format!("{}: {text}", short_digest(&blob.digest)));
        match (earlier, blob.phase) {
            // The start of a transfer is announced once; that bytes move is no news then.
            (None, Phase::Downloading) => line("Pulling fs layer"),
            (Some(Phase::Queued), Phase::Downloading) => None,
            (Some(Phase::Retrying), Phase::Uploading) if blob.current > 0 => {
                line(&format!("Resuming at {}", size::short(blob.current)))
            }
            (_, Phase::Downloading) if blob.current > 0 => {
                line(&format!("Resuming at {}", size::short(blob.current)))
            }
            // The retry event has said it, with its reason.
            (_, Phase::Retrying) => None,
            _ => wording::blob(self.work, blob).and_then(|text| line(&text)),
        }
    }
}

#[cfg(test)]
mod tests;
