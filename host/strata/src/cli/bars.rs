//! A pull on a terminal: a bar per layer and one for all of them.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use strata::types::{BlobProgress, Event, Phase};

use super::progress::{heading, retrying, verdict, warning, word};
use super::reference::short_digest;

/// Often enough to look alive, rarely enough to cost nothing.
const FRAMES_PER_SECOND: u8 = 10;
/// A layer that waits or is done.
const WORDS: &str = "{prefix:>12}: {msg}";
/// A layer of known size that moves.
const MOVING: &str = "{prefix:>12}: {msg:<13} [{bar:28}] {decimal_bytes:>9}/{decimal_total_bytes:<9} {decimal_bytes_per_sec:>11} {eta:>4}";
/// A layer of unknown size that moves.
const UNMEASURED: &str = "{prefix:>12}: {msg:<13} {decimal_bytes:>9} {decimal_bytes_per_sec:>11}";
const CHARACTERS: &str = "=> ";

/// The bars of one pull, drawn on stderr.
pub(crate) struct Bars {
    area: MultiProgress,
    /// In the order they came; there are at most some dozens.
    layers: Vec<Layer>,
    overall: Option<ProgressBar>,
}

struct Layer {
    digest: String,
    bar: ProgressBar,
    phase: Phase,
    current: u64,
    total: u64,
}

impl Bars {
    /// Bars on stderr.
    pub(crate) fn on_stderr() -> Bars {
        Bars::on(ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND))
    }

    fn on(target: ProgressDrawTarget) -> Bars {
        Bars {
            area: MultiProgress::with_draw_target(target),
            layers: Vec::new(),
            overall: None,
        }
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Resolved(resolved) => {
                self.clear();
                self.say(&heading(&resolved.reference));
            }
            Event::Blob(blob) => self.blob(blob),
            Event::Retry(retry) => self.say(&retrying(retry)),
            Event::Warning(text) => self.say(&warning(text)),
            Event::Completed(completed) => {
                self.clear();
                verdict(completed).iter().for_each(|line| self.say(line));
            }
        }
    }

    /// Replaces the bars by lines of text, which stay.
    pub(crate) fn finish(&mut self) {
        self.clear();
    }

    fn blob(&mut self, blob: &BlobProgress) {
        let Some(word) = word(blob.phase) else { return };
        let known = self
            .layers
            .iter()
            .position(|layer| layer.digest == blob.digest);
        let index = known.unwrap_or_else(|| self.add(blob));
        let layer = &mut self.layers[index];
        if known.is_none() || layer.phase != blob.phase || layer.total != blob.total {
            layer.bar.set_style(style(template(blob)));
            layer.bar.set_message(word);
        }
        layer.bar.set_length(blob.total);
        layer.bar.set_position(blob.current);
        if blob.phase == Phase::Downloading && (known.is_none() || layer.phase != blob.phase) {
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
            current: blob.current,
            total: blob.total,
        });
        self.layers.len() - 1
    }

    /// Content that was here already is not counted: the overall bar is about the transfer.
    fn sum(&self) {
        let Some(overall) = &self.overall else { return };
        let moved = self
            .layers
            .iter()
            .filter(|l| l.phase != Phase::AlreadyExists);
        let (current, total) = moved.fold((0u64, 0u64), |(current, total), layer| {
            let done = layer.phase == Phase::Downloaded;
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
        let layers = std::mem::take(&mut self.layers);
        layers.iter().for_each(|layer| layer.bar.finish_and_clear());
        for layer in layers {
            if let Some(word) = word(layer.phase) {
                self.say(&format!("{}: {word}", short_digest(&layer.digest)));
            }
        }
    }

    fn say(&self, line: &str) {
        // Losing a line on a terminal that went away is no reason to fail.
        let _ = self.area.println(line);
    }
}

fn template(blob: &BlobProgress) -> &'static str {
    match (blob.phase, blob.total) {
        (Phase::Downloading | Phase::Uploading, 0) => UNMEASURED,
        (Phase::Downloading | Phase::Uploading, _) => MOVING,
        _ => WORDS,
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants that a test parses.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars(CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(digest: &str, phase: Phase, current: u64, total: u64) -> Event {
        Event::Blob(BlobProgress {
            digest: digest.into(),
            phase,
            current,
            total,
        })
    }

    #[test]
    fn every_template_is_valid() {
        for template in [WORDS, MOVING, UNMEASURED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn the_overall_bar_counts_what_is_transferred() {
        let mut bars = Bars::on(ProgressDrawTarget::hidden());
        bars.show(&blob("sha256:aa", Phase::AlreadyExists, 0, 500));
        bars.show(&blob("sha256:bb", Phase::Downloading, 40, 100));
        bars.show(&blob("sha256:cc", Phase::Queued, 0, 300));
        let overall = bars.overall.clone().unwrap();
        assert_eq!((overall.position(), overall.length()), (40, Some(400)));
        // A transfer that starts over goes back.
        bars.show(&blob("sha256:bb", Phase::Downloading, 10, 100));
        bars.show(&blob("sha256:cc", Phase::Downloaded, 0, 300));
        assert_eq!((overall.position(), overall.length()), (310, Some(400)));
        assert_eq!(bars.layers[2].bar.message(), "Download complete");
        bars.finish();
        assert!(overall.is_finished() && bars.layers.is_empty());
    }

    #[test]
    fn content_that_is_not_needed_has_no_bar() {
        let mut bars = Bars::on(ProgressDrawTarget::hidden());
        bars.show(&blob("sha256:aa", Phase::Unavailable, 0, 500));
        assert!(bars.layers.is_empty() && bars.overall.is_none());
    }
}
