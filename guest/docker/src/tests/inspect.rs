//! Inspect and history: parameters and shapes by version.

use std::rc::Rc;

use strata_engine::HistoryEntry;
use strata_oci::ImageConfig;

use super::{
    client::call,
    fake::{Fake, digest, last_call},
};

fn inspected(config: &str) -> Fake {
    let mut fake = Fake::default();
    fake.details.config = Some(Rc::new(ImageConfig::parse(config.as_bytes()).unwrap()));
    fake
}

#[test]
fn an_inspected_image_has_the_shape_of_its_version() {
    let config = format!(
        r#"{{"architecture":"arm64","variant":"v8","os":"linux","created":"2024-01-02T03:04:05.600Z","config":{{"Cmd":["sh"]}},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        digest("layer")
    );
    let mut fake = inspected(&config);
    fake.details.last_tagged = Some((0, 1));
    fake.details.sources = vec!["docker.io/library/alpine".to_owned()];
    let id = digest("target");
    let start = format!(r#"{{"Id":"{id}","RepoTags":["alpine:3"],"RepoDigests":[],"#);
    let created = r#""Created":"2024-01-02T03:04:05.6Z","#;
    let platform = r#""Architecture":"arm64","Variant":"v8","Os":"linux","Size":12,"#;
    let end = format!(
        r#""RootFS":{{"Type":"layers","Layers":["{}"]}},"Metadata":{{"LastTagTime":"1970-01-01T00:00:00.000000001Z"}}"#,
        digest("layer")
    );
    let descriptor = format!(
        r#","Descriptor":{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{id}","size":7}}"#
    );
    let identity = r#","Identity":{"Pull":[{"Repository":"docker.io/library/alpine"}]}"#;
    let config = r#""Config":{"Cmd":["sh"]},"#;
    let driver = r#""GraphDriver":{"Name":"strata","Data":null},"#;
    let parent = r#""Parent":"","Comment":"","#;
    let author = r#""DockerVersion":"","Author":"","#;
    let nulls = r#""Config":{"User":"","Env":null,"Entrypoint":null,"Cmd":["sh"],"Volumes":null,"WorkingDir":"","Labels":null,"OnBuild":null},"#;
    for (version, expected) in [
        (
            "",
            format!("{start}{created}{config}{platform}{end}{descriptor}{identity}}}\n"),
        ),
        (
            "/v1.52",
            format!("{start}{created}{config}{platform}{end}{descriptor}}}\n"),
        ),
        (
            "/v1.51",
            format!(
                "{start}{parent}{created}{author}{nulls}{platform}{driver}{end}{descriptor}}}\n"
            ),
        ),
    ] {
        let client = call(&fake, &format!("GET {version}/images/alpine/json"));
        assert_eq!(client.text(), expected, "{version}");
    }
    for (version, present, absent) in [
        ("1.47", r#""Hostname":"""#, "Descriptor"),
        ("1.45", r#""Size":12,"GraphDriver""#, "ContainerConfig"),
        (
            "1.44",
            r#""Container":"","ContainerConfig":null"#,
            "VirtualSize",
        ),
        ("1.43", r#""VirtualSize":12"#, "Identity"),
    ] {
        let client = call(&fake, &format!("GET /v{version}/images/alpine/json"));
        assert!(
            client.text().contains(present),
            "{version}: {}",
            client.text()
        );
        assert!(
            !client.text().contains(absent),
            "{version}: {}",
            client.text()
        );
    }
}

#[test]
fn what_is_not_known_of_an_image() {
    let nothing = Fake::default();
    let text = call(&nothing, "GET /images/a/json").text().to_owned();
    for part in [
        r#""Config":{},"Architecture":"","Os":"","#,
        r#""RootFS":{},"#,
        r#""Metadata":{"LastTagTime":"0001-01-01T00:00:00Z"}"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("Created"));
    let text = call(&nothing, "GET /v1.43/images/a/json").text().to_owned();
    assert!(text.contains(r#""Created":"0001-01-01T00:00:00Z""#));
}

#[test]
fn texts_of_an_image_come_from_its_config() {
    let fake = inspected(
        r#"{"author":"me","docker_version":"20.10","parent":"sha256:p","created":"2024-01-02T03:04:05+02:00","history":[{"comment":"first"},{"comment":"buildkit.dockerfile.v0"}]}"#,
    );
    let text = call(&fake, "GET /images/a/json").text().to_owned();
    let expected = r#""Parent":"sha256:p","Comment":"buildkit.dockerfile.v0","Created":"2024-01-02T03:04:05+02:00","DockerVersion":"20.10","Author":"me","#;
    assert!(text.contains(expected), "{text}");
}

#[test]
fn inspect_parameters_follow_the_version() {
    let platform = r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#;
    for (version, query, expected) in [
        (
            "1.54",
            "manifests=1".to_owned(),
            "platform: None, manifests: true",
        ),
        (
            "1.47",
            "manifests=1".to_owned(),
            "platform: None, manifests: false",
        ),
        (
            "1.48",
            format!("platform={platform}"),
            "platform: None, manifests: false",
        ),
        (
            "1.49",
            format!("platform={platform}"),
            "variant: Some(\"v8\") }), manifests: false",
        ),
    ] {
        let fake = Fake::default();
        let name = "docker.io/library/alpine:3";
        let client = call(
            &fake,
            &format!("GET /v{version}/images/{name}/json?{query}"),
        );
        assert_eq!(client.code(), 200);
        let call = last_call(&fake);
        assert!(
            call.starts_with(&format!("inspect {name} ")) && call.contains(expected),
            "{call}"
        );
    }
    for (query, message) in [
        (
            format!("manifests=1&platform={platform}"),
            "conflicting options: manifests and platform options cannot both be set",
        ),
        (
            "platform={\"os\":\"linux\"}".to_owned(),
            "both OS and Architecture must be provided",
        ),
    ] {
        let client = call(&Fake::default(), &format!("GET /images/a/json?{query}"));
        assert_eq!(client.code(), 400);
        assert_eq!(client.text(), format!("{{\"message\":\"{message}\"}}\n"));
    }
}

#[test]
fn a_percent_encoded_name_is_the_same_name() {
    let fake = Fake::default();
    call(&fake, "GET /images/a%2Fb%3A1%40x/json");
    assert!(last_call(&fake).starts_with("inspect a/b:1@x "));
}

#[test]
fn history_has_all_six_keys_or_is_null() {
    let mut fake = Fake::default();
    assert_eq!(call(&fake, "GET /images/a/history").text(), "null\n");
    let step = HistoryEntry {
        id: Some(digest("a")),
        created: 5,
        created_by: "CMD <x>".to_owned(),
        tags: vec!["a:1".to_owned()],
        size: 3,
        comment: "c".to_owned(),
    };
    let missing = HistoryEntry {
        id: None,
        tags: Vec::new(),
        ..step.clone()
    };
    fake.history = vec![step, missing];
    let expected = format!(
        r#"[{{"Comment":"c","Created":5,"CreatedBy":"CMD <x>","Id":"{}","Size":3,"Tags":["a:1"]}},{{"Comment":"c","Created":5,"CreatedBy":"CMD <x>","Id":"<missing>","Size":3,"Tags":null}}]"#,
        digest("a")
    );
    assert_eq!(call(&fake, "GET /images/a/history").text(), expected + "\n");
    for (version, platform) in [("1.47", "a None"), ("1.48", "a Some(")] {
        call(
            &fake,
            &format!(
                "GET /v{version}/images/a/history?platform={{\"os\":\"o\",\"architecture\":\"a\"}}"
            ),
        );
        assert!(
            last_call(&fake).starts_with(&format!("history {platform}")),
            "{version}"
        );
    }
}
