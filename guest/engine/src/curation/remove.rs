//! Removing names, and images with their last name.

use std::{collections::HashSet, rc::Rc};

use strata_oci::Digest;

use super::{conflict, remove_name, same_reference::same_reference, set_dangling};
use crate::{
    Change, Engine, Error, Host, Removal, RemoveOptions, Result,
    catalog::{By, Found, ImageName, View},
    garbage::Candidates,
    naming::{Decision, move_names},
};

/// What a removal does to the names of one image.
struct Plan {
    /// Names to go, in the order reported.
    untag: Vec<Rc<ImageName>>,
    /// What becomes of the image.
    then: Fate,
}

/// What becomes of an image whose names are removed.
enum Fate {
    /// Other names keep it.
    Named,
    /// It stays, dangling: a container uses it.
    Dangling,
    /// It goes.
    Deleted,
}

impl<H: Host> Engine<H> {
    /// Removes a name, and the image when that was its last one; by ID every name.
    /// Then the content that only this image needed. `no_prune` changes nothing yet:
    /// only the classic builder records parents.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `name` is blank or does not parse, or platforms
    /// are given without force; [`Error::NotFound`] if there is no such image;
    /// [`Error::Conflict`] if it is used, or the ID has names in several
    /// repositories, or names keep changing.
    pub async fn remove(&self, name: &str, options: &RemoveOptions) -> Result<Vec<Removal>> {
        if name.trim().is_empty() {
            return Err(Error::InvalidArgument(
                "image name cannot be blank".to_owned(),
            ));
        }
        if !options.platforms.is_empty() {
            return self.remove_platforms(name, options).await;
        }
        let removed = move_names(&self.store, "image", async |_| {
            let found = self.resolve(name).await?;
            let image = found.image()?;
            let plan = plan(&found, options)?;
            // What is here must be known before the names go: the report and the sweep
            // need it.
            let view = match plan.then {
                Fate::Deleted => Some(self.view(image).await?),
                Fate::Named | Fate::Dangling => None,
            };
            Ok(Decision::Change {
                changes: changes(&found, &plan)?,
                generation: Some(found.snapshot.generation),
                then: (plan.untag, view),
            })
        });
        let (untagged, view) = removed.await?;
        let untagged = untagged.iter().map(|name| name.familiar.clone());
        let mut removals: Vec<_> = untagged.map(Removal::Untagged).collect();
        if let Some(view) = view {
            let candidates = self.content(&view).await?;
            let swept = self.sweep(&candidates, &HashSet::new()).await?;
            let gone = swept.gone.into_iter();
            let gone: HashSet<_> = gone.map(|(digest, _)| digest).collect();
            removals.extend(deleted(&view.documents, &gone));
        }
        Ok(removals)
    }

    /// What goes with an image: of documents that cannot be read, what they were known to
    /// refer to. What else there was of it, the next prune finds.
    async fn content(&self, view: &View) -> Result<Candidates> {
        let mut content: Vec<Digest> = view.content().cloned().collect();
        let mut next = 0;
        let mut seen: HashSet<Digest> = content.iter().cloned().collect();
        let mut unread = view.damaged.clone();
        while let Some(digest) = unread.get(next).cloned() {
            next += 1;
            for child in self.recall_children(&digest).await?.unwrap_or_default() {
                if seen.insert(child.clone()) {
                    content.push(child.clone());
                    unread.push(child);
                }
            }
        }
        Ok(Candidates::Of(content))
    }
}

/// The documents of an image that are gone, parents first.
pub(super) fn deleted(documents: &[Digest], gone: &HashSet<Digest>) -> Vec<Removal> {
    let documents = documents.iter();
    let documents = documents.filter(|digest| gone.contains(*digest));
    documents.cloned().map(Removal::Deleted).collect()
}

/// Decides what a removal does, or why it may not be.
fn plan(found: &Found, options: &RemoveOptions) -> Result<Plan> {
    let image = found.image()?;
    let id = &image.target.digest;
    let containers = found.snapshot.containers_using(id);
    let same = same_reference(image, &found.by);
    let all_are_same = same.len() == image.known_names().count();
    if let By::Id = found.by {
        if !all_are_same && !options.force {
            return Err(conflict::several_repositories(id));
        }
        if let Some(conflict) = conflict::in_use(id, containers, options.force) {
            return Err(conflict);
        }
        return Ok(Plan {
            untag: every_name(found)?,
            then: Fate::Deleted,
        });
    }
    if !all_are_same {
        return Ok(Plan {
            untag: same,
            then: Fate::Named,
        });
    }
    match containers.first() {
        Some(container) if !options.force => {
            Err(conflict::name_in_use(&found.familiar()?, container, id))
        }
        Some(_) => Ok(Plan {
            untag: same,
            then: Fate::Dangling,
        }),
        None => Ok(Plan {
            untag: every_name(found)?,
            then: Fate::Deleted,
        }),
    }
}

/// Every name; a dangling one counts only if it is all there is.
fn every_name(found: &Found) -> Result<Vec<Rc<ImageName>>> {
    let image = found.image()?;
    if image.is_dangling {
        return Ok(image.names.clone());
    }
    Ok(image.known_names().cloned().collect())
}

/// The plan as one atomic change.
fn changes(found: &Found, plan: &Plan) -> Result<Vec<Change>> {
    let image = found.image()?;
    let mut changes: Vec<_> = plan.untag.iter().map(|name| remove_name(name)).collect();
    match plan.then {
        Fate::Named => {}
        Fate::Dangling => changes.extend(plan.untag.first().map(|name| set_dangling(name))),
        Fate::Deleted if image.is_dangling => {}
        Fate::Deleted => {
            // A dangling name beside others is a leftover; it must not keep the image.
            let leftovers = image.names.iter().filter(|name| name.is_dangling());
            changes.extend(leftovers.map(|name| remove_name(name)));
        }
    }
    Ok(changes)
}
