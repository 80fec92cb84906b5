use super::*;

#[test]
fn tag_moves_a_name_and_keeps_the_old_image_dangling() {
    let engine = engine();
    let store = &engine.store;
    let one = store.image(&with_layers(&["1"]));
    let two = store.named("docker.io/library/two:1", &with_layers(&["2"]));
    let labels = [("source.docker.io", "library/one"), ("other", "x")];
    store.name("images", "docker.io/library/one:1", &one, &labels);
    store.name(
        "images",
        "docker.io/library/one:2",
        &one,
        &[("source.docker.io", "library/one,x/y")],
    );

    tag(&engine, "one:1", "new").unwrap();
    assert_eq!(
        store.target_of("docker.io/library/new:latest"),
        Some(one.digest.clone())
    );
    let (_, names) = block_on(store.names("images")).unwrap();
    let new = names
        .iter()
        .find(|it| it.name.ends_with("new:latest"))
        .unwrap();
    let sources = ("source.docker.io".to_owned(), "library/one,x/y".to_owned());
    assert_eq!(new.labels, [sources]);

    // Other names are left: nothing dangles.
    tag(&engine, "two:1", "new").unwrap();
    assert_eq!(store.target_of(&dangling(&one)), None);
    // The last name of `two` moves away: it dangles.
    store.name("images", "docker.io/library/new:latest", &one, &[]);
    tag(&engine, "one:1", "two:1").unwrap();
    assert_eq!(store.target_of(&dangling(&two)), Some(two.digest.clone()));
    // A name makes it tagged again.
    tag(&engine, two.digest.as_str(), "again:1").unwrap();
    assert_eq!(store.target_of(&dangling(&two)), None);
    assert_eq!(
        store.target_of("docker.io/library/again:1"),
        Some(two.digest)
    );
    // The same again changes nothing.
    let before = store.now();
    tag(&engine, "one:1", "two:1").unwrap();
    assert_eq!(store.now(), before);
}

#[test]
fn tag_refuses() {
    let engine = engine();
    let target = engine.store.named("docker.io/library/a:1", &PLAIN);
    let by_digest = format!("b@{}", target.digest);
    let invalid = |text: &str| Err(Error::InvalidArgument(text.to_owned()));
    let not_found = |text: &str| Err(Error::NotFound(text.to_owned()));
    for (source, target, expected) in [
        (
            "a:1",
            by_digest.as_str(),
            invalid("cannot import digest reference"),
        ),
        (
            "a:1",
            "sha256:x",
            invalid("refusing to create an ambiguous tag using digest algorithm as name"),
        ),
        ("a:1", "u/sha256:x", Ok(())),
        ("nosuch", "b", not_found("No such image: nosuch:latest")),
        ("a:1:2", "b", not_found("invalid reference format")),
    ] {
        assert_eq!(tag(&engine, source, target), expected, "{source} {target}");
    }
    engine.store.lose(&target.digest);
    assert!(matches!(tag(&engine, "a:1", "c"), Err(Error::NotFound(_))));
}
