//! One header block, checked and taken apart.

use tar::Header;

use super::{BLOCK, number::number, pax::Attributes, sparse::Sparse};

/// What a header block says, or the extension headers before it.
pub(crate) struct Head {
    /// The type flag.
    pub(crate) flag: u8,
    /// The name, ustar's prefix included.
    pub(crate) path: Vec<u8>,
    /// The target of a link.
    pub(crate) link: Vec<u8>,
    /// The size in bytes; `None` if it is no number or more than `i64::MAX`. Of what [`super::frames::Frames`] found it
    /// is that of the content.
    pub(crate) size: Option<u64>,
    /// Permissions, perhaps with a file type above them; `None`, here and below, if it is no number.
    pub(crate) mode: Option<i64>,
    /// Numeric owner.
    pub(crate) uid: Option<i64>,
    /// Numeric group.
    pub(crate) gid: Option<i64>,
    /// When it was last changed: Unix seconds.
    pub(crate) mtime: Option<i64>,
    /// Major and minor number of a device.
    pub(crate) device: (Option<i64>, Option<i64>),
    /// What a pax header said about owner, time and attributes: it goes before the fields above.
    pub(crate) pax: Attributes,
    /// What is stored of a sparse file; the size above is that of the stored bytes then.
    pub(crate) sparse: Option<Sparse>,
}

impl Head {
    /// Reads a block; `None` if its checksum does not hold.
    pub(super) fn read(block: &[u8; BLOCK]) -> Option<Self> {
        let header = Header::from_byte_slice(block);
        if !checksum_holds(header) {
            return None;
        }
        let link = header.link_name_bytes();
        let old = header.as_old();
        let [flag] = old.linkflag;
        Some(Self {
            flag,
            path: header.path_bytes().into_owned(),
            link: link.map(std::borrow::Cow::into_owned).unwrap_or_default(),
            size: number(&old.size).and_then(|size| u64::try_from(size).ok()),
            mode: number(&old.mode),
            uid: number(&old.uid),
            gid: number(&old.gid),
            mtime: number(&old.mtime),
            device: device(header),
            pax: Attributes::default(),
            sparse: None,
        })
    }

    /// Whether it is a directory's.
    pub(crate) fn is_directory(&self) -> bool {
        // Before ustar, directories were files with a slash at the end.
        self.flag == b'5' || self.flag == 0 && self.path.ends_with(b"/")
    }

    /// Whether its entry has content: all but links, directories, devices and pipes.
    pub(super) fn is_sized(&self) -> bool {
        !self.is_directory() && !matches!(self.flag, b'1'..=b'6')
    }
}

/// Whether the sum of all bytes is the one stated. Some old tools added them up as signed.
fn checksum_holds(header: &Header) -> bool {
    let Ok(stated) = header.cksum() else {
        return false;
    };
    let field = &header.as_old().cksum;
    let blanks = field.iter().map(|_| i64::from(b' ')).sum::<i64>();
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

/// Before ustar, there was no room for devices' numbers.
fn device(header: &Header) -> (Option<i64>, Option<i64>) {
    let (major, minor) = match (header.as_ustar(), header.as_gnu()) {
        (Some(ustar), _) => (ustar.dev_major, ustar.dev_minor),
        (_, Some(gnu)) => (gnu.dev_major, gnu.dev_minor),
        _ => return (Some(0), Some(0)),
    };
    (number(&major), number(&minor))
}
