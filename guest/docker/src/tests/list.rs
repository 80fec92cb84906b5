//! List: parameters, shapes by version, failures.

use std::rc::Rc;

use strata_engine::{Error, ImageSummary, Listed, ManifestKind, ManifestSummary, Shown};
use strata_oci::{Descriptor, Labels, media_type::OCI_MANIFEST};

use super::{
    client::call,
    fake::{Fake, digest, last_call, linux},
};
use crate::{images::show, version::ApiVersion};

fn summary() -> ImageSummary {
    ImageSummary {
        target: Descriptor::new(OCI_MANIFEST, digest("a"), 7),
        tags: vec!["alpine:3".to_owned()],
        digests: vec!["alpine@sha256:1".to_owned()],
        created: 5,
        size: 12,
        shared_size: None,
        labels: Listed::Here(Labels::new([("k", "<v>")]).into()),
        config: Some(digest("c")),
        damaged: None,
        containers: Some(2),
        parent: None,
        manifests: Vec::new(),
        manifests_later: false,
        shown: Shown::default(),
    }
}

fn with_image(image: ImageSummary) -> Fake {
    Fake {
        images: vec![image],
        ..Fake::default()
    }
}

fn manifests() -> Vec<ManifestSummary> {
    let manifest = |kind| ManifestSummary {
        descriptor: Descriptor::new(OCI_MANIFEST, digest("m"), 3),
        available: true,
        content_size: 9,
        kind,
    };
    let image = |containers: &[&str]| ManifestKind::Image {
        platform: linux(),
        containers: containers.iter().map(ToString::to_string).collect(),
    };
    vec![
        manifest(image(&[])),
        manifest(image(&["c1"])),
        manifest(ManifestKind::Attestation {
            subject: digest("s"),
        }),
        manifest(ManifestKind::Unknown),
    ]
}

#[test]
fn a_list_entry_has_the_shape_of_its_version() {
    let id = digest("a");
    let descriptor =
        format!(r#""Descriptor":{{"mediaType":"{OCI_MANIFEST}","digest":"{id}","size":7}},"#);
    for (version, containers, descriptor, virtual_size) in [
        ("", 2, descriptor.as_str(), ""),
        ("/v1.51", 2, &descriptor, ""),
        ("/v1.50", -1, &descriptor, ""),
        ("/v1.48", -1, &descriptor, ""),
        ("/v1.47", -1, "", ""),
        ("/v1.44", -1, "", ""),
        ("/v1.43", -1, "", r#","VirtualSize":12"#),
        ("/v1.24", -1, "", r#","VirtualSize":12"#),
    ] {
        let client = call(
            &with_image(summary()),
            &format!("GET {version}/images/json"),
        );
        let expected = format!(
            r#"[{{"Containers":{containers},"Created":5,"Id":"{id}","Labels":{{"k":"<v>"}},"ParentId":"",{descriptor}"RepoDigests":["alpine@sha256:1"],"RepoTags":["alpine:3"],"SharedSize":-1,"Size":12{virtual_size}}}]"#
        );
        assert_eq!(client.text(), expected + "\n", "{version}");
    }
}

#[test]
fn a_list_entry_without_names_platform_or_labels() {
    let mut image = summary();
    image.tags.clear();
    image.digests.clear();
    image.labels = Listed::Here(Rc::default());
    image.shared_size = Some(0);
    let fake = with_image(image.clone());
    let text = call(&fake, "GET /images/json").text().to_owned();
    for part in [
        r#""RepoTags":[]"#,
        r#""RepoDigests":[]"#,
        r#""Labels":{}"#,
        r#""SharedSize":0"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = call(&fake, "GET /v1.42/images/json").text().to_owned();
    for part in [
        r#""RepoTags":["<none>:<none>"]"#,
        r#""RepoDigests":["<none>@<none>"]"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    image.labels = Listed::None;
    image.containers = None;
    let text = call(&with_image(image), "GET /images/json")
        .text()
        .to_owned();
    assert!(text.contains(r#""Labels":null"#) && text.contains(r#""Containers":-1"#));
}

#[test]
fn heavy_labels_are_sent_image_by_image() {
    let mut heavy = summary();
    heavy.labels = Listed::InConfig(digest("c"));
    let plain = call(&with_image(summary()), "GET /images/json");
    let key = "x".repeat(300 * 1024);
    let fake = Fake {
        images: vec![summary(), heavy, summary()],
        labels: Labels::new([(key.as_str(), "")]),
        ..Fake::default()
    };
    let sent = call(&fake, "GET /images/json");
    assert_eq!(sent.code(), 200);
    assert_eq!(sent.headers["content-type"], "application/json");
    let entry = plain.text().trim_end().trim_matches(['[', ']']).to_owned();
    let other = entry.replace(r#"{"k":"<v>"}"#, &format!(r#"{{"{key}":""}}"#));
    assert_eq!(sent.text(), format!("[{entry},{other},{entry}]\n"));
}

#[test]
fn manifests_that_are_not_held_are_sent_image_by_image() {
    let mut later = summary();
    later.manifests_later = true;
    let mut fake = Fake {
        images: vec![summary(), later],
        ..Fake::default()
    };
    fake.details.manifests = vec![ManifestSummary {
        descriptor: Descriptor::new(OCI_MANIFEST, digest("later"), 5),
        available: false,
        content_size: 0,
        kind: ManifestKind::Unknown,
    }];
    let sent = call(&fake, "GET /images/json?manifests=1");
    let images: serde_json::Value = serde_json::from_str(sent.text()).unwrap();
    assert_eq!(images[0].get("Manifests"), None);
    let id = &images[1]["Manifests"][0]["ID"];
    assert_eq!(id, digest("later").as_str(), "{images}");
}

#[test]
fn what_is_damaged_says_so() {
    let image = ImageSummary {
        labels: Listed::None,
        damaged: Some("blob x has changed".into()),
        ..summary()
    };
    let client = call(&with_image(image), "GET /images/json");
    let expected = r#""Labels":null,"Damaged":"blob x has changed","ParentId":"""#;
    assert!(client.text().contains(expected), "{}", client.text());
}

#[test]
fn manifests_have_the_shape_of_their_kind() {
    let image = ImageSummary {
        manifests: manifests(),
        ..summary()
    };
    let client = call(&with_image(image), "GET /images/json?manifests=1");
    let common = format!(
        r#"{{"ID":"{id}","Descriptor":{{"mediaType":"{OCI_MANIFEST}","digest":"{id}","size":3}},"Available":true,"Size":{{"Content":9,"Total":9}},"Kind":"#,
        id = digest("m")
    );
    let platform = r#""Platform":{"architecture":"amd64","os":"linux"},"Size":{"Unpacked":0}"#;
    let expected = format!(
        r#""Manifests":[{common}"image","ImageData":{{{platform},"Containers":null}}}},{common}"image","ImageData":{{{platform},"Containers":["c1"]}}}},{common}"attestation","AttestationData":{{"For":"{}"}}}},{common}"unknown"}}]"#,
        digest("s")
    );
    assert!(client.text().contains(&expected), "{}", client.text());
}

#[test]
fn newer_list_parameters_are_ignored_by_older_versions() {
    for (version, shared_size, manifests) in [
        ("1.54", true, true),
        ("1.47", true, true),
        ("1.46", true, false),
        ("1.42", true, false),
        ("1.41", false, false),
    ] {
        let fake = Fake::default();
        call(
            &fake,
            &format!("GET /v{version}/images/json?shared-size=1&manifests=1&all=1"),
        );
        let expected = format!("shared_size: {shared_size}, manifests: {manifests} }}");
        assert!(
            last_call(&fake).ends_with(&expected),
            "{version}: {}",
            last_call(&fake)
        );
    }
    let fake = Fake::default();
    let client = call(&fake, "GET /images/json?identity=1");
    assert_eq!(client.code(), 400);
    assert_eq!(
        client.text(),
        "{\"message\":\"conflicting options: identity requires manifests=1\"}\n"
    );
    assert_eq!(
        call(&fake, "GET /images/json?identity=1&manifests=1").code(),
        200
    );
    assert_eq!(call(&fake, "GET /v1.53/images/json?identity=1").code(), 200);
}

#[test]
fn the_pattern_parameter_ended_with_1_40() {
    for (version, expected) in [
        ("1.40", r#"references: ["a*"]"#),
        ("1.41", "references: []"),
    ] {
        let fake = Fake::default();
        call(&fake, &format!("GET /v{version}/images/json?filter=a*"));
        assert!(last_call(&fake).contains(expected), "{version}");
    }
}

#[test]
fn a_list_passes_failures_on() {
    let client = call(
        &Fake::default(),
        "GET /images/json?filters={\"foo\":[\"x\"]}",
    );
    assert_eq!(
        (client.code(), client.text()),
        (400, "{\"message\":\"invalid filter 'foo'\"}\n")
    );
    let fake = Fake {
        error: Some(Error::NotFound("No such image: x:latest".to_owned())),
        ..Fake::default()
    };
    let client = call(&fake, "GET /images/json?filters={\"before\":[\"x\"]}");
    assert_eq!(
        (client.code(), client.text()),
        (404, "{\"message\":\"No such image: x:latest\"}\n")
    );
}

#[test]
fn what_is_kept_of_an_entry_is_what_each_version_is_shown() {
    let image = summary();
    let shown = |version| {
        let mut body = Vec::new();
        show(&image, ApiVersion::negotiate(version).unwrap(), &mut body).unwrap();
        String::from_utf8(body).unwrap()
    };
    for version in ["1.54", "1.54", "1.41", "1.41", "1.54"] {
        let fresh = call(
            &with_image(summary()),
            &format!("GET /v{version}/images/json"),
        );
        assert_eq!(fresh.text(), format!("[{}]\n", shown(version)), "{version}");
    }
}
