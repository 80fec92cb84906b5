//! Computes the facts of a layer: decompresses it, only to hash and count.
//!
//! What was read is hashed as well: facts are about the bytes a digest names, not about what a disk
//! made of them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strata_codec::{DecoderMemory, Room, decompress, is_plain};

use super::table::LayerFacts;
use crate::damage::Damage;
use crate::sync::lock;
use crate::{Algorithm, Digest, Error};
use strata_oci::digest::Hasher;

/// Uncompressed bytes hashed at once.
const OUTPUT: usize = 256 * 1024;
/// Bytes that show how a layer is compressed.
const HEAD: usize = 512;
/// How often it is looked whether there is memory for the decoder now.
const PAUSE: Duration = Duration::from_millis(20);

/// Computes the facts of a layer. `go_on` is asked every 256 KiB, and while it waits for the memory of a
/// decoder, which may be for so long as `patience`; `None` if it said no.
///
/// [`Error::Damaged`] if the blob has another digest; it is marked. [`Error::Invalid`] if the layer
/// does not decompress or exceeds a bound.
pub(super) fn compute(
    damage: &Damage,
    decoders: &DecoderMemory,
    digest: &Digest,
    patience: Option<Duration>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<LayerFacts>, Error> {
    let opened = damage.layout().open_blob(digest);
    let (file, stamp) = opened.map_err(|it| damage.settle(digest, it))?;
    let room = decoders.room(patience, || {});
    let Some(layer) = read(digest, file, room, go_on)? else {
        return Ok(None);
    };
    if layer.digest != *digest {
        return Err(Error::Damaged {
            reason: damage.mismatched(digest, stamp, &layer.digest),
            digest: digest.clone(),
        });
    }
    layer.facts.map(Some)
}

/// A layer that was read to its end.
struct Layer {
    /// What was to be learned, or why it does not decompress.
    facts: Result<LayerFacts, Error>,
    /// Of its bytes as they are in the file.
    digest: Digest,
}

/// Reads the layer in `file`, which should be that of `digest`.
fn read(
    digest: &Digest,
    file: File,
    room: Room,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Layer>, Error> {
    let doing = || format!("reading {digest}");
    let mut head = [0; HEAD];
    let length = file
        .read_at(&mut head, 0)
        .map_err(|error| Error::io(doing(), error))?;
    // Then the digest of what comes out is that of what goes in.
    let is_both =
        digest.algorithm() == Algorithm::Sha256 && is_plain(head.get(..length).unwrap_or(&head));
    let source = Source(Arc::new(Mutex::new((
        file,
        (!is_both).then(|| Hasher::new(digest.algorithm())),
    ))));
    let mut reader = decompress(source.clone(), room).map_err(|error| Error::io(doing(), error))?;
    let mut buffer = vec![0; OUTPUT];
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut size = 0;
    let mut broken = None;
    while go_on() {
        // Filled, as decoders return little at a time.
        let (mut length, mut waits) = (0, false);
        // A layer that does not decompress may be one that is damaged: its end tells.
        while length < buffer.len() && broken.is_none() && !waits {
            match reader.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => waits = true,
                Err(error) => match Error::io(doing(), error) {
                    // With one hash for both, nothing is known of bytes that were not taken.
                    Error::Invalid(text) if !is_both => {
                        broken = Some(Error::Invalid(format!("layer {digest}: {text}")));
                    }
                    other => return Err(other),
                },
            }
        }
        if broken.is_none() && length > 0 {
            size += length as u64;
            hasher.update(&buffer[..length]);
            continue;
        }
        if waits && broken.is_none() {
            std::thread::sleep(PAUSE);
            continue;
        }
        // What no decoder wanted is part of the blob all the same.
        match source.clone().read(&mut buffer) {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io(doing(), error)),
        }
        let diff_id = hasher.finish();
        let actual = lock(&source.0).1.take().map(Hasher::finish);
        return Ok(Some(Layer {
            digest: actual.unwrap_or_else(|| diff_id.clone()),
            facts: broken.map_or(Ok(LayerFacts { diff_id, size }), Err),
        }));
    }
    Ok(None)
}

/// A file that is hashed while it is read, by whoever reads it.
#[derive(Clone)]
struct Source(Arc<Mutex<(File, Option<Hasher>)>>);

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut source = lock(&self.0);
        let read = source.0.read(buffer)?;
        if let (Some(hasher), Some(bytes)) = (&mut source.1, buffer.get(..read)) {
            hasher.update(bytes);
        }
        Ok(read)
    }
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
        let room = DecoderMemory::default().room(None, || {});
        let mut turns = 0;
        let mut go_on = || {
            turns += 1;
            turns < 3
        };
        let stopped = read(&Digest::sha256(b""), file, room, &mut go_on).unwrap();
        assert!(stopped.is_none());
        assert_eq!(turns, 3);
    }
}
