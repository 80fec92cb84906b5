//! Quotes, escapes and variables, as in a shell: `'…'`, `"…"`, `\x`, `$X`, `${X}`, `${X:-word}`, `${X:+word}`,
//! `${X:?word}`, and these without the colon.

use std::{iter::Peekable, str::Chars};

use super::{InstructionError, environment::Environment, invalid};
use crate::{config::MAX_CONFIG_BYTES, quote::quote};

/// The most bytes all variables may expand to: more would be no config. Without it a few lines that double a value
/// would fill the memory.
const MAX_EXPANDED_BYTES: usize = MAX_CONFIG_BYTES;
/// Characters of a word that an error shows.
const MAX_SHOWN: usize = 1000;
/// How deep `${X:-${Y:-…}}` may go.
const MAX_DEPTH: usize = 64;

/// Expands words, within a bound for all of them.
pub(super) struct Expansion {
    escape: char,
    /// Bytes variables may still expand to.
    left: usize,
}

impl Expansion {
    /// Nothing is expanded yet.
    pub(super) fn new(escape: char) -> Self {
        Self {
            escape,
            left: MAX_EXPANDED_BYTES,
        }
    }

    /// A word with its variables replaced, without quotes and escapes.
    pub(super) fn word(
        &mut self,
        source: &str,
        environment: &Environment,
    ) -> Result<String, InstructionError> {
        Ok(self.expand(source, environment)?.text)
    }

    /// The same, split at white space that is neither quoted nor escaped.
    pub(super) fn words(
        &mut self,
        source: &str,
        environment: &Environment,
    ) -> Result<Vec<String>, InstructionError> {
        let mut output = self.expand(source, environment)?;
        output.end_word();
        Ok(output.words)
    }

    fn expand(
        &mut self,
        source: &str,
        environment: &Environment,
    ) -> Result<Output, InstructionError> {
        let mut reader = Reader {
            chars: source.chars().peekable(),
            environment,
            expansion: self,
            depth: 0,
            is_too_much: false,
        };
        let read = reader.read(None);
        let is_too_much = reader.is_too_much;
        read.map_err(|reason| {
            let start: String = source.chars().take(MAX_SHOWN).collect();
            let more = if start.len() < source.len() {
                "…"
            } else {
                ""
            };
            let text = format!("failed to process {}{more}: {reason}", quote(&start));
            match is_too_much {
                true => InstructionError::TooMuch(text),
                false => invalid(text),
            }
        })
    }
}

/// What a word became.
#[derive(Default)]
struct Output {
    text: String,
    words: Vec<String>,
    /// The last of the words, which may go on.
    word: String,
}

impl Output {
    /// Text in which white space is nothing special.
    fn push_raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    /// Text that is split.
    fn push(&mut self, c: char) {
        self.text.push(c);
        match c.is_whitespace() {
            true => self.end_word(),
            false => self.word.push(c),
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    environment: &'a Environment,
    expansion: &'a mut Expansion,
    depth: usize,
    /// The variables expand to more than they may.
    is_too_much: bool,
}

/// Errors are reasons; the word at fault is put before them.
impl Reader<'_> {
    /// Reads to the end, or to `stop`, which is used up.
    fn read(&mut self, stop: Option<char>) -> Result<Output, String> {
        let mut output = Output::default();
        while let Some(c) = self.chars.next() {
            match c {
                c if Some(c) == stop => return Ok(output),
                '\'' => output.push_raw(&self.single_quoted()?),
                '"' => output.push_raw(&self.double_quoted()?),
                '$' => self.dollar()?.chars().for_each(|c| output.push(c)),
                c if c == self.expansion.escape => match self.chars.next() {
                    Some(escaped) => output.push_raw(escaped.encode_utf8(&mut [0; 4])),
                    None => break,
                },
                c => output.push(c),
            }
        }
        match stop {
            Some(_) => Err("syntax error: missing '}'".to_owned()),
            None => Ok(output),
        }
    }

    /// Everything up to the next quote, as it is.
    fn single_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(unmatched("single")),
            }
        }
    }

    /// Variables are replaced; only the quote, `$` and the escape character are escaped.
    fn double_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('"') => return Ok(text),
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == self.expansion.escape => match self.chars.peek() {
                    Some(&next) if matches!(next, '"' | '$') || next == c => {
                        self.chars.next();
                        text.push(next);
                    }
                    Some(_) => text.push(c),
                    None => {}
                },
                Some(c) => text.push(c),
                None => return Err(unmatched("double")),
            }
        }
    }

    /// What a `$`, just read, and what follows it stand for.
    fn dollar(&mut self) -> Result<String, String> {
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return match name.is_empty() {
                true => Ok("$".to_owned()),
                false => Ok(self.value(&name)?.unwrap_or_default()),
            };
        }
        if let Some('{' | '}' | ':') = self.chars.peek() {
            return Err("syntax error: bad substitution".to_owned());
        }
        let name = self.name();
        let missing = || "syntax error: missing '}'".to_owned();
        let mut modifier = self.chars.next().ok_or_else(missing)?;
        if modifier == '}' {
            return Ok(self.value(&name)?.unwrap_or_default());
        }
        let mut colon = "";
        if modifier == ':' {
            colon = ":";
            modifier = self.chars.next().ok_or_else(missing)?;
        }
        if !matches!(modifier, '-' | '+' | '?') {
            return Err(format!(
                "unsupported modifier ({colon}{modifier}) in substitution"
            ));
        }
        let word = self.nested()?;
        let value = self.value(&name)?;
        // With the colon an empty value is as good as none.
        let usable = value.filter(|value| colon.is_empty() || !value.is_empty());
        match (modifier, usable) {
            ('+', Some(_)) | ('-', None) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (_, None) if !word.is_empty() => Err(format!("{name}: {word}")),
            (_, None) => Err(match self.environment.get(&name) {
                Some(_) => format!("{name}: is not allowed to be empty"),
                None => format!("{name}: is not allowed to be unset"),
            }),
        }
    }

    /// The word of `${X:-word}`.
    fn nested(&mut self) -> Result<String, String> {
        if self.depth == MAX_DEPTH {
            return Err(format!(
                "substitutions are nested more than {MAX_DEPTH} deep"
            ));
        }
        self.depth += 1;
        let word = self.read(Some('}'))?.text;
        self.depth -= 1;
        Ok(word)
    }

    /// The name of a variable: letters, digits and underscores, or digits alone, or one of the shell's own.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(&c @ ('@' | '*' | '#' | '?' | '-' | '$' | '!')) => {
                self.chars.next();
                name.push(c);
            }
            Some(c) if c.is_numeric() => {
                while let Some(c) = self.chars.next_if(|c| c.is_numeric()) {
                    name.push(c);
                }
            }
            _ => {
                let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
                while let Some(c) = self.chars.next_if(is_part) {
                    name.push(c);
                }
            }
        }
        name
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(value) = self.environment.get(name) else {
            return Ok(None);
        };
        let left = self.expansion.left.checked_sub(value.len());
        self.is_too_much |= left.is_none();
        self.expansion.left = left.ok_or_else(|| {
            format!("the variables expand to more than {MAX_EXPANDED_BYTES} bytes")
        })?;
        Ok(Some(value.to_owned()))
    }
}

fn unmatched(kind: &str) -> String {
    format!("unexpected end of statement while looking for matching {kind}-quote")
}
