//! Tars no layer may be.

use strata_oci::archive::Compression;

use super::*;
use crate::{Error, memory::codec::compressed};

#[test]
fn what_is_no_tar_or_leads_outside_is_refused() {
    let mut broken = root();
    broken[600] ^= 1;
    for (case, bytes, expected) in [
        ("text", b"FROM scratch\n".repeat(100), "is no tar"),
        (
            "zip",
            [b"PK\x03\x04".to_vec(), vec![9; 2000]].concat(),
            "is no tar",
        ),
        ("a broken header", broken, "invalid tar header at byte 512"),
        ("upwards", tar(&[file("a/../../b", b"x")]), "leads out"),
        ("absolute", tar(&[file("/etc/passwd", b"x")]), "leads out"),
        (
            "a hard link upwards",
            tar(&[entry("a", Kind::HardLink(b"../b".into()), b"")]),
            "out of the archive",
        ),
        ("cut in content", root()[..1027].to_vec(), "cut off"),
    ] {
        for compression in [Compression::Plain, Compression::Gzip, Compression::Xz] {
            let bench = Bench::new();
            let bytes = compressed(compression, &bytes);
            let error = bench.import("a", &bytes).unwrap_err();
            let Error::InvalidArgument(text) = &error else {
                panic!("{case}, {compression:?}: {error:?}");
            };
            assert!(text.contains(expected), "{case}, {compression:?}: {text}");
            bench.assert_empty(case);
        }
    }
}

#[test]
fn a_missing_end_and_what_follows_it_are_no_fault() {
    let mut followed = root();
    followed.extend(b"more");
    let mut endless = root();
    endless.truncate(endless.len() - 1024);
    for bytes in [followed, endless] {
        for compression in [Compression::Plain, Compression::Gzip, Compression::Xz] {
            let bench = Bench::new();
            bench.import("a", &compressed(compression, &bytes)).unwrap();
        }
    }
}

#[test]
fn compressed_bytes_inside_compressed_bytes_are_no_tar() {
    for (outer, inner) in [
        (Compression::Gzip, Compression::Gzip),
        (Compression::Xz, Compression::Gzip),
        (Compression::Zstd, Compression::Bzip2),
    ] {
        let bench = Bench::new();
        let bytes = compressed(outer, &compressed(inner, &root()));
        let error = bench.import("a", &bytes).unwrap_err().to_string();
        assert!(error.contains("is no tar"), "{error}");
        bench.assert_empty("nested");
    }
}

#[test]
fn what_was_here_before_a_failed_import_stays() {
    let bench = Bench::new();
    bench
        .import("a", &compressed(Compression::Gzip, &root()))
        .unwrap();
    let before = bench.store.len();
    let bad = compressed(Compression::Gzip, b"no tar");
    bench.import("a", &bad).unwrap_err();
    assert_eq!(bench.store.len(), before);
    assert!(!bench.store.has(&Digest::sha256(&bad)));
}
