//! What is written here, read by others and again.

use std::io::Read as _;

use super::{archive, entry, read, with_content};
use crate::archive::{Kind, directory_header, file_header, padding};

#[test]
fn others_read_what_is_written() {
    let long = format!("blobs/sha512/{}", "0".repeat(128));
    let bytes = archive(&[
        directory_header("blobs/", 0o755),
        with_content("blobs/a", b"content"),
        with_content(&long, b"long"),
    ]);
    let mut found = Vec::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 0);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let mode = header.mode().unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        found.push((path, mode, content));
    }
    let expected = [
        ("blobs/", 0o755, ""),
        ("blobs/a", 0o644, "content"),
        (&long, 0o644, "long"),
    ];
    let expected = expected.map(|(path, mode, it)| (path.to_owned(), mode, it.to_owned()));
    assert_eq!(found, expected);
    let again = read(&bytes, 77).unwrap();
    assert_eq!(again[2], (entry(&long, Kind::File, 4), b"long".to_vec()));
}

#[test]
fn sizes_beyond_the_field_go_into_a_pax_header() {
    const LIMIT: u64 = 8 << 30;
    assert_eq!(file_header("a", 0o644, LIMIT - 1).len(), 512);
    let bytes = file_header("a", 0o644, LIMIT);
    assert_eq!(bytes.len(), 3 * 512);
    assert_eq!(&bytes[512..530], b"19 size=8589934592");
    let mut parser = crate::archive::Parser::new();
    parser.step(&bytes).unwrap();
    assert_eq!(parser.remaining(), LIMIT);
}

#[test]
fn padding_fills_blocks() {
    for (size, expected) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
        assert_eq!(padding(size), expected, "{size}");
    }
}
