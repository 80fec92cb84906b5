//! zstd, frame by frame: what each will need is known before its decoder takes it.
//!
//! <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1>

use std::io::{self, BufRead, Read};

use ::zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use crate::bounded::invalid;
use crate::memory::{BESIDE, Room};

/// Largest window, as its logarithm: 128 MiB, what `zstd -d` accepts. Go's decoder in containerd and dockerd takes
/// up to 512 MiB; no encoder makes such windows but by hand.
const WINDOW_LOG: u32 = 27;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Length of the header of a frame that is skipped.
const SKIPPABLE: usize = 8;

/// Reads the frames of `input`, decompressed.
pub(crate) struct Frames<R> {
    input: R,
    decoder: Decoder<'static>,
    room: Room,
    /// Bytes of a frame's header the decoder did not get yet.
    head: Vec<u8>,
    place: Place,
    /// Whether the decoder may have more to give than there was room for.
    is_full: bool,
}

#[derive(PartialEq, Eq)]
enum Place {
    /// At the start of the first frame.
    Start,
    /// Between two frames.
    Between,
    Inside,
}

impl<R: BufRead> Frames<R> {
    pub(crate) fn new(input: R, room: Room) -> io::Result<Frames<R>> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Frames {
            input,
            decoder,
            room,
            head: Vec::new(),
            place: Place::Start,
            is_full: false,
        })
    }

    /// Gets to the end of a frame's header. False if there is no other frame.
    fn begin(&mut self) -> io::Result<bool> {
        while let missing @ 1.. = length(&self.head).saturating_sub(self.head.len()) {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                return match self.head.is_empty() && self.place == Place::Between {
                    true => Ok(false),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
            let count = missing.min(bytes.len());
            self.head.extend_from_slice(&bytes[..count]);
            self.input.consume(count);
        }
        let window = window(&self.head);
        if window > 1 << WINDOW_LOG {
            return Err(invalid(format!(
                "the zstd data asks for a window of {window} bytes, more than the {} that are given: \
                 compress it with a smaller one, for example by `zstd --long=27`",
                1_u64 << WINDOW_LOG
            )));
        }
        self.room.make(window.saturating_add(BESIDE))?;
        if self.place == Place::Between {
            self.decoder.reinit()?;
        }
        self.place = Place::Inside;
        Ok(true)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.place != Place::Inside && !self.begin()? {
                return Ok(0);
            }
            let has_head = !self.head.is_empty();
            let input = match (has_head, self.is_full) {
                (true, _) => &self.head,
                // What it still has comes before the wait for more.
                (false, true) => &[][..],
                (false, false) => self.input.fill_buf()?,
            };
            if input.is_empty() && !self.is_full {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (mut source, mut target) =
                (InBuffer::around(input), OutBuffer::around(&mut *buffer));
            let hint = self.decoder.run(&mut source, &mut target)?;
            let (read, written) = (source.pos(), target.pos());
            match has_head {
                true => drop(self.head.drain(..read)),
                false => self.input.consume(read),
            }
            self.is_full = written == buffer.len();
            if hint == 0 {
                self.place = Place::Between;
                self.is_full = false;
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

/// How long the header is that begins so, as far as that is known.
fn length(head: &[u8]) -> usize {
    match head {
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => SKIPPABLE,
        [a, b, c, d, rest @ ..] if [*a, *b, *c, *d] == MAGIC => match rest {
            [descriptor, ..] => {
                let fields = Fields::of(*descriptor);
                5 + fields.window + fields.dictionary + fields.content
            }
            [] => 5,
        },
        // The decoder will say what is wrong with it.
        _ => MAGIC.len(),
    }
}

/// Lengths of the fields of a frame's header.
struct Fields {
    window: usize,
    dictionary: usize,
    content: usize,
}

impl Fields {
    fn of(descriptor: u8) -> Fields {
        let is_single_segment = descriptor & 0x20 != 0;
        Fields {
            window: usize::from(!is_single_segment),
            dictionary: [0, 1, 2, 4][usize::from(descriptor & 3)],
            content: match descriptor >> 6 {
                0 => usize::from(is_single_segment),
                flag => 1 << flag,
            },
        }
    }
}

/// Bytes the frame with this header needs for its window.
fn window(head: &[u8]) -> u64 {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, fields @ ..] = head else {
        return 0;
    };
    let lengths = Fields::of(*descriptor);
    if let (1, [window, ..]) = (lengths.window, fields) {
        let base = 1_u64 << (10 + (window >> 3));
        return base + base / 8 * u64::from(window & 7);
    }
    // A single segment: all of it.
    let content = fields.get(lengths.dictionary..).unwrap_or_default();
    let mut bytes = [0; 8];
    bytes
        .iter_mut()
        .zip(content)
        .for_each(|(to, from)| *to = *from);
    let content = u64::from_le_bytes(bytes);
    match lengths.content {
        2 => content + 256,
        _ => content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_read_from_the_header() {
        let header = |rest: &[u8]| [&MAGIC[..], rest].concat();
        for (head, bytes) in [
            (header(&[0x00, 0x00]), 1 << 10),
            (header(&[0x00, 0x58]), 2 << 20),
            (header(&[0x04, 0x68]), 8 << 20),
            (header(&[0x00, 0x88]), 128 << 20),
            (header(&[0x00, 0x89]), 144 << 20),
            (header(&[0x00, 0xff]), (1 << 41) + 7 * (1 << 38)),
            // With a dictionary and a length.
            (header(&[0x82, 0x58, 1, 1, 9, 9, 9, 9]), 2 << 20),
            // Single segments, of one to eight bytes of length.
            (header(&[0x20, 200]), 200),
            (header(&[0x60, 0x00, 0x01]), 512),
            (header(&[0xa0, 0, 0, 0, 0x10]), 256 << 20),
            (header(&[0xe3, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0]), 1 << 32),
            (vec![0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0], 0),
        ] {
            assert_eq!(length(&head), head.len(), "{head:x?}");
            assert_eq!(window(&head), bytes, "{head:x?}");
            // It is not longer than what is known of it.
            for known in 0..head.len() {
                let length = length(&head[..known]);
                assert!(
                    length > known && length <= head.len(),
                    "{known} of {head:x?}"
                );
            }
        }
    }
}
