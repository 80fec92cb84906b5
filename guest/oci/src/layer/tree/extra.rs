//! What few nodes have: attributes, owners beyond 32 bits, holes.

use crate::{
    archive::{Fragment, Sparse},
    layer::{Metadata, varint},
};

/// As bytes; none if there is nothing to say.
pub(super) fn encode(metadata: &Metadata, sparse: Option<&Sparse>) -> Vec<u8> {
    let fits = |number: u64| u32::try_from(number).is_ok();
    let is_plain = metadata.xattrs.is_empty() && fits(metadata.uid) && fits(metadata.gid);
    let mut bytes = Vec::new();
    if is_plain && sparse.is_none() {
        return bytes;
    }
    varint::put(&mut bytes, metadata.uid);
    varint::put(&mut bytes, metadata.gid);
    varint::put(&mut bytes, metadata.xattrs.len() as u64);
    for (name, value) in &metadata.xattrs {
        varint::put_text(&mut bytes, name);
        varint::put_text(&mut bytes, value);
    }
    if let Some(sparse) = sparse {
        put_fragments(&mut bytes, &sparse.fragments);
    }
    bytes
}

/// Sets what the bytes say of owner and attributes; returns the parts of a sparse file that are stored.
pub(super) fn decode(mut bytes: &[u8], metadata: &mut Metadata) -> Option<Vec<Fragment>> {
    metadata.uid = varint::take(&mut bytes)?;
    metadata.gid = varint::take(&mut bytes)?;
    for _ in 0..varint::take(&mut bytes)? {
        let name = varint::take_text(&mut bytes)?.to_vec();
        let value = varint::take_text(&mut bytes)?.to_vec();
        metadata.xattrs.insert(name, value);
    }
    match bytes.is_empty() {
        true => None,
        false => take_fragments(&mut bytes),
    }
}

/// Adds the parts of a sparse file, each by what lies before it.
pub(in crate::layer) fn put_fragments(bytes: &mut Vec<u8>, fragments: &[Fragment]) {
    varint::put(bytes, fragments.len() as u64);
    let mut end = 0;
    for fragment in fragments {
        varint::put(bytes, fragment.offset.saturating_sub(end));
        varint::put(bytes, fragment.length);
        end = fragment.offset.saturating_add(fragment.length);
    }
}

/// Takes the parts of a sparse file.
pub(in crate::layer) fn take_fragments(bytes: &mut &[u8]) -> Option<Vec<Fragment>> {
    let count = varint::take(bytes)?;
    let mut fragments = Vec::new();
    let mut end: u64 = 0;
    for _ in 0..count {
        let offset = end.checked_add(varint::take(bytes)?)?;
        let length = varint::take(bytes)?;
        end = offset.checked_add(length)?;
        fragments.push(Fragment { offset, length });
    }
    Some(fragments)
}
