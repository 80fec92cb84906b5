//! bzip2 of any number of streams, of which each costs memory that has to be cleared.

use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;

use crate::bounded::invalid;

/// Streams that may be short.
const SHORT: u64 = 1000;
/// Bytes that others have at least, on average. Parallel compressors end a stream after 100 KB or more.
const LENGTH: u64 = 4096;

/// Decompresses.
pub(crate) struct Streams<R> {
    state: Member<R>,
    begun: u64,
    produced: u64,
}

enum Member<R> {
    Within(BzDecoder<R>),
    Between(R),
    Ended,
}

impl<R: BufRead> Streams<R> {
    pub(crate) fn new(reader: R) -> Streams<R> {
        Streams {
            state: Member::Between(reader),
            begun: 0,
            produced: 0,
        }
    }
}

impl<R: BufRead> Read for Streams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.state {
                Member::Within(decoder) => {
                    let read = decoder.read(buffer)?;
                    self.produced += read as u64;
                    if read > 0 {
                        return Ok(read);
                    }
                }
                Member::Between(reader) => {
                    if reader.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    if self.begun > SHORT + self.produced / LENGTH {
                        return Err(invalid(format!(
                            "the bzip2 data has more than {} streams and only {} bytes in them; it is broken or malicious",
                            self.begun, self.produced
                        )));
                    }
                }
                Member::Ended => return Ok(0),
            }
            self.state = match std::mem::replace(&mut self.state, Member::Ended) {
                Member::Within(decoder) => Member::Between(decoder.into_inner()),
                Member::Between(reader) => {
                    self.begun += 1;
                    Member::Within(BzDecoder::new(reader))
                }
                Member::Ended => Member::Ended,
            };
        }
    }
}
