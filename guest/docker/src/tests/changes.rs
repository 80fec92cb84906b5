//! Tag, remove and prune: parameters, answers, failures.

use http::{HeaderValue, header::CONTENT_TYPE};
use strata_engine::{Error, Pruned, Removal};

use super::{
    client::{Client, block_on, call, request, respond},
    fake::{Fake, digest, last_call},
};

#[test]
fn tag_answers_201_without_a_body() {
    for (query, target) in [
        (
            "repo=docker.io%2Flibrary%2Fb&tag=1",
            "docker.io/library/b:1",
        ),
        ("repo=b", "docker.io/library/b:latest"),
        ("repo=b:2", "docker.io/library/b:2"),
        ("repo=b:2&tag=3", "docker.io/library/b:3"),
    ] {
        let fake = Fake::default();
        let client = call(&fake, &format!("POST /images/x/y:1/tag?{query}"));
        assert_eq!((client.code(), client.text()), (201, ""));
        assert_eq!(client.headers["content-length"], "0");
        assert!(!client.headers.contains_key("content-type"));
        assert_eq!(last_call(&fake), format!("tag x/y:1 {target}"));
    }
}

#[test]
fn tag_quirks_and_refusals() {
    let fake = Fake::default();
    let client = call(&fake, "POST /images/x/tag");
    assert_eq!((client.code(), client.text()), (200, ""));
    let digested = format!("repo=b@{}", digest("d"));
    for (query, message) in [
        (digested.as_str(), "cannot import digest reference"),
        ("repo=b&tag=-", "invalid tag format"),
        (
            "repo=sha256&tag=x",
            "refusing to create an ambiguous tag using digest algorithm as name",
        ),
        (
            "repo=B",
            "invalid reference format: repository name (library/B) must be lowercase",
        ),
    ] {
        let client = call(&fake, &format!("POST /images/x/tag?{query}"));
        assert_eq!(client.code(), 400, "{query}");
        assert_eq!(client.text(), format!("{{\"message\":\"{message}\"}}\n"));
    }
    assert!(fake.calls.borrow().is_empty());
    for error in [
        Error::InvalidArgument("invalid reference format".to_owned()),
        Error::NotFound("No such image: x:latest".to_owned()),
    ] {
        let fake = Fake {
            error: Some(error),
            ..Fake::default()
        };
        assert_eq!(call(&fake, "POST /images/X/tag?repo=b").code(), 404);
    }
}

fn removing(removals: Vec<Removal>) -> Fake {
    Fake {
        pruned: Pruned {
            removals,
            reclaimed: 42,
            kept: None,
        },
        ..Fake::default()
    }
}

#[test]
fn removals_are_objects_with_one_key() {
    let removals = vec![
        Removal::Untagged("a:1".to_owned()),
        Removal::Deleted(digest("a")),
    ];
    let list = format!(r#"[{{"Untagged":"a:1"}},{{"Deleted":"{}"}}]"#, digest("a"));
    let fake = removing(removals);
    assert_eq!(
        call(&fake, "DELETE /images/a:1").text(),
        format!("{list}\n")
    );
    let pruned = format!("{{\"ImagesDeleted\":{list},\"SpaceReclaimed\":42}}\n");
    assert_eq!(call(&fake, "POST /images/prune").text(), pruned);
    let nothing = call(&removing(Vec::new()), "POST /images/prune")
        .text()
        .to_owned();
    assert_eq!(nothing, "{\"ImagesDeleted\":null,\"SpaceReclaimed\":42}\n");
}

#[test]
fn remove_parameters() {
    let platforms = r#"platforms={"os":"linux","architecture":"arm64"}&platforms={"os":"linux","architecture":"amd64"}"#;
    for (path, expected) in [
        (
            "/images/a?force=1&noprune=1".to_owned(),
            "force: true, no_prune: true, platforms: []",
        ),
        (
            "/images/a/b".to_owned(),
            "force: false, no_prune: false, platforms: []",
        ),
        (format!("/v1.49/images/a?{platforms}"), "platforms: []"),
        (format!("/v1.50/images/a?force=1&{platforms}"), "\"amd64\""),
    ] {
        let fake = Fake::default();
        assert_eq!(call(&fake, &format!("DELETE {path}")).code(), 200, "{path}");
        assert!(last_call(&fake).contains(expected), "{}", last_call(&fake));
    }
    let fake = Fake::default();
    for (path, message) in [
        ("/images/%20", "image name cannot be blank".to_owned()),
        ("/images/", "image name cannot be blank".to_owned()),
        (
            &format!("/images/a?{platforms}"),
            "Content will be removed from all images referencing this variant. Use —-force to force delete.".to_owned(),
        ),
        ("/images/a?platforms={}", "both OS and Architecture must be provided".to_owned()),
    ] {
        let client = call(&fake, &format!("DELETE {path}"));
        assert_eq!(client.code(), 400, "{path}");
        assert_eq!(client.text(), format!("{{\"message\":\"{message}\"}}\n"));
    }
    assert!(fake.calls.borrow().is_empty());
}

#[test]
fn prune_takes_filters_from_query_or_form() {
    let fake = Fake::default();
    call(
        &fake,
        "POST /images/prune?filters={\"dangling\":{\"false\":true}}",
    );
    assert!(last_call(&fake).contains("dangling: Some(false)"));
    call(&fake, "POST /images/prune");
    assert!(last_call(&fake).contains("dangling: Some(true)"));
    let body = b"filters=%7B%22until%22%3A%5B%2210s%22%5D%7D";
    let mut request = request("POST /images/prune", body);
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(CONTENT_TYPE, form);
    assert_eq!(
        block_on(respond(&fake, request, &mut Client::default())),
        Ok(())
    );
    assert!(last_call(&fake).contains("until: Some(1699999990)"));
    let conflict = Fake {
        error: Some(Error::Conflict(
            "a prune operation is already running".to_owned(),
        )),
        ..Fake::default()
    };
    let client = call(&conflict, "POST /images/prune");
    assert_eq!(client.code(), 409);
    assert_eq!(
        client.text(),
        "{\"message\":\"a prune operation is already running\"}\n"
    );
}
