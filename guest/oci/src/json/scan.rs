//! Where values begin and end. [`check`] looks a whole document over; everything else relies on that and only finds its
//! way. Nothing recurses.

use super::{Error, MAX_DEPTH};

/// Where something is that does not belong to the document.
pub(super) const AFTER_VALUE: &str = "after top-level value";

/// Looks a document over, and says where its value begins.
pub(super) fn check(bytes: &[u8]) -> Result<usize, Error> {
    let mut scan = Scan { bytes, at: 0 };
    scan.space();
    let start = scan.at;
    scan.value()?;
    scan.space();
    match scan.peek() {
        None => Ok(start),
        Some(_) => Err(scan.fault(AFTER_VALUE)),
    }
}

/// The first byte at or after `at` that is no blank.
pub(super) fn after_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the value at `at` ends, in a document that has been checked.
pub(super) fn end_of_value(bytes: &[u8], mut at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => return end_of_string(bytes, at),
        Some(b'{' | b'[') => {}
        _ => {
            while let Some(byte) = bytes.get(at)
                && !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
            {
                at += 1;
            }
            return at;
        }
    }
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where the string at `at` ends, behind its closing quote.
pub(super) fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// What is open around a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Object,
    List,
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        self.at = after_space(self.bytes, self.at);
    }

    fn fault(&self, context: &'static str) -> Error {
        match self.peek() {
            None => Error::End,
            Some(found) => Error::Syntax {
                found,
                context,
                offset: self.at,
            },
        }
    }

    /// One value, with all that is in it.
    fn value(&mut self) -> Result<(), Error> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.space();
            let opened = match self.peek() {
                Some(b'{') => Some(Open::Object),
                Some(b'[') => Some(Open::List),
                Some(b'"') => {
                    self.string()?;
                    None
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                    None
                }
                _ => {
                    self.word()?;
                    None
                }
            };
            if let Some(kind) = opened {
                self.at += 1;
                self.space();
                let is_empty = matches!(
                    (kind, self.peek()),
                    (Open::Object, Some(b'}')) | (Open::List, Some(b']'))
                );
                if open.len() >= MAX_DEPTH {
                    return Err(Error::TooDeep);
                }
                if !is_empty {
                    open.push(kind);
                    if kind == Open::Object {
                        self.key()?;
                    }
                    continue;
                }
                self.at += 1;
            }
            // A value has ended, and perhaps what it is in.
            loop {
                let Some(kind) = open.last() else {
                    return Ok(());
                };
                self.space();
                match (kind, self.peek()) {
                    (Open::Object, Some(b',')) => {
                        self.at += 1;
                        self.space();
                        self.key()?;
                        break;
                    }
                    (Open::List, Some(b',')) => {
                        self.at += 1;
                        break;
                    }
                    (Open::Object, Some(b'}')) | (Open::List, Some(b']')) => {
                        self.at += 1;
                        open.pop();
                    }
                    (Open::Object, _) => return Err(self.fault("after object key:value pair")),
                    (Open::List, _) => return Err(self.fault("after array element")),
                }
            }
        }
    }

    /// The name of a member, and the colon.
    fn key(&mut self) -> Result<(), Error> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("looking for beginning of object key string"));
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.fault("after object key"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Error> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            self.at += 1;
                        }
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                                    return Err(self.fault("in \\u hexadecimal character escape"));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(self.fault("in string escape code")),
                    }
                }
                Some(0..0x20) => return Err(self.fault("in string literal")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("")),
            }
        }
    }

    fn number(&mut self) -> Result<(), Error> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one.
    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => Err(self.fault("in numeric literal")),
        }
    }

    fn word(&mut self) -> Result<(), Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        for word in [&b"null"[..], b"true", b"false"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
        }
        Err(self.fault("looking for beginning of value"))
    }
}
