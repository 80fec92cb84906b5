//! Text to lines with an instruction each: parser directives, comments, continued lines.

use super::{InstructionError, MAX_LINE_BYTES, invalid, word};

/// The escape character a Dockerfile has unless its directive says otherwise.
const DEFAULT_ESCAPE: char = '\\';
/// The directives there are; only `escape` means something here.
const DIRECTIVES: [&str; 3] = ["syntax", "escape", "check"];

/// A whole text.
pub(super) struct File {
    /// What escapes characters and continues lines.
    pub(super) escape: char,
    /// Its instructions, at least one.
    pub(super) lines: Vec<Line>,
}

/// An instruction with its arguments, split as the instruction demands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Its first word, as written.
    pub(super) word: String,
    /// The words with two hyphens right after it.
    pub(super) flags: Vec<String>,
    /// What follows, split.
    pub(super) arguments: Vec<String>,
    /// Whether they were a JSON array.
    pub(super) is_json: bool,
    /// The whole line.
    pub(super) original: String,
}

/// Splits a text into its instructions.
pub(super) fn read(text: &str) -> Result<File, InstructionError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut directives = Directives::default();
    let mut lines = Vec::new();
    let mut rest = text.split_inclusive('\n').map(trim_newline);
    while let Some(raw) = rest.next() {
        check_length(raw)?;
        let raw = raw.trim_start();
        directives.read(raw)?;
        if is_comment(raw) {
            continue;
        }
        let escape = directives.escape();
        let mut line = String::new();
        let mut is_continued = push(raw, escape, &mut line);
        if !is_continued && line.is_empty() {
            continue;
        }
        while is_continued && let Some(raw) = rest.next() {
            check_length(raw)?;
            // Comments and empty lines do not end a continued line.
            if !is_comment(raw) && !raw.trim_start().is_empty() {
                is_continued = push(raw, escape, &mut line);
            }
        }
        lines.push(word::split(line, escape)?);
    }
    if lines.is_empty() {
        return Err(invalid("file with no instructions"));
    }
    Ok(File {
        escape: directives.escape(),
        lines,
    })
}

/// Appends a line without the escape character that continues it; whether there was one. Two are none.
fn push(raw: &str, escape: char, line: &mut String) -> bool {
    let end = raw.trim_end_matches([' ', '\t']);
    match end.strip_suffix(escape) {
        Some(start) if !start.ends_with(escape) => {
            line.push_str(start);
            true
        }
        _ => {
            line.push_str(raw);
            false
        }
    }
}

fn check_length(raw: &str) -> Result<(), InstructionError> {
    match raw.len() > MAX_LINE_BYTES {
        true => Err(invalid(format!(
            "dockerfile line greater than max allowed size of {MAX_LINE_BYTES}"
        ))),
        false => Ok(()),
    }
}

fn trim_newline(raw: &str) -> &str {
    raw.trim_end_matches(['\r', '\n'])
}

fn is_comment(raw: &str) -> bool {
    raw.trim_start().starts_with('#')
}

/// The comments `# name=value` at the start of the text, before anything else.
#[derive(Default)]
struct Directives {
    escape: Option<char>,
    seen: Vec<String>,
    is_over: bool,
}

impl Directives {
    fn escape(&self) -> char {
        self.escape.unwrap_or(DEFAULT_ESCAPE)
    }

    /// Reads a line that may be one. The first that is none ends them.
    fn read(&mut self, raw: &str) -> Result<(), InstructionError> {
        if self.is_over {
            return Ok(());
        }
        let Some((name, value)) = directive(raw) else {
            self.is_over = true;
            return Ok(());
        };
        if self.seen.contains(&name) {
            return Err(invalid(format!(
                "only one {name} parser directive can be used"
            )));
        }
        if name == "escape" {
            self.escape = Some(match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    return Err(invalid(format!(
                        "invalid escape token '{value}' does not match ` or \\"
                    )));
                }
            });
        }
        self.seen.push(name);
        Ok(())
    }
}

/// Name, in lower case, and value of a directive.
fn directive(raw: &str) -> Option<(String, &str)> {
    let (name, value) = raw.strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    let is_known = DIRECTIVES.contains(&name.as_str());
    (is_known && !value.is_empty()).then_some((name, value))
}
