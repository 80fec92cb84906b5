//! Entries as bytes, the same for the same entry whenever and wherever they are written.

use std::{borrow::Cow, collections::BTreeMap};

use tar::EntryType;

use super::{Entry, Kind};
use crate::archive::{ATTRIBUTE_PREFIX, Fields, LARGE_FIELD, NAME_FIELD, OWNER_FIELD, pax_record};

/// The header of an entry: ustar, with a pax header before it only for what ustar cannot say (long or non-ASCII names,
/// large numbers, attributes). A file's content and [`crate::archive::padding`] follow; [`crate::archive::END`] ends a
/// layer. Directories get a slash at the end of their name. An attribute with `=` in its name has no place in a pax
/// header, and is left out.
pub fn header(entry: &Entry) -> Vec<u8> {
    let path = written_path(entry);
    let (kind, link, size, device) = match &entry.kind {
        Kind::File(size) => (EntryType::Regular, b"".as_slice(), *size, (0, 0)),
        Kind::Sparse(sparse) => (EntryType::Regular, b"".as_slice(), sparse.size, (0, 0)),
        Kind::Directory => (EntryType::Directory, b"".as_slice(), 0, (0, 0)),
        Kind::Symlink(target) => (EntryType::Symlink, target.as_slice(), 0, (0, 0)),
        Kind::HardLink(target) => (EntryType::Link, target.as_slice(), 0, (0, 0)),
        Kind::CharacterDevice(major, minor) => {
            (EntryType::Char, b"".as_slice(), 0, (*major, *minor))
        }
        Kind::BlockDevice(major, minor) => (EntryType::Block, b"".as_slice(), 0, (*major, *minor)),
        Kind::Fifo => (EntryType::Fifo, b"".as_slice(), 0, (0, 0)),
    };
    let metadata = &entry.metadata;
    let mut records = Records::default();
    records.name("path", &path);
    records.name("linkpath", link);
    records.number("size", size, LARGE_FIELD);
    records.number("uid", metadata.uid, OWNER_FIELD);
    records.number("gid", metadata.gid, OWNER_FIELD);
    let mtime = u64::try_from(metadata.mtime).ok();
    let mtime = mtime.filter(|mtime| *mtime <= LARGE_FIELD);
    if mtime.is_none() {
        records.add(b"mtime".to_vec(), metadata.mtime.to_string().into_bytes());
    }
    for (name, value) in &metadata.xattrs {
        if !name.contains(&b'=') {
            records.add([ATTRIBUTE_PREFIX, name].concat(), value.clone());
        }
    }
    Fields {
        link,
        mode: metadata.mode & 0o7777,
        uid: metadata.uid,
        gid: metadata.gid,
        mtime: mtime.unwrap_or_default(),
        size,
        device,
        ..Fields::new(&path, kind)
    }
    .write(&records.write())
}

/// The name as tar has it: nothing has an empty one.
fn written_path(entry: &Entry) -> Cow<'_, [u8]> {
    match (&entry.kind, entry.path.as_slice()) {
        (Kind::Directory, b"") => Cow::Borrowed(b"./"),
        (Kind::Directory, path) => Cow::Owned([path, b"/"].concat()),
        (_, path) => Cow::Borrowed(path),
    }
}

/// Records of a pax header, by key.
#[derive(Default)]
struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

impl Records {
    fn add(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, value);
    }

    /// A name or link target, if ustar cannot say it.
    fn name(&mut self, key: &str, name: &[u8]) {
        if name.len() > NAME_FIELD || !name.is_ascii() {
            self.add(key.into(), name.to_vec());
        }
    }

    /// A number, if it is beyond its field.
    fn number(&mut self, key: &str, number: u64, field: u64) {
        if number > field {
            self.add(key.into(), number.to_string().into_bytes());
        }
    }

    fn write(&self) -> Vec<u8> {
        let records = self.0.iter();
        records
            .flat_map(|(key, value)| pax_record(key, value))
            .collect()
    }
}
