//! A compression for tests: nothing gets smaller, but it looks like the real ones, is not
//! what went in, and cannot be read if it is cut.

use strata_oci::archive::Compression;

/// What follows the real magic bytes.
const MARK: &[u8] = b"toy";
/// What bytes are mixed with.
const KEY: u8 = 0xa5;

fn magic(compression: Compression) -> &'static [u8] {
    match compression {
        Compression::Plain => b"",
        Compression::Gzip => &[0x1f, 0x8b, 0x08],
        Compression::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
        Compression::Bzip2 => b"BZh91AY&",
        Compression::Xz => &[0xfd, b'7', b'z', b'X', b'Z', 0],
    }
}

/// `plain` in this format.
pub fn compressed(compression: Compression, plain: &[u8]) -> Vec<u8> {
    let mut bytes = magic(compression).to_vec();
    if compression == Compression::Plain {
        bytes.extend(plain);
        return bytes;
    }
    bytes.extend(MARK);
    bytes.extend((plain.len() as u64).to_le_bytes());
    bytes.extend(plain.iter().map(|byte| byte ^ KEY));
    bytes
}

/// What [`compressed`] was given; other bytes as they are. `None` if some are missing.
pub fn decompressed(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let magic = magic(Compression::of(&bytes));
    let rest = bytes.get(magic.len()..).unwrap_or_default();
    if magic.is_empty() || !rest.starts_with(MARK) {
        return match !magic.is_empty() && MARK.starts_with(rest) {
            true => None,
            false => Some(bytes),
        };
    }
    let (length, content) = rest.get(MARK.len()..)?.split_first_chunk::<8>()?;
    let plain: Vec<u8> = content.iter().map(|byte| byte ^ KEY).collect();
    (plain.len() as u64 == u64::from_le_bytes(*length)).then_some(plain)
}
