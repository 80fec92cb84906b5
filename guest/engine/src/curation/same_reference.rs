//! Which names of an image belong to one reference: one tag of one repository, and
//! that repository's digest names if it has no other tag. They are removed together.

use std::rc::Rc;

use strata_oci::Reference;

use crate::catalog::{By, Image, ImageName, same_repository};

/// The names that go with what the caller typed, dangling ones excepted; by ID,
/// those that go with the first name.
pub(super) fn same_reference(image: &Image, by: &By) -> Vec<Rc<ImageName>> {
    let first = || image.known_names().next();
    let (repository, tag) = match by {
        By::Digest(reference) => match reference.tag() {
            // A digest alone stands for every tag of its repository.
            None => return in_repository(image, reference).cloned().collect(),
            Some(tag) => (reference.clone(), Some(tag.to_owned())),
        },
        By::Name(name) => match &name.reference {
            Some(reference) => (reference.clone(), reference.tag().map(str::to_owned)),
            // Text of another tool: in no repository.
            None => return vec![name.clone()],
        },
        By::Id => match first().map(|name| &name.reference) {
            Some(Some(reference)) => {
                let mut names = in_repository(image, reference);
                let tag = names.find_map(|name| Some(tag_of(name)?.to_owned()));
                (reference.clone(), tag)
            }
            _ => return first().cloned().into_iter().collect(),
        },
    };
    let other_tags = in_repository(image, &repository)
        .any(|name| tag_of(name).is_some_and(|it| Some(it) != tag.as_deref()));
    let same = |name: &&Rc<ImageName>| match tag_of(name) {
        Some(it) => Some(it) == tag.as_deref(),
        None => !other_tags,
    };
    in_repository(image, &repository)
        .filter(same)
        .cloned()
        .collect()
}

fn in_repository<'a>(
    image: &'a Image,
    repository: &'a Reference,
) -> impl Iterator<Item = &'a Rc<ImageName>> {
    image.known_names().filter(move |name| {
        let reference = name.reference.as_ref();
        reference.is_some_and(|reference| same_repository(reference, repository))
    })
}

fn tag_of(name: &ImageName) -> Option<&str> {
    name.reference.as_ref()?.tag()
}
