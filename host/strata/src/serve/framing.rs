//! Where the body of a request ends on the wire.
//!
//! hyper alone decides what a body is. This only follows, so that the next request's head is read
//! by [`super::head`] and not by hyper: the length is the one hyper found, and chunks are counted
//! by the same rules. What is not understood here ends nowhere, and nothing is read after it.

use http_body::{Body as _, SizeHint};
use hyper::body::Incoming;

/// What is left of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Nobody knows; hyper will refuse it.
    Unclear,
}

/// The place within chunks (RFC 9112, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size { value: u64, digits: u8 },
    Extension { value: u64 },
    SizeLf { value: u64 },
    Data(u64),
    DataCr,
    DataLf,
    Line,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// A size of more hexadecimal digits does not fit; leading zeros are no reason to send more.
const SIZE_DIGITS: u8 = 16;

const FIRST: Chunk = Chunk::Size {
    value: 0,
    digits: 0,
};

impl Framing {
    /// That of a body as hyper took it.
    pub(super) fn of(body: &Incoming) -> Self {
        match body.is_end_stream() {
            true => Self::Length(0),
            false => Self::hinted(&body.size_hint()),
        }
    }

    fn hinted(hint: &SizeHint) -> Self {
        match hint.exact() {
            Some(length) => Self::Length(length),
            None => Self::Chunked(FIRST),
        }
    }

    /// Whether the body has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// How many of `bytes` still belong to the body.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Unclear => bytes.len(),
            Self::Length(left) => {
                let taken = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                taken
            }
            Self::Chunked(_) => self.take_chunks(bytes),
        }
    }

    fn take_chunks(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let Self::Chunked(chunk) = self else {
                return bytes.len();
            };
            match *chunk {
                Chunk::End => break,
                Chunk::Data(left) => {
                    let data = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    taken += data;
                    *chunk = match left - data as u64 {
                        0 => Chunk::DataCr,
                        left => Chunk::Data(left),
                    };
                }
                _ => {
                    taken += 1;
                    match rest.first().and_then(|&byte| chunk.after(byte)) {
                        Some(next) => *chunk = next,
                        None => *self = Self::Unclear,
                    }
                }
            }
        }
        taken
    }
}

impl Chunk {
    /// The place after `byte`, if it may stand here.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = u64::from(char::from(byte).to_digit(16)?);
                let value = value.checked_mul(16)?.checked_add(digit)?;
                let digits = digits + 1;
                (digits <= SIZE_DIGITS).then_some(Self::Size { value, digits })?
            }
            (Self::Size { digits: 0, .. }, _) => return None,
            (Self::Size { value, .. }, b';' | b' ' | b'\t') => Self::Extension { value },
            (Self::Size { value, .. } | Self::Extension { value }, b'\r') => Self::SizeLf { value },
            (Self::Extension { .. }, b'\n') => return None,
            (Self::Extension { value }, _) => Self::Extension { value },
            (Self::SizeLf { value: 0 }, b'\n') => Self::Line,
            (Self::SizeLf { value }, b'\n') => Self::Data(value),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => FIRST,
            (Self::Line, b'\r') => Self::EndLf,
            (Self::EndLf, b'\n') => Self::End,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::TrailerLf, b'\n') => Self::Line,
            (Self::Line | Self::Trailer, byte) if byte != b'\n' => Self::Trailer,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    /// What is taken when the wire arrives in pieces of `size`; `None` if no end is found.
    fn taken(mut framing: Framing, wire: &[u8], size: usize) -> Option<usize> {
        let mut taken = 0;
        for piece in wire.chunks(size) {
            taken += framing.take(piece);
            if framing.is_over() {
                return Some(taken);
            }
        }
        None
    }

    #[test]
    fn the_end_is_found_however_the_bytes_arrive() {
        for body in [
            &b"0\r\n\r\n"[..],
            b"5\r\nhello\r\n0\r\n\r\n",
            b"A;name=\"v\"\r\n0123456789\r\n0\r\n\r\n",
            b"a \r\n0\r\n\r\n56789\r\n000\r\n\r\n",
            b"1\r\n\r\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
        ] {
            let wire = [body, NEXT].concat();
            for size in 1..=wire.len() {
                let end = taken(Framing::Chunked(FIRST), &wire, size);
                assert_eq!(end, Some(body.len()), "{:?}", String::from_utf8_lossy(body));
            }
        }
        let wire = [b"hello", NEXT].concat();
        for size in 1..=wire.len() {
            assert_eq!(taken(Framing::Length(5), &wire, size), Some(5));
        }
        assert!(Framing::Length(0).is_over());
    }

    #[test]
    fn nothing_follows_what_is_not_understood() {
        for wire in [
            &b"\r\n"[..],
            b"g\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloworld\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5;x\nhello\r\n0\r\n\r\n",
            b"0\r\n\n",
            b"0\r\nTrailer: x\r\rGET",
            b"00000000000000000\r\n\r\n",
            b"10000000000000000\r\n\r\n",
            b"-1\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
        ] {
            let wire = [wire, NEXT].concat();
            for size in 1..=wire.len() {
                let end = taken(Framing::Chunked(FIRST), &wire, size);
                assert_eq!(end, None, "{:?}", String::from_utf8_lossy(&wire));
            }
        }
    }
}
