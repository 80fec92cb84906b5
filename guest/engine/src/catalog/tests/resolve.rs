use super::*;

#[test]
fn names_resolve_in_the_order_of_docker() {
    let (engine, [old, middle, new, dangling]) = gallery();
    let store = &engine.store;
    let other = Digest::sha256(b"other");
    let prefix = &new.digest.encoded()[..8];
    // A name wins over an ID prefix.
    store.name(
        "images",
        &format!("docker.io/library/{prefix}:latest"),
        &old,
        &[],
    );
    // Names that other tools gave.
    store.name("images", "busybox", &new, &[]);
    store.name("images", "Not a Reference", &new, &[]);
    let long = old.digest.encoded();
    let not_found = |text: &str| Err(Error::NotFound(text.to_owned()));
    let cases: Vec<(String, Result<&Target, Error>)> = vec![
        ("alpine".into(), Ok(&middle)),
        ("alpine:3".into(), Ok(&middle)),
        ("docker.io/library/alpine:3".into(), Ok(&middle)),
        ("index.docker.io/alpine:3".into(), Ok(&middle)),
        (format!("alpine@{}", middle.digest), Ok(&middle)),
        (format!("alpine:nosuch@{}", middle.digest), Ok(&middle)),
        (long.into(), Ok(&old)),
        (old.digest.to_string(), Ok(&old)),
        (long[..4].into(), Ok(&old)),
        (format!("sha256:{}", &long[..12]), Ok(&old)),
        (prefix.into(), Ok(&old)),
        (new.digest.encoded()[..12].into(), Ok(&new)),
        (format!("moby-dangling@{}", dangling.digest), Ok(&dangling)),
        ("busybox:latest".into(), Ok(&new)),
        ("Not a Reference".into(), Ok(&new)),
        (
            "alpine:nosuch".into(),
            not_found("No such image: alpine:nosuch"),
        ),
        ("nosuch".into(), not_found("No such image: nosuch:latest")),
        (
            "docker.io/u/x".into(),
            not_found("No such image: u/x:latest"),
        ),
        ("0000".into(), not_found("No such image: 0000:latest")),
        (
            format!("other@{}", middle.digest),
            not_found(&format!("No such image: other@{}", middle.digest)),
        ),
        (
            other.to_string(),
            not_found(&format!("No such image: {other}")),
        ),
        (
            other.encoded().into(),
            not_found(&format!("No such image: {other}")),
        ),
        (
            "Alpine".into(),
            Err(Error::InvalidArgument(
                "invalid reference format: repository name (library/Alpine) must be lowercase"
                    .into(),
            )),
        ),
    ];
    for (name, expected) in cases {
        let found = block_on(engine.inspect(&name, &InspectOptions::default()));
        let found = found.map(|details| details.target.digest);
        assert_eq!(
            found,
            expected.map(|target| target.digest.clone()),
            "{name}"
        );
    }
}

#[test]
fn an_ambiguous_prefix_is_not_found() {
    let engine = engine();
    // Enough images that two share four hex digits of their IDs.
    let mut seen = std::collections::HashSet::new();
    let shared = (0..).find_map(|n| {
        let content = n.to_string();
        let target = engine.store.image(&Recipe {
            layers: &[&content],
            ..PLAIN
        });
        engine
            .store
            .name("images", &format!("docker.io/library/n:{n}"), &target, &[]);
        let prefix = target.digest.encoded()[..4].to_owned();
        (!seen.insert(prefix.clone())).then_some(prefix)
    });
    let found = block_on(engine.inspect(&shared.unwrap(), &InspectOptions::default()));
    let error = Error::NotFound("ambiguous reference".to_owned());
    assert_eq!(found.map(|details| details.target.digest), Err(error));
}
