use super::*;

#[test]
fn history_is_newest_first_with_layer_sizes() {
    let engine = engine();
    let store = &engine.store;
    let target = store.named(
        "docker.io/library/h:1",
        &Recipe {
            layers: &["a", "bcd"],
            ..PLAIN
        },
    );
    let entries = block_on(engine.history("h:1", Some(&platform("linux/amd64")))).unwrap();
    let steps: Vec<_> = entries
        .iter()
        .map(|it| (it.created_by.as_str(), it.size))
        .collect();
    assert_eq!(
        steps,
        [("ENV", 0), ("COPY bcd", 3), ("ENV", 0), ("COPY a", 1)]
    );
    assert_eq!(entries[0].id, Some(target.digest));
    assert_eq!(entries[0].tags, ["h:1"]);
    assert_eq!(entries[0].comment, "note");
    assert_eq!(
        (entries[1].id.clone(), entries[1].created),
        (None, 1_704_067_200)
    );
    store.calls();
    block_on(engine.history("h:1", None)).unwrap();
    assert_eq!(store.calls(), ["generation"]);
}

#[test]
fn history_with_too_many_steps_is_invalid() {
    let engine = engine();
    let store = &engine.store;
    let config = json!({"os": "linux", "architecture": "amd64", "history": [{"created_by": "x"}]});
    let config = store.document(media_type::OCI_CONFIG, &config);
    let manifest = json!({"schemaVersion": 2, "config": pointer(&config), "layers": []});
    let target = store.document(media_type::OCI_MANIFEST, &manifest);
    store.name("images", "docker.io/library/x:latest", &target, &[]);
    let error = block_on(engine.history("x", None)).unwrap_err();
    assert_eq!(
        error,
        Error::ManifestInvalid("unable to find the size of the layer".into())
    );
}
