//! Tar by hand: any header there can be, honest or not.

use serde_json::Value;
use std::io::Write as _;
use strata_tests::image::{Blob, Image};
use strata_tests::layer::sha256;

/// The unit of tar.
pub(crate) const BLOCK: usize = 512;
/// What ends an archive.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// A header in GNU's form with a right checksum. Of names only what fits the field is written.
pub(crate) fn header(path: &str, kind: u8, link: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    let old = header.as_old_mut();
    old.name
        .iter_mut()
        .zip(path.bytes())
        .for_each(|(to, from)| *to = from);
    old.linkname
        .iter_mut()
        .zip(link.bytes())
        .for_each(|(to, from)| *to = from);
    old.linkflag = [kind];
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header
}

/// A header and this content, whatever size the header says.
pub(crate) fn sized(path: &str, kind: u8, size: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(path, kind, "", size).as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// A file.
pub(crate) fn file(path: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    sized(path, b'0', content.len() as u64, content)
}

/// A link, device or anything else without content.
pub(crate) fn special(path: &str, kind: u8, link: &str) -> Vec<u8> {
    header(path, kind, link, 0).as_bytes().to_vec()
}

/// An extension header: pax `x` and `g`, GNU `L` and `K`.
pub(crate) fn extension(kind: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    sized("././@Extension", kind, content.len() as u64, content)
}

/// A pax header before its entry: these records, honestly counted.
pub(crate) fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let records: String = records
        .iter()
        .map(|(key, value)| record(key, value))
        .collect();
    extension(b'x', records)
}

/// `length key=value\n`, where the length counts itself.
pub(crate) fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n").len();
    let length = (rest..).find(|length| rest + length.to_string().len() == *length);
    format!("{} {key}={value}\n", length.unwrap_or_default())
}

/// A whole archive of these entries.
pub(crate) fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend_from_slice(&END);
    bytes
}

/// An archive compressed with gzip.
pub(crate) fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes)?;
    gzip.finish()
}

/// Content in its place in an OCI layout.
pub(crate) fn blob(blob: &Blob) -> Vec<u8> {
    file(&blob_path(&blob.digest), &blob.bytes)
}

/// Where an OCI layout has content.
pub(crate) fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// `index.json` with these descriptors.
pub(crate) fn index(descriptors: &[Value]) -> Vec<u8> {
    let document = serde_json::json!({"schemaVersion": 2, "manifests": descriptors});
    file("index.json", document.to_string())
}

/// `oci-layout`.
pub(crate) fn layout() -> Vec<u8> {
    file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
}

/// An image's descriptor with the name it is to have.
pub(crate) fn named(image: &Image, name: &str) -> Value {
    let mut descriptor = image.root.descriptor();
    descriptor["annotations"] = serde_json::json!({"io.containerd.image.name": name});
    descriptor
}

/// The entries of a good OCI layout: its two documents last.
pub(crate) fn oci(image: &Image) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = image.contents().map(blob).collect();
    entries.push(index(&[named(image, "docker.io/library/bad:1")]));
    entries.push(layout());
    entries
}

/// The entries of a good Docker archive of one plain layer: config, layer, `manifest.json`.
pub(crate) fn docker(layer: &[u8]) -> Vec<Vec<u8>> {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]},
    });
    let rows = serde_json::json!([{
        "Config": "config.json", "RepoTags": ["bad:1"], "Layers": ["one/layer.tar"],
    }]);
    vec![
        file("config.json", config.to_string()),
        file("one/layer.tar", layer),
        file("manifest.json", rows.to_string()),
    ]
}

/// Whether a tar that was cut has nothing but whole entries: then readers of tar take it, as they do
/// without the blocks that should end it.
pub(crate) fn has_whole_entries(cut: &[u8]) -> bool {
    let mut at = 0;
    while at < cut.len() {
        let Some(header) = cut.get(at..at + BLOCK) else {
            // Of the end, any part will do.
            return cut[at..].iter().all(|byte| *byte == 0);
        };
        if header.iter().all(|byte| *byte == 0) {
            return true;
        }
        let mut read = tar::Header::new_gnu();
        read.as_mut_bytes().copy_from_slice(header);
        let end = at
            + BLOCK
            + read
                .size()
                .map_or(0, |size| size.try_into().unwrap_or(usize::MAX));
        if end > cut.len() {
            return false;
        }
        at = end.next_multiple_of(BLOCK);
    }
    true
}
