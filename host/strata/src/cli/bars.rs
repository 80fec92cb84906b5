//! An operation on a terminal: a bar per layer and one for all of them, or one for a stream.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use strata::types::{BlobProgress, ContentProgress, Event, Phase};

use super::reference::short_digest;
use super::wording::{self, Work};

/// Often enough to look alive, rarely enough to cost nothing.
const FRAMES_PER_SECOND: u8 = 10;
/// A layer that waits or is done.
const WORDS: &str = "{prefix:>12}: {msg}";
/// A layer of known size that moves.
const MOVING: &str = "{prefix:>12}: {msg:<13} [{bar:28}] {decimal_bytes:>9}/{decimal_total_bytes:<9} {decimal_bytes_per_sec:>11} {eta:>4}";
/// A layer of unknown size that moves.
const UNMEASURED: &str = "{prefix:>12}: {msg:<13} {decimal_bytes:>9} {decimal_bytes_per_sec:>11}";
const CHARACTERS: &str = "=> ";

/// A stream of known size.
const STREAM: &str = "{msg:<12} [{bar:28}] {decimal_bytes:>9}/{decimal_total_bytes:<9} {decimal_bytes_per_sec:>11} {eta:>4}";
/// A stream of unknown size.
const ENDLESS: &str = "{msg:<12} {decimal_bytes:>9} {decimal_bytes_per_sec:>11}";

/// The bars of one operation, drawn on stderr.
pub(crate) struct Bars {
    work: Work,
    area: MultiProgress,
    /// In the order they came; there are at most some dozens.
    layers: Vec<Layer>,
    overall: Option<ProgressBar>,
    /// The one stream of bytes.
    stream: Option<Stream>,
}

struct Stream {
    bar: ProgressBar,
    /// The command counts its bytes itself, so that the engine's word is not needed.
    is_counted: bool,
}

struct Layer {
    digest: String,
    bar: ProgressBar,
    phase: Phase,
    /// What was last said of it.
    word: String,
    current: u64,
    total: u64,
}

impl Bars {
    /// Bars on stderr.
    pub(crate) fn on_stderr(work: Work) -> Bars {
        Bars::on(work, ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND))
    }

    fn on(work: Work, target: ProgressDrawTarget) -> Bars {
        Bars {
            work,
            area: MultiProgress::with_draw_target(target),
            layers: Vec::new(),
            overall: None,
            stream: None,
        }
    }

    /// The bar of the one stream of the operation, for its bytes to be counted on.
    pub(crate) fn stream(&mut self, total: Option<u64>) -> ProgressBar {
        self.open_stream(total.unwrap_or(0), true).clone()
    }

    fn open_stream(&mut self, total: u64, is_counted: bool) -> &ProgressBar {
        let (work, area) = (self.work, &self.area);
        let stream = self.stream.get_or_insert_with(|| Stream {
            bar: area.add(ProgressBar::new(0).with_message(work.verb())),
            is_counted,
        });
        stream.is_counted |= is_counted;
        if total == 0 {
            stream.bar.set_style(style(ENDLESS));
        } else if stream.bar.length() != Some(total) {
            stream.bar.set_style(style(STREAM));
            stream.bar.set_length(total);
        }
        &stream.bar
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Retry(retry) => self.say(&wording::retrying(retry)),
            Event::Warning(text) => self.say(&wording::warning(text)),
            Event::Content(content) => self.content(content),
            // The stream that is read or written says it all.
            _ if !self.work.is_transfer() => {}
            Event::Resolved(resolved) => {
                self.clear();
                self.say(&wording::heading(self.work, &resolved.reference));
            }
            Event::Blob(blob) => self.blob(blob),
            Event::Substituted(substituted) => self.say(&wording::substituted(substituted)),
            Event::Completed(completed) => {
                self.clear();
                let lines = wording::verdict(self.work, completed);
                lines.iter().for_each(|line| self.say(line));
            }
        }
    }

    /// Replaces the bars by lines of text, which stay.
    pub(crate) fn finish(&mut self) {
        self.clear();
    }

    fn content(&mut self, content: &ContentProgress) {
        if self.stream.as_ref().is_some_and(|stream| stream.is_counted) {
            return;
        }
        let bar = self.open_stream(content.total, false);
        bar.set_position(content.current);
    }

    fn blob(&mut self, blob: &BlobProgress) {
        let Some(word) = wording::blob(self.work, blob) else {
            return;
        };
        let known = self
            .layers
            .iter()
            .position(|layer| layer.digest == blob.digest);
        let index = known.unwrap_or_else(|| self.add(blob));
        let layer = &mut self.layers[index];
        if known.is_none() || layer.phase != blob.phase || layer.total != blob.total {
            layer.bar.set_style(style(template(blob)));
            layer.word = word.into_owned();
            layer.bar.set_message(layer.word.clone());
        }
        layer.bar.set_length(blob.total);
        layer.bar.set_position(blob.current);
        if is_moving(blob.phase) && (known.is_none() || layer.phase != blob.phase) {
            // The rate is that of this attempt, not of the bytes found on disk.
            layer.bar.reset_eta();
        }
        (layer.phase, layer.current, layer.total) = (blob.phase, blob.current, blob.total);
        self.sum();
    }

    /// Adds a bar above the overall one and returns its index.
    fn add(&mut self, blob: &BlobProgress) -> usize {
        if self.overall.is_none() {
            let bar = self.area.add(ProgressBar::new(0).with_style(style(MOVING)));
            bar.set_prefix("all layers");
            self.overall = Some(bar);
        }
        let bar = ProgressBar::new(blob.total).with_style(style(template(blob)));
        let bar = match &self.overall {
            Some(overall) => self.area.insert_before(overall, bar),
            None => self.area.add(bar),
        };
        bar.set_prefix(short_digest(&blob.digest).to_owned());
        self.layers.push(Layer {
            digest: blob.digest.clone(),
            bar,
            phase: blob.phase,
            word: String::new(),
            current: blob.current,
            total: blob.total,
        });
        self.layers.len() - 1
    }

    /// Content that was there already is not counted: the overall bar is about the transfer.
    fn sum(&self) {
        let Some(overall) = &self.overall else { return };
        let moved = self
            .layers
            .iter()
            .filter(|l| !matches!(l.phase, Phase::AlreadyExists | Phase::Mounted));
        let (current, total) = moved.fold((0u64, 0u64), |(current, total), layer| {
            let done = matches!(layer.phase, Phase::Downloaded | Phase::Uploaded);
            (
                current.saturating_add(if done { layer.total } else { layer.current }),
                total.saturating_add(layer.total),
            )
        });
        overall.set_length(total);
        overall.set_position(current);
    }

    fn clear(&mut self) {
        if let Some(overall) = self.overall.take() {
            overall.finish_and_clear();
        }
        if let Some(stream) = self.stream.take() {
            stream.bar.finish_and_clear();
        }
        let layers = std::mem::take(&mut self.layers);
        layers.iter().for_each(|layer| layer.bar.finish_and_clear());
        for layer in layers {
            self.say(&format!("{}: {}", short_digest(&layer.digest), layer.word));
        }
    }

    fn say(&self, line: &str) {
        // Losing a line on a terminal that went away is no reason to fail.
        let _ = self.area.println(line);
    }
}

fn is_moving(phase: Phase) -> bool {
    matches!(phase, Phase::Downloading | Phase::Uploading)
}

fn template(blob: &BlobProgress) -> &'static str {
    match (is_moving(blob.phase), blob.total) {
        (true, 0) => UNMEASURED,
        (true, _) => MOVING,
        (false, _) => WORDS,
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants that a test parses.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars(CHARACTERS)
}

#[cfg(test)]
mod tests;
