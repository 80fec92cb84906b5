//! One header block, checked and taken apart.

use tar::Header;

use super::BLOCK;

/// What a header block says. Extension headers that came before may overrule it.
pub(super) struct Head {
    /// The type flag.
    pub(super) flag: u8,
    /// The name, ustar's prefix included.
    pub(super) path: Vec<u8>,
    /// The target of a link.
    pub(super) link: Vec<u8>,
    /// The size in bytes; `None` if it is no number or more than `i64::MAX`.
    pub(super) size: Option<u64>,
}

impl Head {
    /// Reads a block; `None` if its checksum does not hold.
    pub(super) fn read(block: &[u8; BLOCK]) -> Option<Self> {
        let header = Header::from_byte_slice(block);
        if !checksum_holds(header) {
            return None;
        }
        let link = header.link_name_bytes();
        let [flag] = header.as_old().linkflag;
        Some(Self {
            flag,
            path: header.path_bytes().into_owned(),
            link: link.map(std::borrow::Cow::into_owned).unwrap_or_default(),
            size: size(header),
        })
    }
}

/// Whether the sum of all bytes is the one stated. Some old tools added them up as signed.
fn checksum_holds(header: &Header) -> bool {
    let Ok(stated) = header.cksum() else {
        return false;
    };
    let field = &header.as_old().cksum;
    let blanks = i64::from(b' ') * field.len() as i64;
    let unsigned = |bytes: &[u8]| bytes.iter().map(|byte| i64::from(*byte)).sum::<i64>();
    let signed = |bytes: &[u8]| {
        let bytes = bytes.iter();
        bytes.map(|byte| i64::from(byte.cast_signed())).sum::<i64>()
    };
    let all = header.as_bytes();
    let stated = i64::from(stated);
    stated == unsigned(all) - unsigned(field) + blanks
        || stated == signed(all) - signed(field) + blanks
}

/// The size. The `tar` crate reads octal and base-256, of the latter only the last eight bytes; what would be lost by
/// that (the sign, too) must not be there.
fn size(header: &Header) -> Option<u64> {
    let field = &header.as_old().size;
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Some(0);
    }
    let [first, next @ ..] = field;
    let is_binary = first & 0x80 != 0;
    if is_binary && (*first != 0x80 || next.iter().take(3).any(|byte| *byte != 0)) {
        return None;
    }
    let size = header.entry_size().ok()?;
    i64::try_from(size).is_ok().then_some(size)
}
