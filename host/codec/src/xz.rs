//! xz, whose decoder stops before it takes more memory than it was given, and goes on when it has more.

use std::io::{self, BufRead, Read};

use liblzma::stream::{Action, CONCATENATED, Error, Status, Stream};

use crate::bounded::invalid;
use crate::memory::{BESIDE, Room};

/// What a decoder is given, in MiB: the dictionaries of `xz -0` to `-9`, and one of 128 MiB as with zstd, each
/// with 1 MiB for all else.
const SIZES: [u64; 9] = [1, 2, 3, 5, 9, 17, 33, 65, 129];

/// Reads the streams of `input`, decompressed.
pub(crate) struct Streams<R> {
    input: R,
    decoder: Stream,
    room: Room,
    /// What the decoder needs before it goes on.
    needs: u64,
}

impl<R: BufRead> Streams<R> {
    pub(crate) fn new(input: R, room: Room) -> io::Result<Streams<R>> {
        Ok(Streams {
            input,
            // Of the least limit there is, each stream is beyond it.
            decoder: Stream::new_stream_decoder(1, CONCATENATED)?,
            room,
            needs: 0,
        })
    }

    /// Finds out how much memory the decoder wants.
    fn raise(&mut self) -> io::Result<()> {
        let mut sizes = SIZES.iter().map(|size| size << 20);
        let size = sizes.find(|size| self.decoder.set_memlimit(*size).is_ok());
        self.needs = size.ok_or_else(|| {
            invalid(
                "the xz data asks for a dictionary of more than 128 MiB: compress it with a smaller one, \
                 for example by `xz -9`"
                    .to_owned(),
            )
        })?;
        Ok(())
    }
}

impl<R: BufRead> Read for Streams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            self.room.make(self.needs + BESIDE)?;
            let input = self.input.fill_buf()?;
            let is_end = input.is_empty();
            let action = match is_end {
                true => Action::Finish,
                false => Action::Run,
            };
            let before = (self.decoder.total_in(), self.decoder.total_out());
            let processed = self.decoder.process(input, buffer, action);
            let consumed = usize::try_from(self.decoder.total_in() - before.0);
            let written = usize::try_from(self.decoder.total_out() - before.1);
            let (Ok(consumed), Ok(written)) = (consumed, written) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            self.input.consume(consumed);
            let status = match processed {
                Err(Error::MemLimit) => {
                    self.raise()?;
                    Status::MemNeeded
                }
                processed => processed?,
            };
            match status {
                _ if written > 0 => return Ok(written),
                Status::StreamEnd => return Ok(0),
                Status::MemNeeded => {}
                _ if is_end => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if consumed == 0 => return Err(io::ErrorKind::InvalidData.into()),
                _ => {}
            }
        }
    }
}
