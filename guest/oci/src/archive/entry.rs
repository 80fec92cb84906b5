//! What an archive lists.

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as written, see [`super::clean`]. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content that follow.
    pub size: u64,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with its target as written, relative to the link's directory.
    Symlink(String),
    /// Another name, as written, for an entry of the archive.
    HardLink(String),
    /// A device node or named pipe.
    Device,
    /// Something else, by type flag; content may follow.
    Other(u8),
}
