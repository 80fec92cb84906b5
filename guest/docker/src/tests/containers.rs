//! Containers: a store with one, how it is listed, and what is common to all requests about it.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};
use strata_engine::{ContainerDetails, ContainerSummary, Error};
use strata_oci::{Descriptor, media_type::OCI_MANIFEST};

use super::{
    client::call,
    fake::{Fake, digest, last_call, linux},
};

fn raw(json: &str) -> Option<Box<RawValue>> {
    Some(RawValue::from_string(json.to_owned()).unwrap())
}

fn manifest() -> Descriptor {
    Descriptor::new(OCI_MANIFEST, digest("m"), 7)
}

pub(super) fn summary() -> ContainerSummary {
    ContainerSummary {
        id: "c".repeat(64),
        name: "web".to_owned(),
        image: "alpine".to_owned(),
        image_id: digest("a"),
        manifest: manifest(),
        command: ["sh", "-c", "echo a"].map(str::to_owned).to_vec(),
        created: 5,
        labels: BTreeMap::from([("k".to_owned(), "<v>".to_owned())]),
        host_config: None,
        size_changed: None,
        size_total: None,
        damaged: None,
    }
}

fn details() -> ContainerDetails {
    let config = r#"{"Entrypoint":["/e"],"Cmd":["a","b c"],"Env":["A=b"],"Labels":{"k":"v"},"ExposedPorts":{"80/tcp":{}}}"#;
    ContainerDetails {
        id: "c".repeat(64),
        name: "web".to_owned(),
        image: "alpine".to_owned(),
        image_id: digest("a"),
        manifest: manifest(),
        platform: linux(),
        created: (5, 600_000_000),
        config: serde_json::from_str(config).unwrap(),
        host_config: raw(r#"{"Memory":5}"#),
        networking_config: raw(r#"{"EndpointsConfig":{"mine":{"Aliases":["x"]}}}"#),
        size_changed: 3,
        size_total: Some(9),
        damaged: None,
    }
}

/// A store with one container, called `web`.
pub(super) fn with_container() -> Fake {
    Fake {
        container: Some(details()),
        containers: vec![summary()],
        ..Fake::default()
    }
}

pub(super) fn json(fake: &Fake, line: &str) -> Value {
    let client = call(fake, line);
    assert_eq!(client.code(), 200, "{line}: {}", client.text());
    serde_json::from_slice(&client.body).unwrap()
}

#[test]
fn a_list_entry_has_the_shape_of_its_version() {
    let descriptor = format!(
        r#""ImageManifestDescriptor":{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":7}},"#,
        digest("m")
    );
    let health = r#""Health":{"Status":"none","FailingStreak":0},"#;
    for (version, descriptor, health) in [
        ("", descriptor.as_str(), health),
        ("/v1.52", &descriptor, health),
        ("/v1.51", &descriptor, ""),
        ("/v1.48", &descriptor, ""),
        ("/v1.47", "", ""),
        ("/v1.24", "", ""),
    ] {
        let line = format!("GET {version}/containers/json?all=1");
        let client = call(&with_container(), &line);
        let (before, after) = client.text().split_once(r#""Networks":{"#).unwrap();
        let expected = format!(
            r#"[{{"Id":"{}","Names":["/web"],"Image":"alpine","ImageID":"{}",{descriptor}"Command":"sh -c 'echo a'","Created":5,"Ports":[],"Labels":{{"k":"<v>"}},"State":"created","Status":"Created","HostConfig":{{"NetworkMode":"bridge"}},{health}"NetworkSettings":{{"#,
            "c".repeat(64),
            digest("a")
        );
        assert_eq!(before, expected, "{version}");
        assert!(after.starts_with(r#""bridge":{"#) && after.ends_with("}},\"Mounts\":[]}]\n"));
    }
}

#[test]
fn what_is_damaged_says_so() {
    let mut fake = with_container();
    let list = json(&fake, "GET /containers/json?all=1");
    assert!(list[0].get("Damaged").is_none());
    fake.containers[0].damaged = Some("blob x has changed".to_owned());
    let list = json(&fake, "GET /containers/json?all=1");
    assert_eq!(list[0]["Damaged"], "blob x has changed");
}

#[test]
fn sizes_and_annotations_are_listed_when_there_are_any() {
    let mut fake = with_container();
    let container = &mut fake.containers[0];
    container.size_changed = Some(0);
    container.size_total = Some(9);
    container.command.clear();
    container.host_config = raw(r#"{"NetworkMode":"host","Annotations":{"a":"b"}}"#);
    let list = json(&fake, "GET /containers/json?all=1&size=1");
    assert_eq!(list[0]["SizeRw"], 0);
    assert_eq!(list[0]["SizeRootFs"], 9);
    assert_eq!(list[0]["Command"], "");
    assert_eq!(list[0]["HostConfig"]["NetworkMode"], "host");
    assert_eq!(list[0]["HostConfig"]["Annotations"]["a"], "b");
    let list = json(&fake, "GET /v1.45/containers/json?all=1");
    assert!(list[0]["HostConfig"].get("Annotations").is_none());
    let list = json(&with_container(), "GET /containers/json?all=1");
    assert!(list[0].get("SizeRw").is_none());
}

#[test]
fn list_parameters_are_passed_on() {
    for (query, all, limit, size) in [
        ("", false, "None", false),
        ("?all=1", true, "None", false),
        ("?all=true&size=1", true, "None", true),
        ("?limit=2", true, "Some(2)", false),
        ("?limit=0", false, "None", false),
        ("?limit=-1", false, "None", false),
        // What the engine cannot tell is counted afterwards.
        (r#"?limit=2&filters={"name":["^a$"]}"#, true, "None", false),
    ] {
        let fake = with_container();
        json(&fake, &format!("GET /containers/json{query}"));
        let expected = format!("ContainerListOptions {{ all: {all}, limit: {limit}, size: {size},");
        assert!(last_call(&fake).contains(&expected), "{}", last_call(&fake));
    }
}

#[test]
fn what_the_engine_lets_through_is_filtered_and_counted() {
    for (query, expected) in [
        (r#"filters={"name":["^w"]}"#, &["web", "w1", "w2"][..]),
        (r#"filters={"name":["^w"]}&limit=2"#, &["web", "w1"]),
        (r#"filters={"name":["^/web$"]}&limit=2"#, &["web"]),
        (r#"filters={"network":["mine"]}"#, &["w1"]),
        (
            r#"filters={"network":["mine","bridge"]}"#,
            &["web", "w1", "w2", "x"],
        ),
        (r#"filters={"volume":["v"]}"#, &[]),
        (r#"filters={"exited":["0"]}"#, &[]),
        (r#"filters={"health":["none"]}"#, &["web", "w1", "w2", "x"]),
    ] {
        let containers = ["web", "w1", "w2", "x"].map(|name| ContainerSummary {
            name: name.to_owned(),
            host_config: (name == "w1")
                .then(|| raw(r#"{"NetworkMode":"mine"}"#))
                .flatten(),
            ..summary()
        });
        let fake = Fake {
            containers: containers.to_vec(),
            ..Fake::default()
        };
        let list = json(&fake, &format!("GET /containers/json?all=1&{query}"));
        let names: Vec<_> = list.as_array().unwrap().iter().collect();
        let names: Vec<_> = names.iter().map(|item| item["Names"][0].as_str()).collect();
        let expected: Vec<_> = expected.iter().map(|name| format!("/{name}")).collect();
        let expected: Vec<_> = expected.iter().map(|name| Some(name.as_str())).collect();
        assert_eq!(names, expected, "{query}");
    }
}

#[test]
fn bad_list_parameters_are_refused() {
    for (query, message) in [
        ("limit=x", "strconv.Atoi: parsing \\\"x\\\": invalid syntax"),
        (
            "limit=99999999999999999999",
            "strconv.Atoi: parsing \\\"99999999999999999999\\\": value out of range",
        ),
        (r#"filters={"x":["y"]}"#, "invalid filter 'x'"),
    ] {
        let fake = with_container();
        let client = call(&fake, &format!("GET /containers/json?{query}"));
        let expected = format!("{{\"message\":\"{message}\"}}\n");
        assert_eq!((client.code(), client.text()), (400, expected.as_str()));
        assert!(fake.calls.borrow().is_empty());
    }
    let fake = Fake::default();
    assert_eq!(call(&fake, "GET /containers/json?all=1").text(), "[]\n");
}

#[test]
fn names_keep_their_slash_and_may_not_be_empty() {
    for (line, expected) in [
        ("GET /containers//web/json", "container /web false"),
        (
            "DELETE /containers//web?force=1&v=1",
            "remove_container /web",
        ),
        ("GET /v1.41/containers/%2Fweb/json", "container /web false"),
    ] {
        let fake = with_container();
        call(&fake, line);
        assert_eq!(last_call(&fake), expected, "{line}");
    }
    for line in [
        "GET /containers//json",
        "DELETE /containers/",
        "POST /containers//start",
        "GET /containers//export",
    ] {
        let fake = with_container();
        let client = call(&fake, line);
        let expected = "{\"message\":\"invalid name or ID supplied: \\\"\\\"\"}\n";
        assert_eq!((client.code(), client.text()), (400, expected), "{line}");
        assert!(fake.calls.borrow().is_empty());
    }
}

#[test]
fn info_counts_containers_as_stopped() {
    let info = json(&with_container(), "GET /info");
    assert_eq!(info["Containers"], 1);
    assert_eq!(info["ContainersStopped"], 1);
    assert_eq!(info["ContainersRunning"], 0);
    let fake = Fake {
        error: Some(Error::Internal("disk".to_owned())),
        ..with_container()
    };
    assert_eq!(call(&fake, "GET /info").code(), 500);
}
