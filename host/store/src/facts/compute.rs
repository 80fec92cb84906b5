//! Computes the facts of a layer: decompresses it, only to hash and count.

use std::fs::File;
use std::io::{self, Read as _};

use crate::decompress::decompress;
use crate::digest::Hasher;
use crate::facts::LayerFacts;
use crate::{Algorithm, Digest, Error};

/// Uncompressed bytes hashed at once.
const OUTPUT: usize = 256 * 1024;

/// Computes the facts of a layer. `go_on` is asked every 256 KiB; `None` if it said no.
///
/// [`Error::Invalid`] if the layer does not decompress or exceeds a bound.
pub(super) fn compute(
    digest: &Digest,
    file: File,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<LayerFacts>, Error> {
    let mut reader = decompress(file)?;
    let mut buffer = vec![0; OUTPUT];
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut size = 0;
    while go_on() {
        // Filled, as decoders return little at a time.
        let mut length = 0;
        while length < buffer.len() {
            match reader.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(match Error::io(format!("reading {digest}"), error) {
                        Error::Invalid(text) => Error::Invalid(format!("layer {digest}: {text}")),
                        other => other,
                    });
                }
            }
        }
        if length == 0 {
            return Ok(Some(LayerFacts {
                diff_id: hasher.finish(),
                size,
            }));
        }
        size += length as u64;
        hasher.update(&buffer[..length]);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::{Seek as _, Write as _};

    use super::*;

    #[test]
    fn it_stops_when_told() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; 2 << 20]).unwrap();
        file.rewind().unwrap();
        let mut turns = 0;
        let mut go_on = || {
            turns += 1;
            turns < 3
        };
        let stopped = compute(&Digest::of(b""), file, &mut go_on).unwrap();
        assert_eq!(stopped, None);
        assert_eq!(turns, 3);
    }
}
