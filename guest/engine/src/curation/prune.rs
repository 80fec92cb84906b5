//! Removing every image nobody needs (which names go is decided here, which blobs in `crate::garbage`), and every blob no
//! name reaches.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{Digest, Reference};

use super::{remove::deleted, remove_name};
use crate::{
    Engine, Error, Filters, Host, Lease as _, Pruned, Removal, Result, Store,
    catalog::{Container, Image, ImageName, Selection, Snapshot},
    garbage::Candidates,
    naming::{Decision, busy, move_names},
    pace::Pace,
};

/// The lock that one prune at a time holds, across processes.
const LOCK: &str = "prune";

/// An image that loses names.
struct Loss {
    /// The names to go.
    names: Vec<Rc<ImageName>>,
    /// Its documents that were here, parents first.
    documents: Vec<Digest>,
}

impl<H: Host> Engine<H> {
    /// Removes dangling images, or with `dangling` false every image no container
    /// uses, as far as the filters admit; then every blob and partial download that
    /// nothing refers to.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a filter prune does not have;
    /// [`Error::Conflict`] if another prune is running, or names keep changing so fast that
    /// nothing at all was removed.
    pub async fn prune(&self, filters: &Filters) -> Result<Pruned> {
        for (key, values) in [
            ("reference", &filters.references),
            ("before", &filters.before),
            ("since", &filters.since),
        ] {
            if !values.is_empty() {
                return Err(Error::InvalidArgument(format!("invalid filter '{key}'")));
            }
        }
        // First, because on a full disk this makes the room the rest writes into.
        let partial = self.store.discard_ingests().await?;
        let lease = self.store.acquire_lease().await?;
        if !lease.lock(LOCK).await? {
            return Err(Error::Conflict(
                "a prune operation is already running".to_owned(),
            ));
        }
        let losses = self.remove_unneeded(filters).await?;
        let swept = self.sweep(&Candidates::All, &HashSet::new()).await?;
        let gone = swept.gone;
        if swept.is_raced && gone.is_empty() && losses.is_empty() && partial == 0 {
            return Err(busy("image"));
        }
        let content = gone.iter().map(|(_, size)| size).sum::<u64>();
        let mut gone: HashSet<_> = gone.into_iter().map(|(digest, _)| digest).collect();
        let mut removals = Vec::new();
        for loss in &losses {
            let names = loss.names.iter().map(|name| name.familiar.clone());
            removals.extend(names.map(Removal::Untagged));
            let deleted = deleted(&loss.documents, &gone);
            for removal in &deleted {
                // A manifest of two images goes once.
                if let Removal::Deleted(digest) = removal {
                    gone.remove(digest);
                }
            }
            removals.extend(deleted);
        }
        Ok(Pruned {
            removals,
            reclaimed: content.saturating_add(partial),
            kept: swept.kept,
        })
    }

    /// Removes the names of unneeded images, all in one step.
    async fn remove_unneeded(&self, filters: &Filters) -> Result<Vec<Loss>> {
        let dangling_only = filters.dangling.unwrap_or(true);
        // `dangling=false` means "also tagged ones" here, not "only".
        let filters = Filters {
            dangling: dangling_only.then_some(true),
            ..filters.clone()
        };
        let mut pace = Pace::default();
        move_names(&self.store, "image", async |_| {
            let snapshot = self.snapshot().await?;
            let selection = self.selection(&snapshot, &filters).await?;
            let mut losses = Vec::new();
            for images in Self::together(&snapshot.images) {
                let mut losing = Vec::new();
                for image in images {
                    pace.steps(image.names.len()).await;
                    let names = unneeded(&snapshot, &selection, image);
                    if !names.is_empty() {
                        losing.push((image, names));
                    }
                }
                losses.extend(self.losses(&selection, losing).await?);
            }
            let names = losses.iter().flat_map(|loss| &loss.names);
            let changes: Vec<_> = names.map(|name| remove_name(name)).collect();
            Ok(match changes.is_empty() {
                true => Decision::Settled(losses),
                false => Decision::Change {
                    changes,
                    generation: Some(snapshot.generation),
                    then: losses,
                },
            })
        })
        .await
    }

    /// What images lose that would lose these names, if the filters admit them. Their configs are read only if
    /// the filters ask for what is in them.
    async fn losses(
        &self,
        selection: &Selection<'_>,
        losing: Vec<(&Image, Vec<Rc<ImageName>>)>,
    ) -> Result<Vec<Loss>> {
        let (images, names): (Vec<&Image>, Vec<_>) = losing.into_iter().unzip();
        let mut losses = Vec::with_capacity(names.len());
        if selection.admits_every_image() {
            let documents = self.documents_of(&images).await?.into_iter();
            let loss = |(names, documents)| Loss { names, documents };
            losses.extend(names.into_iter().zip(documents).map(loss));
        } else {
            let mut names = names.into_iter();
            self.each_kept(&images, async |_, kept| {
                let names = names.next().unwrap_or_default();
                if self.admits(selection, &kept.view).await? {
                    let documents = kept.view.documents.clone();
                    losses.push(Loss { names, documents });
                }
                Ok(())
            })
            .await?;
        }
        Ok(losses)
    }
}

/// The names of an image that pass the filters and that no container needs.
fn unneeded(snapshot: &Snapshot, selection: &Selection<'_>, image: &Image) -> Vec<Rc<ImageName>> {
    let containers = snapshot.containers_using(&image.target.digest);
    let needed = needed_names(image, containers);
    let dangling = image.is_dangling;
    let names = image.names.iter().filter(|name| {
        !needed.contains(name.record.name.as_str()) && selection.admits_name(dangling, name)
    });
    names.cloned().collect()
}

/// The names that keep an image for its containers: those they were made by, or
/// else one of them.
fn needed_names<'a>(image: &'a Image, containers: &[Container]) -> HashSet<&'a str> {
    let mut needed = HashSet::new();
    if containers.is_empty() {
        return needed;
    }
    let mut by_reference: HashMap<&Reference, Vec<&str>> = HashMap::new();
    for name in &image.names {
        if let Some(reference) = &name.reference {
            let names = by_reference.entry(reference).or_default();
            names.push(&name.record.name);
        }
    }
    for container in containers {
        let by = Reference::parse(&container.name).ok();
        let by = by.map(|reference| reference.with_default_tag());
        // Made by `repo:tag@digest`, it keeps `repo:tag` too.
        let tag = by.as_ref().filter(|by| by.tag().is_some());
        let tag = tag.map(Reference::without_digest);
        let keys = by.iter().chain(&tag);
        let names = keys.filter_map(|key| by_reference.get(key)).flatten();
        let mut named = false;
        for name in names {
            named = true;
            needed.insert(*name);
        }
        if !named {
            let first = image.known_names().next().or(image.names.first());
            needed.extend(first.map(|name| name.record.name.as_str()));
        }
    }
    needed
}
