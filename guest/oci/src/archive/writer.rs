//! Headers that are the same for the same content, whenever and wherever they are written: ustar, with a pax header
//! before it only for what ustar cannot say; owner root, time 0.

use tar::{EntryType, Header};

use super::{BLOCK, pax};

/// What ends an archive: two blocks of zeros.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The longest name that fits ustar's field.
const NAME_FIELD: usize = 100;
/// The largest size that fits ustar's field: eleven octal digits.
const SIZE_FIELD: u64 = 0o777_7777_7777;

/// The header of a file; its content and [`padding`] follow.
pub fn file_header(path: &str, mode: u32, size: u64) -> Vec<u8> {
    entry(path, EntryType::Regular, mode, size)
}

/// The header of a directory, whose name ends with a slash.
pub fn directory_header(path: &str, mode: u32) -> Vec<u8> {
    entry(path, EntryType::Directory, mode, 0)
}

/// Bytes of zeros after content of this size.
pub fn padding(size: u64) -> usize {
    let block = BLOCK as u64;
    // Less than a block, so it fits.
    ((block - size % block) % block) as usize
}

fn entry(path: &str, kind: EntryType, mode: u32, size: u64) -> Vec<u8> {
    let mut records = String::new();
    if path.len() > NAME_FIELD {
        records.push_str(&pax::write("path", path));
    }
    if size > SIZE_FIELD {
        records.push_str(&pax::write("size", &size.to_string()));
    }
    let mut bytes = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let path = format!("{parent}/PaxHeaders.0/{name}");
        let length = records.len() as u64;
        bytes.extend_from_slice(&block(&path, EntryType::XHeader, 0, length));
        bytes.extend_from_slice(records.as_bytes());
        bytes.resize(bytes.len() + padding(length), 0);
    }
    let size = if size > SIZE_FIELD { 0 } else { size };
    bytes.extend_from_slice(&block(path, kind, mode, size));
    bytes
}

/// One header block; a name that does not fit is cut, its pax record counts.
fn block(path: &str, kind: EntryType, mode: u32, size: u64) -> [u8; BLOCK] {
    let mut header = Header::new_ustar();
    let field = header.as_old_mut().name.iter_mut();
    field.zip(path.bytes()).for_each(|(to, from)| *to = from);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.set_device_major(0);
        ustar.set_device_minor(0);
    }
    header.set_cksum();
    *header.as_bytes()
}
