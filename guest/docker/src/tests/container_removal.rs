//! Removing containers, one or many.

use std::collections::BTreeMap;

use serde_json::Value;
use strata_engine::{ContainerSummary, Error};

use super::{
    client::call,
    containers::{json, summary, with_container},
    fake::Fake,
};

#[test]
fn a_removed_container_leaves_an_empty_answer() {
    let fake = with_container();
    let client = call(&fake, "DELETE /containers/web?v=1&force=1&link=1");
    assert_eq!((client.code(), client.text()), (204, ""));
    assert!(!client.headers.contains_key("content-length"));
    assert_eq!(fake.calls.borrow()[0], "remove_container web");
    let client = call(&Fake::default(), "DELETE /containers/x");
    assert_eq!(client.code(), 404);
}

#[test]
fn a_prune_removes_what_its_filters_let_through() {
    let labels = |labels: &[(&str, &str)]| {
        let pairs = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    for (filters, expected) in [
        ("", &["a", "b", "c"][..]),
        (r#"{"until":["1000"]}"#, &["a", "b"]),
        (r#"{"label":["x"]}"#, &["a", "b"]),
        (r#"{"label":["x=1"]}"#, &["a"]),
        (r#"{"label":["x","y"]}"#, &["b"]),
        (r#"{"label!":["x"]}"#, &["c"]),
        (r#"{"label!":["x=1"]}"#, &["b", "c"]),
        // Only what has all of them is kept, as in dockerd.
        (r#"{"label!":["x","y"]}"#, &["a", "c"]),
        (r#"{"label":["z"]}"#, &[]),
    ] {
        let container = |id: &str, created, given| ContainerSummary {
            id: id.to_owned(),
            created,
            labels: labels(given),
            ..summary()
        };
        let fake = Fake {
            containers: vec![
                container("a", 999, &[("x", "1")]),
                container("b", 1000, &[("x", "2"), ("y", "")]),
                container("c", 1001, &[]),
            ],
            ..with_container()
        };
        let pruned = json(&fake, &format!("POST /containers/prune?filters={filters}"));
        match expected {
            [] => assert_eq!(pruned["ContainersDeleted"], Value::Null),
            _ => assert_eq!(pruned["ContainersDeleted"], serde_json::json!(expected)),
        }
        assert_eq!(pruned["SpaceReclaimed"], 3 * expected.len(), "{filters}");
        let calls = fake.calls.borrow();
        assert!(calls[0].starts_with("containers ContainerListOptions { all: true"));
        let removed = calls
            .iter()
            .filter(|call| call.starts_with("remove_container"));
        assert_eq!(removed.count(), expected.len());
    }
}

#[test]
fn a_prune_passes_over_what_is_gone_already() {
    let fake = Fake {
        container: None,
        ..with_container()
    };
    let client = call(&fake, "POST /containers/prune");
    assert_eq!(
        (client.code(), client.text()),
        (200, "{\"ContainersDeleted\":null,\"SpaceReclaimed\":0}\n")
    );
}

#[test]
fn a_prune_removes_what_cannot_be_read() {
    let fake = Fake {
        unreadable: Some(Error::Damaged("blob x has changed".into())),
        ..with_container()
    };
    let pruned = json(&fake, "POST /containers/prune");
    assert_eq!(
        pruned["ContainersDeleted"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(pruned["SpaceReclaimed"], 0);
}

#[test]
fn a_prune_spares_what_may_have_the_label_that_spares_it() {
    for (filters, count) in [(r#"{"label!":["x"]}"#, None), ("{}", Some(1))] {
        let fake = Fake {
            containers: vec![ContainerSummary {
                damaged: Some("blob x has changed".into()),
                labels: BTreeMap::new(),
                ..summary()
            }],
            ..with_container()
        };
        let pruned = json(&fake, &format!("POST /containers/prune?filters={filters}"));
        let deleted = pruned["ContainersDeleted"].as_array().map(Vec::len);
        assert_eq!(deleted, count, "{filters}");
    }
}

#[test]
fn bad_prune_filters_are_refused() {
    for (filters, message) in [
        (r#"{"name":["x"]}"#, "invalid filter 'name'"),
        (
            r#"{"until":["1","2"]}"#,
            "more than one until filter specified",
        ),
    ] {
        let fake = with_container();
        let client = call(&fake, &format!("POST /containers/prune?filters={filters}"));
        let expected = format!("{{\"message\":\"{message}\"}}\n");
        assert_eq!((client.code(), client.text()), (400, expected.as_str()));
        assert!(fake.calls.borrow().is_empty());
    }
}
