//! The documents inside, and magic bytes.

use crate::{
    Digest,
    archive::{
        Compression,
        docker::{Row, parse_manifest},
        layout::{Layout, blob_digest, blob_path, parse_index},
    },
};

#[test]
fn content_has_one_place() {
    let digest = Digest::sha256(b"");
    let path = blob_path(&digest);
    assert_eq!(path, format!("blobs/sha256/{}", digest.encoded()));
    assert_eq!(blob_digest(&path), Some(digest.clone()));
    for other in [
        "blobs",
        "blobs/sha256",
        "blobs/sha256/",
        "blobs/sha256/x",
        "blobs/md5/d41d8cd98f00b204e9800998ecf8427e",
        &format!("{path}/more"),
        &path.to_uppercase(),
        &format!("blobsx/sha256/{}", digest.encoded()),
    ] {
        assert_eq!(blob_digest(other), None, "{other}");
    }
}

#[test]
fn manifest_rows_read_and_write_as_go_does() {
    let text = r#"[{"Config":"c","RepoTags":null,"Layers":["l"]},{"Config":"d","RepoTags":["a:1"],"Layers":null}]"#;
    let rows = parse_manifest(text.as_bytes()).unwrap().unwrap();
    assert_eq!(rows[0].layers, ["l"]);
    assert!(rows[0].repo_tags.is_empty());
    assert_eq!(serde_json::to_string(&rows).unwrap(), text);
    let more = br#"[{"Config":"c","Parent":"x","LayerSources":{}}]"#;
    let row = Row {
        config: "c".to_owned(),
        ..Row::default()
    };
    assert_eq!(parse_manifest(more).unwrap(), Some(vec![row]));
    assert_eq!(parse_manifest(b"null").unwrap(), None);
    let cased = br#"[{"config":"x","repotags":["a:1"],"LAYERS":["l"],"Config":"c"}]"#;
    let row = Row {
        config: "c".to_owned(),
        repo_tags: vec!["a:1".to_owned()],
        layers: vec!["l".to_owned()],
    };
    assert_eq!(parse_manifest(cased).unwrap(), Some(vec![row]));
    for bad in ["", "{}", "[[]]", r#"[{"Layers":"l"}]"#, "[1]"] {
        assert!(parse_manifest(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn layouts_and_their_indexes_are_objects() {
    let layout = Layout::parse(br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    assert_eq!(layout.image_layout_version, "1.0.0");
    assert_eq!(Layout::parse(b"{}").unwrap().image_layout_version, "");
    assert!(Layout::parse(br#"["1.0.0"]"#).is_err());
    assert_eq!(parse_index(br#"{"manifests":null}"#).unwrap(), []);
    let digest = Digest::sha256(b"");
    let named =
        format!(r#"{{"mediaType":"m","digest":"{digest}","size":0,"annotations":{{"a":"b"}}}}"#);
    let many = vec![named.as_str(); crate::json::MAX_ANNOTATIONS + 1];
    let many = format!(r#"{{"manifests":[{}]}}"#, many.join(","));
    assert!(parse_index(many.as_bytes()).unwrap().len() > crate::json::MAX_ANNOTATIONS);
    for bad in ["[]", r#"{"manifests":[{}]}"#, r#"{"manifests":{}}"#] {
        assert!(parse_index(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn magic_tells_compression() {
    use Compression::{Bzip2, Gzip, Plain, Xz, Zstd};
    let mut tar = [0; Compression::HEAD_BYTES];
    tar[..10].copy_from_slice(b"BZh91AY&SY");
    tar[257..262].copy_from_slice(b"ustar");
    for (start, expected) in [
        (&b"\x1f\x8b\x08"[..], Gzip),
        (b"\x1f\x8b\x07", Plain),
        (b"\x28\xb5\x2f\xfd", Zstd),
        (b"\x5a\x2a\x4d\x18", Zstd),
        (b"BZh91AY&SY", Bzip2),
        (b"BZh9\x17\x72\x45\x38", Bzip2),
        (b"BZh9 is how this text starts", Plain),
        (&tar, Plain),
        (b"\xfd7zXZ\0", Xz),
        (b"\xfd7zXZ", Plain),
        (b"", Plain),
        (b"etc/passwd", Plain),
    ] {
        assert_eq!(Compression::of(start), expected, "{start:?}");
    }
    assert_eq!(Bzip2.docker_layer(), None);
}
