//! From what a caller typed to images and the names they are saved under.

use std::{collections::HashSet, rc::Rc};

use strata_oci::Reference;

use crate::{
    Result,
    catalog::{By, Found, ImageName, Snapshot, same_repository},
};

/// An image to save.
pub(super) struct Chosen {
    /// The image.
    pub(super) found: Found,
    /// The name it is saved under; `None` for none.
    pub(super) name: Option<Rc<ImageName>>,
}

/// What `names` stand for, in their order, each once.
///
/// # Errors
/// As [`Snapshot::resolve`].
pub(super) fn choose(snapshot: &Rc<Snapshot>, names: &[String]) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for text in names {
        let found = snapshot.clone().resolve(text);
        // An ID wins over a repository, but not over a name.
        let by_id = found
            .as_ref()
            .is_ok_and(|found| !matches!(found.by, By::Name(_)));
        if !by_id
            && let Ok(reference) = Reference::parse(text)
            && reference.is_name_only()
        {
            let tagged = tagged(snapshot, &reference);
            if !tagged.is_empty() {
                chosen.extend(tagged);
                continue;
            }
        }
        let found = found?;
        let name = match &found.by {
            By::Name(name) => Some(name.clone()),
            By::Id | By::Digest(_) => None,
        };
        chosen.push(Chosen { found, name });
    }
    let mut seen = HashSet::new();
    chosen.retain(|it| {
        let name = it.name.as_ref().map(|name| name.record.name.clone());
        seen.insert((it.found.position, name))
    });
    Ok(chosen)
}

/// Every tag of a repository, in name order.
fn tagged(snapshot: &Rc<Snapshot>, repository: &Reference) -> Vec<Chosen> {
    let mut tagged = Vec::new();
    for (position, image) in snapshot.images.iter().enumerate() {
        for name in image.known_names() {
            let Some(reference) = &name.reference else {
                continue;
            };
            if reference.tag().is_none() || !same_repository(reference, repository) {
                continue;
            }
            // Another tool's short form gives way to the name it is short for.
            let canonical = snapshot.find(&reference.to_string());
            if canonical.is_some_and(|(_, holder)| !Rc::ptr_eq(holder, name)) {
                continue;
            }
            tagged.push(Chosen {
                found: Found {
                    snapshot: snapshot.clone(),
                    position,
                    by: By::Name(name.clone()),
                },
                name: Some(name.clone()),
            });
        }
    }
    tagged.sort_by_cached_key(|it| it.name.as_ref().map(|name| name.record.name.clone()));
    tagged
}
