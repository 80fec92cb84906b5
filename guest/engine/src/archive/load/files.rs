//! The files and links of a Docker archive, by name.

use std::collections::{HashMap, hash_map::Entry};

use strata_oci::{
    Digest,
    archive::{Compression, layout::blob_digest},
};

use crate::{
    Error, Result,
    archive::{invalid, quoted},
};

/// Bytes of memory for names and what they stand for: room for a hundred thousand, that is
/// for some thousands of images. Which names matter is known only at the end.
const MAX_BYTES: usize = 32 << 20;
/// What a name takes besides its own length and its target's: entry, digest, size.
const NAME_BYTES: usize = 200;
/// Links followed from one name. Docker writes one; a ring of them must end.
const MAX_LINKS: usize = 8;

/// A file whose content is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its digest.
    pub(super) digest: Digest,
    /// Its size in bytes.
    pub(super) size: u64,
    /// How it is compressed.
    pub(super) compression: Compression,
}

/// What a name leads to.
pub(super) enum Found<'a> {
    /// A file.
    File(&'a File),
    /// A place for content, whether or not that is here.
    Blob(Digest),
}

/// What stands at a name.
#[derive(PartialEq, Eq)]
enum Place {
    File(File),
    Link(String),
}

/// Files and links by name.
#[derive(Default)]
pub(super) struct Files {
    places: HashMap<String, Place>,
    bytes: usize,
}

impl Files {
    /// Adds a file.
    pub(super) fn add_file(&mut self, path: String, file: File) -> Result<()> {
        self.add(path, Place::File(file))
    }

    /// Adds a link; `target` is a name of the archive.
    pub(super) fn add_link(&mut self, path: String, target: String) -> Result<()> {
        self.add(path, Place::Link(target))
    }

    fn add(&mut self, path: String, place: Place) -> Result<()> {
        let target = match &place {
            Place::File(_) => 0,
            Place::Link(target) => target.len(),
        };
        self.bytes = self.bytes.saturating_add(path.len() + target + NAME_BYTES);
        if self.bytes > MAX_BYTES {
            return Err(Error::QuotaExceeded(format!(
                "the archive has too many files, their names take more than {MAX_BYTES} bytes"
            )));
        }
        match self.places.entry(path) {
            // Which of them counts differs from tool to tool.
            Entry::Occupied(known) if *known.get() != place => Err(invalid(format_args!(
                "the archive has two different entries {}",
                quoted(known.key())
            ))),
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(vacant) => {
                vacant.insert(place);
                Ok(())
            }
        }
    }

    /// What a cleaned name leads to, through links.
    pub(super) fn find(&self, path: &str) -> Option<Found<'_>> {
        let mut path = path;
        for _ in 0..=MAX_LINKS {
            match self.places.get(path) {
                Some(Place::File(file)) => return Some(Found::File(file)),
                Some(Place::Link(target)) => path = target,
                None => return blob_digest(path).map(Found::Blob),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        let mut files = Files::default();
        let target = "t".repeat(4096);
        let mut added = 0;
        let error = loop {
            match files.add_link(format!("link{added}"), target.clone()) {
                Ok(()) => added += 1,
                Err(error) => break error,
            }
        };
        assert!(added < MAX_BYTES / target.len(), "{added}");
        assert_eq!(
            error.to_string(),
            "the archive has too many files, their names take more than 33554432 bytes"
        );
    }

    #[test]
    fn links_are_followed_to_their_end_but_not_round_and_round() {
        let mut files = Files::default();
        for number in 0..20 {
            let next = format!("{}", number + 1);
            files.add_link(number.to_string(), next).unwrap();
        }
        let digest = Digest::sha256(b"");
        let file = File {
            digest: digest.clone(),
            size: 0,
            compression: Compression::Plain,
        };
        files.add_file("20".to_owned(), file).unwrap();
        files
            .add_link("ring".to_owned(), "ring".to_owned())
            .unwrap();
        assert!(matches!(files.find("12"), Some(Found::File(_))));
        for name in ["11", "0", "ring", "21", ""] {
            assert!(files.find(name).is_none(), "{name}");
        }
        let path = strata_oci::archive::layout::blob_path(&digest);
        files.add_link("blob".to_owned(), path).unwrap();
        assert!(matches!(files.find("blob"), Some(Found::Blob(found)) if found == digest));
    }
}
