//! A line to the arguments of its instruction. Variables and most quotes are left for later, when they are expanded.

use serde_json::value::RawValue;

use super::{InstructionError, invalid, line::Line};
use crate::{json, quote::quote};

/// What separates words where quotes do not count.
const BLANKS: [char; 5] = ['\t', '\x0b', '\x0c', '\r', ' '];

/// Splits a line.
pub(super) fn split(line: String, escape: char) -> Result<Line, InstructionError> {
    let mut line = split_command(line, escape);
    let Some(rest) = line.arguments.pop() else {
        return Ok(line);
    };
    let rest = rest.trim();
    match line.word.to_ascii_lowercase().as_str() {
        "cmd" | "entrypoint" | "run" | "shell" => {
            (line.arguments, line.is_json) = json_or(rest, |rest| vec![rest.to_owned()])?;
        }
        "volume" | "add" | "copy" => {
            (line.arguments, line.is_json) = json_or(rest, blank_separated)?;
        }
        "healthcheck" => {
            let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let command = json_or(command.trim_start(), |rest| vec![rest.to_owned()])?;
            line.arguments = [vec![kind.to_owned()], command.0].concat();
            line.is_json = command.1;
        }
        "env" => line.arguments = pairs(rest, "ENV", escape)?,
        "label" => line.arguments = pairs(rest, "LABEL", escape)?,
        "expose" => line.arguments = blank_separated(rest),
        "user" | "workdir" | "stopsignal" => line.arguments = vec![rest.to_owned()],
        "onbuild" => line.arguments = trigger(rest, escape)?,
        _ => {}
    }
    if rest.is_empty() {
        line.arguments.clear();
    }
    Ok(line)
}

/// The first word of an `ONBUILD`'s instruction, once that is known to parse.
fn trigger(rest: &str, escape: char) -> Result<Vec<String>, InstructionError> {
    let inner = split_command(rest.to_owned(), escape);
    // A chain is refused later. Following it here would go as deep as it is long.
    match inner.word.eq_ignore_ascii_case("onbuild") {
        true => Ok(vec![inner.word]),
        false => Ok(vec![split(inner.original, escape)?.word]),
    }
}

/// Splits off the instruction's word and flags; what is left is the one argument.
fn split_command(original: String, escape: char) -> Line {
    let trimmed = original.trim();
    let (word, rest) = split_at_blanks(trimmed).unwrap_or((trimmed, ""));
    let (flags, rest) = flags(rest, escape);
    Line {
        word: word.to_owned(),
        flags,
        arguments: vec![rest.to_owned()],
        is_json: false,
        original,
    }
}

/// The leading words that start with two hyphens, without quotes, and what comes after them. Two hyphens alone end
/// them.
fn flags(line: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        if !rest.starts_with("--") {
            return (flags, rest);
        }
        let (word, after) = unquoted_word(rest, escape);
        rest = after;
        if word == "--" {
            return (flags, rest);
        }
        flags.push(word);
    }
}

/// The first word without its quotes and escape characters, and what comes after it.
fn unquoted_word(text: &str, escape: char) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((position, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (word, text.get(position..).unwrap_or_default()),
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape => word.extend(chars.next().map(|(_, c)| c)),
            _ => word.push(c),
        }
    }
    (word, "")
}

/// The strings of a JSON array; what is none is split by `otherwise`. The second says which.
fn json_or(
    rest: &str,
    otherwise: impl Fn(&str) -> Vec<String>,
) -> Result<(Vec<String>, bool), InstructionError> {
    if rest.is_empty() {
        return Ok((Vec::new(), false));
    }
    let array = match rest.starts_with('[') {
        true => json::from_slice::<Vec<Box<RawValue>>>(rest.as_bytes()).ok(),
        false => None,
    };
    let Some(array) = array else {
        return Ok((otherwise(rest), false));
    };
    let strings = array.into_iter().map(|value| {
        let text = value.get().starts_with('"');
        let text = text.then(|| json::from_slice(value.get().as_bytes()).ok());
        text.flatten().ok_or_else(|| {
            invalid("when using JSON array syntax, arrays must be comprised of strings only")
        })
    });
    Ok((strings.collect::<Result<_, _>>()?, true))
}

/// Names and values in turn: `name=value …`, or one name, blanks and the rest as its value.
fn pairs(rest: &str, instruction: &str, escape: char) -> Result<Vec<String>, InstructionError> {
    let words = quoted_words(rest, escape);
    let Some(first) = words.first() else {
        return Ok(Vec::new());
    };
    if !first.contains('=') {
        return match split_at_blanks(rest) {
            Some((name, value)) => Ok(vec![name.to_owned(), value.to_owned()]),
            None => Err(invalid(format!("{instruction} must have two arguments"))),
        };
    }
    let mut pairs = Vec::with_capacity(2 * words.len());
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(invalid(format!(
                "Syntax error - can't find = in {}. Must be of the form: name=value",
                quote(&word)
            )));
        };
        pairs.extend([name.to_owned(), value.to_owned()]);
    }
    Ok(pairs)
}

/// Splits at white space that is neither quoted nor escaped; quotes and escape characters stay.
fn quoted_words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            // Nothing can be escaped between single quotes.
            Some('\'') => {}
            _ if c == escape => {
                // One at the very end stands for nothing.
                let Some(escaped) = chars.next() else { break };
                word.extend([c, escaped]);
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn blank_separated(rest: &str) -> Vec<String> {
    let words = rest.split(BLANKS).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// What is before and after the first blanks.
fn split_at_blanks(text: &str) -> Option<(&str, &str)> {
    let (before, after) = text.split_once(BLANKS)?;
    Some((before, after.trim_start_matches(BLANKS)))
}
