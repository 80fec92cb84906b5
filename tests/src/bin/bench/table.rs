//! Samples, medians, and the table they end in.

use std::fmt;
use std::time::Duration;

/// Repeated measurements of one thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub(crate) fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The sample below which this part of all samples lies.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into at most some thousand samples"
        )]
        let index = (last as f64 * part).ceil() as usize;
        sorted.get(index).copied().unwrap_or_default()
    }
}

/// The rows measured so far.
#[derive(Debug, Default)]
pub(crate) struct Table {
    notes: Vec<String>,
    rows: Vec<[String; 4]>,
}

impl Table {
    /// A line above the table.
    pub(crate) fn note(&mut self, note: &str) {
        eprintln!("{note}");
        self.notes.push(note.to_owned());
    }

    /// A measurement, the peer's in the same run if there is one, and the target.
    pub(crate) fn row(&mut self, what: &str, value: String, peer: String, target: &str) {
        eprintln!("{what}: {value}   {peer}");
        self.rows
            .push([what.to_owned(), value, peer, target.to_owned()]);
    }

    /// A time beside a peer's: the ratio is what is compared.
    pub(crate) fn ratio(
        &mut self,
        what: &str,
        ours: &Samples,
        peer: (&str, &Samples),
        target: &str,
    ) {
        self.ratio_of(what, ours.median(), (peer.0, peer.1.median()), target);
    }

    /// The same, of times that are no medians.
    pub(crate) fn ratio_of(
        &mut self,
        what: &str,
        ours: Duration,
        (name, theirs): (&str, Duration),
        target: &str,
    ) {
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64().max(f64::EPSILON);
        let beside = format!("{name} {} → {ratio:.2} ×", time(theirs));
        self.row(what, time(ours), beside, target);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = ["measured", "strata", "beside", "target"].map(str::to_owned);
        let mut widths = [0; 4];
        for row in std::iter::once(&heading).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        for (number, row) in std::iter::once(&heading).chain(&self.rows).enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
            if number == 0 {
                let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                writeln!(f, "| {} |", lines.join(" | "))?;
            }
        }
        Ok(())
    }
}

/// A time with three significant figures.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.001 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.0} µs", seconds * 1e6)
    }
}

/// Bytes in MiB.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
