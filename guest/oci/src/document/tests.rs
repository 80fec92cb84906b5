use super::*;
use crate::{Digest, media_type as mt};

const SHA: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn descriptor(media_type: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{SHA}","size":2}}"#)
}

fn manifest() -> String {
    let (config, layer) = (descriptor(mt::OCI_CONFIG), descriptor(mt::OCI_LAYER_GZIP));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[{layer}]}}"#,
        mt::OCI_MANIFEST
    )
}

fn index() -> String {
    let entry = descriptor(mt::OCI_MANIFEST);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{entry}]}}"#,
        mt::OCI_INDEX
    )
}

/// `json` without its `mediaType` at the top.
fn untyped(json: &str) -> String {
    let start = json.find(r#""mediaType""#).unwrap();
    let end = json[start..].find(',').unwrap() + start + 1;
    format!("{}{}", &json[..start], &json[end..])
}

fn parse(media_type: &str, json: &str) -> Document {
    Document::parse(media_type, json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn refusal(media_type: &str, json: &str) -> DocumentError {
    Document::parse(media_type, json.as_bytes()).unwrap_err()
}

#[test]
fn all_four_types_are_read_with_or_without_inner_type() {
    for (media_type, json, is_index) in [
        (mt::OCI_MANIFEST, manifest(), false),
        (
            mt::DOCKER_MANIFEST,
            manifest().replacen(mt::OCI_MANIFEST, mt::DOCKER_MANIFEST, 1),
            false,
        ),
        (mt::OCI_INDEX, index(), true),
        (
            mt::DOCKER_MANIFEST_LIST,
            index().replacen(mt::OCI_INDEX, mt::DOCKER_MANIFEST_LIST, 1),
            true,
        ),
    ] {
        let with_parameter = format!("{media_type}; charset=utf-8");
        for announced in [
            media_type,
            &with_parameter,
            "",
            "application/json",
            "application/octet-stream",
        ] {
            for json in [json.clone(), untyped(&json)] {
                let document = parse(announced, &json);
                assert_eq!(
                    matches!(document, Document::Index(_)),
                    is_index,
                    "{announced} {json}"
                );
            }
        }
    }
}

#[test]
fn children_come_in_document_order_without_the_subject() {
    let subject = format!(r#""subject":{},"layers""#, descriptor(mt::OCI_MANIFEST));
    let document = parse("", &manifest().replace("\"layers\"", &subject));
    let types = |document: &Document| -> Vec<String> {
        document
            .children()
            .iter()
            .map(|child| child.media_type.clone())
            .collect()
    };
    assert_eq!(types(&document), [mt::OCI_CONFIG, mt::OCI_LAYER_GZIP]);
    let Document::Manifest(manifest) = document else {
        panic!("not a manifest")
    };
    assert_eq!(manifest.subject.unwrap().media_type, mt::OCI_MANIFEST);
    assert_eq!(types(&parse("", &index())), [mt::OCI_MANIFEST]);
}

#[test]
fn inner_and_outer_type_must_agree() {
    for (announced, json) in [
        (mt::DOCKER_MANIFEST, manifest()),
        (mt::OCI_INDEX, manifest()),
        (mt::OCI_MANIFEST, index()),
        (
            mt::OCI_MANIFEST,
            manifest().replacen(mt::OCI_MANIFEST, "x/y", 1),
        ),
    ] {
        let error = refusal(announced, &json);
        assert!(
            matches!(error, DocumentError::MediaTypeMismatch { .. }),
            "{announced}: {error}"
        );
    }
    // An empty type is an absent one.
    parse(
        mt::OCI_MANIFEST,
        &manifest().replacen(mt::OCI_MANIFEST, "", 1),
    );
}

#[test]
fn one_document_is_never_both_kinds() {
    let entries = format!("[{}]", descriptor(mt::OCI_MANIFEST));
    let both = manifest().replacen(
        "\"config\"",
        &format!("\"manifests\":{entries},\"config\""),
        1,
    );
    let listed = index().replacen("\"manifests\"", "\"layers\":[],\"manifests\"", 1);
    let configured = index().replacen("\"manifests\"", "\"config\":{},\"manifests\"", 1);
    for (announced, json) in [
        (mt::OCI_MANIFEST, both.clone()),
        ("", both.clone()),
        ("", untyped(&both)),
        (mt::OCI_INDEX, listed.clone()),
        ("", untyped(&listed)),
        (mt::OCI_INDEX, configured),
        (mt::OCI_MANIFEST, untyped(&index())),
        (mt::OCI_INDEX, untyped(&manifest())),
    ] {
        let error = refusal(announced, &json);
        assert!(
            matches!(error, DocumentError::Ambiguous),
            "{announced} {json}: {error}"
        );
    }
    // Nor is it by names in another case, which Go's readers take as well.
    let cased = both.replacen("\"manifests\"", "\"Manifests\"", 1);
    assert!(matches!(refusal("", &cased), DocumentError::Ambiguous));
}

#[test]
fn members_are_read_as_go_reads_them() {
    let twice = manifest().replacen("\"layers\"", "\"layers\":[],\"layers\"", 1);
    assert_eq!(parse("", &twice), parse("", &manifest()));
    let names = [
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "digest",
        "size",
    ];
    let cased = names.iter().fold(manifest(), |json, name| {
        json.replace(
            &format!("\"{name}\""),
            &format!("\"{}\"", name.to_uppercase()),
        )
    });
    assert_eq!(parse(mt::OCI_MANIFEST, &cased), parse("", &manifest()));
}

#[test]
fn annotations_are_bounded() {
    let annotations = |count: usize| {
        let members: Vec<String> = (0..count).map(|it| format!("\"{it:x}\":\"\"")).collect();
        format!("\"annotations\":{{{}}}", members.join(","))
    };
    let half = annotations(json::MAX_ANNOTATIONS / 2);
    let nested = format!(r#"{{"mediaType":"m","digest":"{SHA}","size":2,{half}}}"#);
    let with = |more: &str| format!(r#"{{"schemaVersion":2,"manifests":[{nested}],{more}}}"#);
    parse("", &with(&half));
    let error = refusal("", &with(&annotations(json::MAX_ANNOTATIONS / 2 + 1)));
    assert!(error.is_over_limit());
    assert_eq!(
        error.to_string(),
        "invalid manifest: too many annotations, the limit is 32768"
    );
}

#[test]
fn null_lists_are_empty_lists() {
    let config = descriptor(mt::OCI_CONFIG);
    for layers in ["\"layers\":null,", "\"layers\":[],", ""] {
        let json = format!(
            r#"{{"schemaVersion":2,{layers}"manifests":null,"config":{config},"annotations":null}}"#
        );
        let Document::Manifest(manifest) = parse(mt::OCI_MANIFEST, &json) else {
            panic!("not a manifest")
        };
        assert!(manifest.layers.is_empty() && manifest.annotations.is_empty());
    }
    for json in [
        r#"{"schemaVersion":2,"manifests":null,"layers":null}"#,
        r#"{"schemaVersion":2}"#,
    ] {
        assert!(parse(mt::OCI_INDEX, json).children().is_empty());
    }
}

#[test]
fn only_schema_version_2_is_read() {
    for (version, expected) in [("3", 3), ("0", 0), ("-1", -1), ("null", 0)] {
        let json = manifest().replace(
            "\"schemaVersion\":2",
            &format!("\"schemaVersion\":{version}"),
        );
        let error = refusal(mt::OCI_MANIFEST, &json);
        assert!(
            matches!(error, DocumentError::SchemaVersion(found) if found == expected),
            "{error}"
        );
    }
    assert!(matches!(
        refusal(
            mt::OCI_MANIFEST,
            &manifest().replace("\"schemaVersion\":2,", "")
        ),
        DocumentError::SchemaVersion(0)
    ));
}

#[test]
fn schema_1_is_recognised_however_it_comes() {
    let signed =
        r#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[{"blobSum":"x"}],"history":[]}"#;
    let disguised = manifest().replacen("\"config\"", "\"fsLayers\":[],\"config\"", 1);
    let typed = format!(r#"{{"mediaType":"{}"}}"#, mt::DOCKER_SCHEMA1);
    for (announced, json) in [
        (mt::DOCKER_SCHEMA1, signed),
        (mt::DOCKER_SCHEMA1_SIGNED, "not even JSON"),
        ("application/json", signed),
        (mt::OCI_MANIFEST, &disguised),
        ("", &typed),
    ] {
        let error = refusal(announced, json);
        assert!(
            matches!(error, DocumentError::Schema1),
            "{announced}: {error}"
        );
    }
}

#[test]
fn unknown_types_are_refused_by_name_before_parsing() {
    for (announced, json, named) in [
        ("text/html; charset=utf-8", "<html>", "text/html"),
        (mt::OCI_CONFIG, "{}", mt::OCI_CONFIG),
        (mt::OCI_ARTIFACT_MANIFEST, "{}", mt::OCI_ARTIFACT_MANIFEST),
        ("", r#"{"schemaVersion":2,"mediaType":"x/y"}"#, "x/y"),
        (
            "application/json",
            r#"{"schemaVersion":2}"#,
            "application/json",
        ),
    ] {
        let error = refusal(announced, json);
        assert!(
            matches!(&error, DocumentError::UnsupportedMediaType(found) if found == named),
            "{announced}: {error}"
        );
    }
}

#[test]
fn broken_json_and_members_are_refused() {
    for json in [
        "",
        "[]",
        "[2,null,null,null,[]]",
        "{",
        r#"{"schemaVersion":"2"}"#,
    ] {
        assert!(
            matches!(refusal(mt::OCI_INDEX, json), DocumentError::Json(_)),
            "{json}"
        );
    }
    let wrong_digest = manifest().replacen(SHA, "sha256:../../etc/passwd", 1);
    assert!(matches!(refusal("", &wrong_digest), DocumentError::Json(_)));
    let no_config = format!(
        r#"{{"schemaVersion":2,"layers":[{}]}}"#,
        descriptor(mt::OCI_LAYER)
    );
    assert!(matches!(
        refusal("", &no_config),
        DocumentError::MissingConfig
    ));
}

#[test]
fn size_and_children_are_bounded() {
    let mut json = index().into_bytes();
    json.resize(MAX_DOCUMENT_BYTES, b' ');
    assert!(Document::parse("", &json).is_ok());
    json.push(b' ');
    let error = Document::parse("", &json).unwrap_err();
    assert_eq!(
        error.to_string(),
        "manifest has 4393217 bytes, the limit is 4393216"
    );

    let list = |count: usize| vec![descriptor("a/b"); count].join(",");
    let index = |count| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, list(count));
    assert_eq!(
        parse("", &index(MAX_CHILDREN)).children().len(),
        MAX_CHILDREN
    );
    let error = refusal("", &index(MAX_CHILDREN + 1));
    assert!(matches!(error, DocumentError::TooManyChildren { count } if count == MAX_CHILDREN + 1));
    // The config is a child as well.
    let layered = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        descriptor(""),
        list(MAX_CHILDREN)
    );
    assert!(matches!(
        refusal("", &layered),
        DocumentError::TooManyChildren { .. }
    ));
}

#[test]
fn deep_nesting_is_never_fatal() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    for member in ["unknown", "manifests", "config", "annotations", "fsLayers"] {
        let json = format!(r#"{{"schemaVersion":2,"{member}":{deep}}}"#);
        let _ = Document::parse("", json.as_bytes());
    }
}

#[test]
fn images_are_told_from_artifacts() {
    let image = |config: &str, artifact_type: &str| {
        let json = format!(
            r#"{{"schemaVersion":2,"artifactType":{artifact_type},"config":{}}}"#,
            descriptor(config)
        );
        let Document::Manifest(manifest) = parse(mt::OCI_MANIFEST, &json) else {
            panic!("not a manifest")
        };
        manifest.is_image()
    };
    for config in [mt::OCI_CONFIG, mt::DOCKER_CONFIG, "application/json", ""] {
        assert!(image(config, "null") && image(config, "\"\""), "{config}");
        assert!(!image(config, "\"a/b\""), "{config}");
    }
    assert!(!image(mt::OCI_EMPTY, "null"));
    assert!(!image(mt::DOCKER_PLUGIN_CONFIG, "null"));
}

#[test]
fn what_is_made_here_reads_back_in_oci_order() {
    let made = Manifest {
        media_type: Some(mt::OCI_MANIFEST.to_owned()),
        config: Descriptor::new(mt::OCI_CONFIG, Digest::sha256(b"{}"), 2),
        layers: vec![Descriptor::new(
            mt::OCI_LAYER_GZIP,
            Digest::sha256(b"{}"),
            2,
        )],
        annotations: Default::default(),
        subject: None,
        artifact_type: None,
    };
    assert_eq!(serde_json::to_string(&made).unwrap(), manifest());
    assert_eq!(
        parse(mt::OCI_MANIFEST, &manifest()),
        Document::Manifest(made)
    );

    let Document::Index(mut read) = parse("", &index()) else {
        panic!("not an index")
    };
    assert_eq!(serde_json::to_string(&read).unwrap(), index());
    read.annotations.insert("a".to_owned(), "b".to_owned());
    read.artifact_type = Some("t".to_owned());
    read.subject = Some(Descriptor::new("s", Digest::sha256(b""), 0));
    let json = serde_json::to_string(&read).unwrap();
    assert_eq!(parse("", &json), Document::Index(read));
}
