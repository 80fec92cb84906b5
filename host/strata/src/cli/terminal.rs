//! Where the command prints: results on one stream, remarks on the other.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Sink = Arc<Mutex<dyn Write + Send>>;

/// The two output streams, and whether people look at them. Clones share the streams.
#[derive(Clone)]
pub(crate) struct Terminal {
    results: Sink,
    remarks: Sink,
    /// Stdout is a terminal.
    pub(crate) reader_is_person: bool,
    /// Stderr is a terminal that understands cursor movement.
    pub(crate) remarks_reader_is_person: bool,
    /// Bars may be drawn: both streams are a terminal that understands cursor movement.
    pub(crate) bars: bool,
    /// Questions can be asked: stdin is a terminal.
    pub(crate) can_ask: bool,
}

impl Terminal {
    /// Stdout for results, stderr for remarks.
    pub(crate) fn standard() -> Terminal {
        let reader_is_person = io::stdout().is_terminal();
        let moves_cursor = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let remarks_reader_is_person = io::stderr().is_terminal() && moves_cursor;
        Terminal {
            results: Arc::new(Mutex::new(io::stdout())),
            remarks: Arc::new(Mutex::new(io::stderr())),
            reader_is_person,
            remarks_reader_is_person,
            bars: reader_is_person && remarks_reader_is_person,
            can_ask: io::stdin().is_terminal(),
        }
    }

    /// Prints one line of the result and flushes it, so that a reader on a pipe sees it now.
    pub(crate) fn line(&self, line: impl Display) -> io::Result<()> {
        self.text(&format!("{line}\n"))
    }

    /// Prints text of the result as it is, in one piece.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let mut results = lock(&self.results);
        results.write_all(text.as_bytes())?;
        results.flush()
    }

    /// Prints a remark for people, made safe: errors quote what strangers wrote. Losing one is no reason to fail.
    pub(crate) fn notice(&self, line: impl Display) {
        let line = printable(&line.to_string());
        let _ = writeln!(lock(&self.remarks), "{line}");
    }

    /// Prints a question without ending the line.
    pub(crate) fn ask(&self, question: &str) {
        let mut remarks = lock(&self.remarks);
        let _ = write!(remarks, "{question} ");
        let _ = remarks.flush();
    }
}

/// A thread that panicked while printing left at worst half a line behind.
fn lock(sink: &Sink) -> MutexGuard<'_, dyn Write + Send + 'static> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Text from a registry or an image, made safe to print: control characters, which could move
/// the cursor or change the title of the window, become spaces, and so do those that end a line
/// or change the direction of writing.
pub(crate) fn printable(text: &str) -> String {
    let drives = |it: char| {
        it.is_control()
            || matches!(
                it,
                '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            )
    };
    text.replace(drives, " ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A terminal whose two streams can be read back.
    pub(crate) struct Captured {
        results: Arc<Mutex<Vec<u8>>>,
        remarks: Arc<Mutex<Vec<u8>>>,
    }

    impl Captured {
        /// What was printed on stdout.
        pub(crate) fn results(&self) -> String {
            String::from_utf8(self.results.lock().unwrap().clone()).unwrap()
        }

        /// What was printed on stderr.
        pub(crate) fn remarks(&self) -> String {
            String::from_utf8(self.remarks.lock().unwrap().clone()).unwrap()
        }
    }

    /// A terminal nobody looks at, and what it received.
    pub(crate) fn captured() -> (Terminal, Captured) {
        let results = Arc::new(Mutex::new(Vec::new()));
        let remarks = Arc::new(Mutex::new(Vec::new()));
        let terminal = Terminal {
            results: results.clone(),
            remarks: remarks.clone(),
            reader_is_person: false,
            remarks_reader_is_person: false,
            bars: false,
            can_ask: false,
        };
        (terminal, Captured { results, remarks })
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = "a\x1b[31mb\r\nc\u{9b}d\u{202e}e";
        assert_eq!(printable(text), "a [31mb  c d e");
        let (terminal, captured) = captured();
        terminal.notice(format_args!("strata: {text}"));
        assert_eq!(captured.remarks(), "strata: a [31mb  c d e\n");
    }

    #[test]
    fn results_and_remarks_are_kept_apart() {
        let (terminal, captured) = captured();
        terminal.line("result").unwrap();
        terminal.notice("remark");
        assert_eq!(captured.results(), "result\n");
        assert_eq!(captured.remarks(), "remark\n");
    }
}
