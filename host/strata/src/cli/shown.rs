//! What a command with a long operation has on its two sides: the progress while it runs, and the
//! way its end is printed.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use strata::types::Event;

use super::arguments::Format;
use super::bars::Bars;
use super::machine;
use super::meter::Meter;
use super::progress::{Display, Lines};
use super::terminal::Terminal;
use super::wording::Work;

/// The display of one operation, shared with it.
pub(crate) struct Shown {
    display: Arc<Mutex<Display>>,
    format: Format,
    terminal: Terminal,
}

impl Shown {
    /// Bars on a terminal, lines elsewhere, objects for programs, or nothing.
    pub(crate) fn new(work: Work, format: Format, quiet: bool, terminal: &Terminal) -> Shown {
        let display = match format {
            _ if quiet => Display::Quiet(terminal.clone()),
            Format::Json => Display::Objects(terminal.clone()),
            Format::Text if terminal.bars => Display::Bars(Bars::on_stderr(work)),
            Format::Text => Display::Lines(Lines::new(work, terminal.clone())),
        };
        Shown {
            display: Arc::new(Mutex::new(display)),
            format,
            terminal: terminal.clone(),
        }
    }

    /// The display of an operation whose output is a stream on stdout, or a file. Bars need
    /// stderr only.
    pub(crate) fn of_stream(work: Work, format: Format, quiet: bool, terminal: &Terminal) -> Shown {
        let display = match terminal.remarks_reader_is_person && format == Format::Text && !quiet {
            true => Display::Bars(Bars::on_stderr(work)),
            false => Display::Quiet(terminal.clone()),
        };
        Shown {
            display: Arc::new(Mutex::new(display)),
            format,
            terminal: terminal.clone(),
        }
    }

    /// Shows every event it is given.
    pub(crate) fn listener(&self) -> impl FnMut(Event) + Send + Unpin + 'static {
        let display = Arc::clone(&self.display);
        move |event| lock(&display).show(&event)
    }

    /// A meter for the one stream of the operation, of so many bytes in all. Only bars have one.
    pub(crate) fn meter(&self, total: Option<u64>) -> Meter {
        match &mut *lock(&self.display) {
            Display::Bars(bars) => Meter::on(bars.stream(total)),
            _ => Meter::default(),
        }
    }

    /// Takes the progress away and prints how the operation ended: for people its result, for
    /// programs an object with `result` or `error`.
    ///
    /// # Errors
    ///
    /// If it cannot be printed, or else why the operation failed.
    pub(crate) fn conclude<T>(
        &self,
        ended: anyhow::Result<T>,
        object: impl FnOnce(&T) -> Value,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<T> {
        lock(&self.display).finish();
        self.print(&ended, object, text)?;
        ended
    }

    fn print<T>(
        &self,
        ended: &anyhow::Result<T>,
        object: impl FnOnce(&T) -> Value,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        match (self.format, ended) {
            (Format::Json, Ok(result)) => {
                let line = json!({ "result": object(result) });
                self.terminal.line(line)
            }
            (Format::Json, Err(error)) => {
                let line = json!({ "error": machine::failure(error) });
                self.terminal.line(line)
            }
            (Format::Text, Ok(result)) => self.terminal.text(&text(result)),
            // The program's end says it.
            (Format::Text, Err(_)) => Ok(()),
        }
    }
}

/// A display that panicked shows whatever it still can.
fn lock(display: &Mutex<Display>) -> MutexGuard<'_, Display> {
    display.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::tests::captured;

    fn end(format: Format, ended: anyhow::Result<u8>) -> (String, bool) {
        let (terminal, captured) = captured();
        let shown = Shown::new(Work::Import, format, false, &terminal);
        let ended = shown.conclude(ended, |n| json!(n), |n| format!("{n}\n"));
        (captured.results(), ended.is_ok())
    }

    #[test]
    fn the_end_is_told_to_people_once_and_to_programs_always() {
        let failed = || Err(anyhow::anyhow!("broken"));
        assert_eq!(end(Format::Text, Ok(7)), ("7\n".into(), true));
        assert_eq!(end(Format::Text, failed()), (String::new(), false));
        assert_eq!(end(Format::Json, Ok(7)), ("{\"result\":7}\n".into(), true));
        assert_eq!(
            end(Format::Json, failed()),
            ("{\"error\":{\"internal\":\"broken\"}}\n".into(), false)
        );
    }
}
