use super::*;
use crate::{Error, Filters, ListOptions, RemoveOptions};

fn images(engine: &TestEngine) -> Vec<Vec<String>> {
    let listed = block_on(engine.list(&ListOptions::default())).unwrap();
    listed.iter().map(|image| image.tags.clone()).collect()
}

fn prune_all(engine: &TestEngine) {
    let filters = Filters {
        dangling: Some(false),
        ..Filters::default()
    };
    block_on(engine.prune(&filters)).unwrap();
}

#[test]
fn a_container_is_no_image_and_counts_as_its_images() {
    let engine = usual();
    copy_in(&engine, "/", tar(&[file("x", "")])).unwrap();
    let listed = block_on(engine.list(&ListOptions::default())).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].containers, Some(1));
    assert_eq!(images(&engine), [["app:latest"]]);
}

#[test]
fn an_image_in_use_stays() {
    let engine = usual();
    copy_in(&engine, "/", tar(&[file("x", "changed")])).unwrap();
    let id = block_on(engine.container("box", false)).unwrap().id;
    let refused = block_on(engine.remove("app", &RemoveOptions::default()));
    let Err(Error::Conflict(text)) = refused else {
        panic!("removed");
    };
    assert!(text.contains(&id[..12]), "{text}");
    prune_all(&engine);
    assert_eq!(images(&engine), [["app:latest"]]);

    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    block_on(engine.remove("app", &force)).unwrap();
    assert_eq!(images(&engine), [[""; 0]], "dangling");
    prune_all(&engine);
    assert_eq!(images(&engine), [[""; 0]], "kept for the container");
    assert_eq!(lines(&copy_out(&engine, "/x").unwrap()), ["f x changed"]);
}

#[test]
fn content_stays_without_any_name_of_the_image_and_goes_with_the_container() {
    let engine = usual();
    copy_in(&engine, "/", tar(&[file("x", "changed")])).unwrap();
    let id = block_on(engine.container("box", false)).unwrap().image_id;
    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    block_on(engine.remove(id.as_str(), &force)).unwrap();
    prune_all(&engine);
    assert_eq!(engine.store.names_of("images"), [""; 0]);
    forget(&engine);
    assert_eq!(lines(&copy_out(&engine, "/x").unwrap()), ["f x changed"]);
    let image = commit(&engine, &CommitOptions::default()).unwrap();
    assert!(engine.store.has(&image));
    block_on(engine.remove(image.as_str(), &force)).unwrap();

    // Documents that copies left over go with the next prune, the rest at once.
    prune_all(&engine);
    block_on(engine.remove_container("box")).unwrap();
    assert_eq!(engine.store.len(), 0);
    assert_eq!(engine.store.names_of("containers"), [""; 0]);
}

#[test]
fn removing_a_container_leaves_its_image_and_others_alone() {
    let engine = usual();
    create(&engine, "d1").unwrap();
    let before = engine.store.len();
    create(&engine, "d2").unwrap();
    block_on(engine.remove_container("d2")).unwrap();
    assert_eq!(engine.store.len(), before);
    block_on(engine.remove_container("box")).unwrap();
    let gone = block_on(engine.remove_container("box"));
    let text = "No such container: box".to_owned();
    assert_eq!(gone, Err(Error::NotFound(text)));
    let mut kept = Kept::default();
    block_on(engine.export("d1", &mut kept, &Silent)).unwrap();
}

#[test]
fn a_container_whose_content_got_lost_can_be_removed() {
    let engine = usual();
    let target = block_on(engine.find_saved("box")).unwrap().container.target;
    engine.store.lose(&target.digest);
    let lost = block_on(engine.container("box", false)).map(|it| it.id);
    assert!(matches!(lost, Err(Error::Damaged(_))), "{lost:?}");
    block_on(engine.remove_container("box")).unwrap();
    assert_eq!(block_on(engine.container_count()), Ok(0));
}
