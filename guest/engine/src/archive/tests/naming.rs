//! Names after a load: all at once, and nothing lost.

use strata_oci::archive::layout::blob_path;

use super::{Made, archive, index_entry, layout_entry, load, named, titles};
use crate::{
    Error, Store as _,
    catalog::fixture::{PLAIN, TestEngine, engine, pointer},
};

impl TestEngine {
    /// Every image name with its target's media type.
    pub(super) fn list_names(&self) -> Vec<(String, String)> {
        let names = futures::executor::block_on(self.store.names("images"));
        let names = names.unwrap().1.into_iter();
        names
            .map(|name| (name.name, name.target.media_type))
            .collect()
    }
}

const NAME: &str = "docker.io/library/a:1";

/// Entries of an archive that gives images these names; an empty one is none.
fn entries_with_names(images: &[(&Made, &str)]) -> Vec<Vec<u8>> {
    let mut entries = vec![layout_entry()];
    let mut index = Vec::new();
    for (made, name) in images {
        let (target, _) = made.manifest();
        entries.extend(made.blobs());
        index.push(match *name {
            "" => pointer(&target),
            name => named(&target, name),
        });
    }
    entries.push(index_entry(&index));
    entries
}

fn with_names(images: &[(&Made, &str)]) -> Vec<u8> {
    archive(&entries_with_names(images))
}

fn made(layer: &str) -> Made {
    Made::new(&[layer.as_bytes().to_vec()])
}

#[test]
fn an_image_that_loses_its_last_name_stays_dangling() {
    let engine = engine();
    let old = engine.store.named(NAME, &PLAIN);
    load(&engine, &with_names(&[(&made("new"), NAME)])).unwrap();
    let dangling = format!("moby-dangling@{}", old.digest);
    assert_eq!(engine.store.names_of("images"), [NAME, &dangling]);
    assert_eq!(engine.store.target_of(&dangling), Some(old.digest));
}

#[test]
fn an_image_with_another_name_does_not() {
    let other = "docker.io/library/b:1";
    let engine = engine();
    let old = engine.store.named(NAME, &PLAIN);
    engine.store.name("images", other, &old, &[]);
    load(&engine, &with_names(&[(&made("new"), NAME)])).unwrap();
    assert_eq!(engine.store.names_of("images"), [NAME, other]);
}

#[test]
fn an_image_whose_content_is_lost_is_not_kept() {
    let engine = engine();
    let old = engine.store.named(NAME, &PLAIN);
    engine.store.lose(&old.digest);
    load(&engine, &with_names(&[(&made("new"), NAME)])).unwrap();
    assert_eq!(engine.store.names_of("images"), [NAME]);
}

#[test]
fn a_name_ends_dangling() {
    let engine = engine();
    let image = made("image");
    let digest = image.manifest().0.digest;
    let dangling = format!("moby-dangling@{digest}");
    load(&engine, &with_names(&[(&image, "")])).unwrap();
    assert_eq!(engine.store.names_of("images"), [dangling.as_str()]);
    load(&engine, &with_names(&[(&image, NAME)])).unwrap();
    assert_eq!(engine.store.names_of("images"), [NAME]);
    // Known by a name, it needs no other.
    let loaded = load(&engine, &with_names(&[(&image, "")])).unwrap();
    assert_eq!(titles(loaded), [digest.as_str()]);
    assert_eq!(engine.store.names_of("images"), [NAME]);
}

#[test]
fn of_two_images_with_one_name_the_later_gets_it() {
    let engine = engine();
    let (first, second) = (made("first"), made("second"));
    load(&engine, &with_names(&[(&first, NAME), (&second, NAME)])).unwrap();
    let dangling = format!("moby-dangling@{}", first.manifest().0.digest);
    assert_eq!(engine.store.names_of("images"), [NAME, &dangling]);
    let target = engine.store.target_of(NAME);
    assert_eq!(target, Some(second.manifest().0.digest));
}

#[test]
fn one_bad_image_leaves_the_others_without_names_too() {
    let engine = engine();
    let old = engine.store.named(NAME, &PLAIN);
    let mut entries = entries_with_names(&[(&made("good"), NAME), (&made("bad"), "b:1")]);
    let missing = blob_path(&made("bad").manifest().0.digest);
    entries.retain(|entry| !entry.starts_with(missing.as_bytes()));
    let error = load(&engine, &archive(&entries)).unwrap_err();
    assert!(matches!(error, Error::ManifestInvalid(_)), "{error}");
    assert_eq!(engine.store.names_of("images"), [NAME]);
    assert_eq!(engine.store.target_of(NAME), Some(old.digest));
}

#[test]
fn names_that_change_meanwhile_are_read_again() {
    let engine = engine();
    let other = engine.store.image(&PLAIN);
    engine.store.before("apply", move |store| {
        store.name("images", NAME, &other, &[]);
    });
    load(&engine, &with_names(&[(&made("new"), NAME)])).unwrap();
    assert_eq!(engine.store.names_of("images").len(), 2, "one dangling");
}
