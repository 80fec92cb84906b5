//! What stands before and behind a decoder: who is at fault when it fails, and how much it may yield.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use strata_oci::archive::Compression;

use crate::Error;
use crate::decompress::{Limits, bound, headway};

/// What became of the decoder's input. Only one thread uses it at a time.
#[derive(Default)]
pub(crate) struct Progress {
    /// Bytes the decoder was given.
    consumed: AtomicU64,
    /// Bytes that came out.
    produced: AtomicU64,
    /// Whether the last read failed.
    failed: AtomicBool,
}

/// Watches what the decoder is given. It gets no more if too little comes out: a stream without content costs as
/// much to begin as one with some, and a decoder that goes from one to the next says nothing in between.
pub(crate) struct Watched<R> {
    reader: R,
    compression: Compression,
    progress: Arc<Progress>,
}

impl<R> Watched<R> {
    pub(crate) fn new(reader: R, compression: Compression, progress: Arc<Progress>) -> Watched<R> {
        Watched {
            reader,
            compression,
            progress,
        }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let progress = &self.progress;
        let (consumed, produced) = (
            progress.consumed.load(Ordering::Relaxed),
            progress.produced.load(Ordering::Relaxed),
        );
        if consumed > headway(self.compression) + 2 * produced {
            progress.failed.store(false, Ordering::Relaxed);
            return Err(invalid(format!(
                "{consumed} bytes of {} data have only {produced} in them; it is broken or malicious",
                self.compression
            )));
        }
        let result = self.reader.read(buffer);
        let failed = result.is_err();
        self.progress.failed.store(failed, Ordering::Relaxed);
        if let Ok(read) = &result {
            self.progress
                .consumed
                .fetch_add(*read as u64, Ordering::Relaxed);
        }
        result
    }
}

/// A decoder that is stopped at its bound, and whose own errors are told from its reader's.
pub(crate) struct Bounded {
    decoder: Box<dyn Read + Send>,
    compression: Compression,
    limits: Limits,
    progress: Arc<Progress>,
    produced: u64,
    state: Course,
}

/// Decoders differ in what a read returns after the end or an error; here the answer stays.
enum Course {
    Going,
    Ended,
    Broken(String),
}

impl Bounded {
    pub(crate) fn new(
        decoder: Box<dyn Read + Send>,
        compression: Compression,
        limits: Limits,
        progress: Arc<Progress>,
    ) -> Bounded {
        Bounded {
            decoder,
            compression,
            limits,
            progress,
            produced: 0,
            state: Course::Going,
        }
    }

    fn broken(&mut self, text: String) -> io::Error {
        self.state = Course::Broken(text.clone());
        invalid(text)
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.state {
            Course::Going => {}
            Course::Ended => return Ok(0),
            Course::Broken(text) => return Err(invalid(text.clone())),
        }
        let name = self.compression;
        match self.decoder.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                self.state = Course::Ended;
                Ok(0)
            }
            Ok(read) => {
                self.produced += read as u64;
                let produced = &self.progress.produced;
                produced.store(self.produced, Ordering::Relaxed);
                let consumed = self.progress.consumed.load(Ordering::Relaxed);
                let bound = bound(name, &self.limits, consumed);
                if self.produced > bound {
                    return Err(self.broken(format!(
                        "the {name} data becomes more than {bound} bytes; it is broken or malicious"
                    )));
                }
                Ok(read)
            }
            Err(error) if self.progress.failed.load(Ordering::Relaxed) => Err(error),
            // There is no room for the decoder yet.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(error) if error.get_ref().is_some_and(|it| it.is::<Error>()) => {
                match error.downcast() {
                    Ok(Error::Invalid(text)) => Err(self.broken(text)),
                    Ok(error) => Err(io::Error::other(error)),
                    Err(error) => Err(error),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.broken(format!("the {name} data is cut short")))
            }
            Err(error) => Err(self.broken(format!("the {name} data does not decompress: {error}"))),
        }
    }
}

pub(crate) fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::Invalid(text))
}
