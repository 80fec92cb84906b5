use super::*;
use crate::Error;

#[test]
fn a_container_is_found_by_name_and_id() {
    let engine = usual();
    let id = block_on(engine.find_saved("box")).unwrap().container.id;
    assert_eq!(id.len(), 64);
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    for text in ["box", "/box", &id, &id[..12], &id[..1]] {
        let found = block_on(engine.container(text, false)).unwrap();
        assert_eq!(found.id, id, "{text}");
    }
    for text in ["", "/", "Box", "x", &format!("{id}0"), "/box/"] {
        let text_of = Error::NotFound(format!("No such container: {text}"));
        let found = block_on(engine.container(text, false)).map(|it| it.id);
        assert_eq!(found, Err(text_of), "{text}");
    }
}

#[test]
fn a_name_wins_over_a_prefix_and_a_prefix_of_two_is_refused() {
    let engine = usual();
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(create(&engine, &format!("n{number}")).unwrap());
    }
    // Twenty IDs and sixteen digits.
    let shared = ids.iter().find_map(|id| {
        let others = ids.iter().filter(|other| other[..1] == id[..1]);
        (others.count() > 1).then(|| id[..1].to_owned())
    });
    let shared = shared.unwrap();
    let found = block_on(engine.container(&shared, false)).map(|it| it.id);
    let text = format!("multiple IDs found with provided prefix: {shared}");
    assert_eq!(found, Err(Error::InvalidArgument(text)));
    let prefix = &ids[3][..6];
    let named = create(&engine, prefix).unwrap();
    let found = block_on(engine.container(prefix, false)).unwrap();
    assert_eq!(found.id, named);
}

#[test]
fn names_follow_the_grammar() {
    let engine = usual();
    for name in ["ab", "/ab2", "A.b-c_d", "0a", &"x".repeat(255)] {
        create(&engine, name).unwrap();
    }
    for name in [
        "x",
        "/",
        "_a",
        "-a",
        ".a",
        "a b",
        "a/b",
        "//ab",
        "ä1",
        &"y".repeat(256),
    ] {
        let text =
            format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
        assert_eq!(create(&engine, name), Err(Error::InvalidArgument(text)));
    }
    let container = block_on(engine.container("ab2", false)).unwrap();
    assert_eq!(container.name, "ab2");
}

#[test]
fn a_name_is_taken_once() {
    let engine = usual();
    let id = create(&engine, "taken").unwrap();
    let text = format!(
        "Conflict. The container name \"/taken\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    );
    assert_eq!(create(&engine, "/taken"), Err(Error::Conflict(text)));
    block_on(engine.remove_container("taken")).unwrap();
    create(&engine, "taken").unwrap();
}

#[test]
fn whoever_comes_second_with_a_name_is_told() {
    let engine = usual();
    let other = Target {
        media_type: media_type::OCI_INDEX.to_owned(),
        digest: Digest::sha256(b"other"),
        size: 5,
    };
    engine.store.before("apply", move |store| {
        let image = Digest::sha256(b"image");
        let labels = [("container-name", "raced"), ("image", image.as_str())];
        store.name("containers", &"a".repeat(64), &other, &labels);
    });
    let refused = create(&engine, "raced");
    assert!(matches!(&refused, Err(Error::Conflict(text)) if text.contains(&"a".repeat(64))));
    assert_eq!(engine.store.leases(), 0);
}

#[test]
fn names_are_made_up_until_one_is_free() {
    let engine = usual();
    let options = CreateOptions {
        image: "app".to_owned(),
        ..CreateOptions::default()
    };
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let id = block_on(engine.create_container(&options)).unwrap().id;
        names.insert(block_on(engine.container(&id, false)).unwrap().name);
    }
    // The clock is not random at all.
    assert_eq!(names.len(), 5);
    assert!(names.contains("able_agricola") && names.contains("able_agricola4"));
}
