//! Headers that are the same for the same content, whenever and wherever they are written: ustar, with a pax header
//! before it only for what ustar cannot say.

use tar::{EntryType, Header};

use super::{BLOCK, number, pax};

/// What ends an archive: two blocks of zeros.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The longest name or link target that fits ustar's field. Its field for a prefix is not used: names fit it only if a
/// slash is in the right place.
pub(crate) const NAME_FIELD: usize = 100;
/// The largest size or time that fits ustar's field: eleven octal digits.
pub(crate) const LARGE_FIELD: u64 = 0o777_7777_7777;
/// The largest owner that fits ustar's field: seven octal digits.
pub(crate) const OWNER_FIELD: u64 = 0o777_7777;

/// What goes into a header block.
pub(crate) struct Fields<'a> {
    /// What is too long for its field is cut; a pax record must have all of it.
    pub(crate) path: &'a [u8],
    /// As `path`; empty for what is no link.
    pub(crate) link: &'a [u8],
    /// What it is.
    pub(crate) kind: EntryType,
    /// Permissions.
    pub(crate) mode: u32,
    /// At most [`OWNER_FIELD`], or a pax record must have it; so must what is too large of the others.
    pub(crate) uid: u64,
    /// As `uid`.
    pub(crate) gid: u64,
    /// At most [`LARGE_FIELD`].
    pub(crate) mtime: u64,
    /// At most [`LARGE_FIELD`].
    pub(crate) size: u64,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
}

/// The header of a file; its content and [`padding`] follow. Owner root, time 0.
pub fn file_header(path: &str, mode: u32, size: u64) -> Vec<u8> {
    entry(path, EntryType::Regular, mode, size)
}

/// The header of a directory, whose name ends with a slash. Owner root, time 0.
pub fn directory_header(path: &str, mode: u32) -> Vec<u8> {
    entry(path, EntryType::Directory, mode, 0)
}

/// Bytes of zeros after content of this size.
pub fn padding(size: u64) -> usize {
    let rest = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    (BLOCK - rest) % BLOCK
}

fn entry(path: &str, kind: EntryType, mode: u32, size: u64) -> Vec<u8> {
    let path = path.as_bytes();
    let mut records = Vec::new();
    if path.len() > NAME_FIELD {
        records.extend(pax::write(b"path", path));
    }
    if size > LARGE_FIELD {
        records.extend(pax::write(b"size", size.to_string().as_bytes()));
    }
    Fields {
        mode,
        size,
        ..Fields::new(path, kind)
    }
    .write(&records)
}

impl<'a> Fields<'a> {
    /// Something of root's with nothing in it.
    pub(crate) fn new(path: &'a [u8], kind: EntryType) -> Self {
        Self {
            path,
            link: b"",
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            size: 0,
            device: (0, 0),
        }
    }

    /// The header block, with a pax header before it if there are records for it.
    pub(crate) fn write(&self, records: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BLOCK);
        if !records.is_empty() {
            let length = records.len() as u64;
            let path = pax_path(self.path);
            let pax = Fields {
                mode: self.mode,
                size: length,
                ..Fields::new(&path, EntryType::XHeader)
            };
            bytes.extend_from_slice(&pax.block());
            bytes.extend_from_slice(records);
            bytes.resize(bytes.len() + padding(length), 0);
        }
        bytes.extend_from_slice(&self.block());
        bytes
    }

    fn block(&self) -> [u8; BLOCK] {
        let within = |number: u64, field: u64| if number > field { 0 } else { number };
        let mut header = Header::new_ustar();
        let old = header.as_old_mut();
        let name = old.name.iter_mut();
        name.zip(self.path).for_each(|(to, from)| *to = *from);
        let link = old.linkname.iter_mut();
        link.zip(self.link).for_each(|(to, from)| *to = *from);
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        header.set_uid(within(self.uid, OWNER_FIELD));
        header.set_gid(within(self.gid, OWNER_FIELD));
        header.set_mtime(within(self.mtime, LARGE_FIELD));
        header.set_size(within(self.size, LARGE_FIELD));
        if let Some(ustar) = header.as_ustar_mut() {
            let (major, minor) = self.device;
            ustar.dev_major = number::field(major);
            ustar.dev_minor = number::field(minor);
        }
        header.set_cksum();
        *header.as_bytes()
    }
}

/// The name of the pax header before the header of this name: `parent/PaxHeaders.0/name`.
fn pax_path(path: &[u8]) -> Vec<u8> {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let (parent, name) = match slash.and_then(|slash| path.split_at_checked(slash)) {
        Some((parent, name)) => (parent, name.get(1..).unwrap_or_default()),
        None => (b".".as_slice(), path),
    };
    [parent, b"/PaxHeaders.0/", name].concat()
}
