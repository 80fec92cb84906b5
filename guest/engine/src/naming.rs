//! The last step of what makes images: every name at once, and what becomes of the images
//! they pointed at.

use std::collections::{BTreeMap, HashMap, HashSet};

use strata_oci::{Digest, Reference};

use crate::{
    Change, Engine, Error, Expectation, Host, Name, Result, Store, Target,
    catalog::{Companion, DANGLING_PREFIX, NAMESPACE},
};

/// Tries to change names that others change too. Each lost try is another's success, so
/// this is only reached if something is badly wrong.
const MAX_TRIES: usize = 100;

impl<H: Host> Engine<H> {
    /// Names one image, with the tag `latest` if its reference has none; whether that
    /// changed anything. As [`Engine::set_names`].
    pub(crate) async fn name_image(
        &self,
        reference: Option<&Reference>,
        target: &Target,
    ) -> Result<bool> {
        let name = reference.map(|it| it.clone().with_default_tag().to_string());
        let images = [(name.as_deref(), target)];
        let changed = self.set_names(&images, &[], false).await?;
        Ok(changed.contains(&true))
    }

    /// Sets names of images and keeps companions, all or none; for each image, whether
    /// that changed its name. What has no name gets a dangling one, and so does what
    /// loses its last name. With `again` names are set that point there already: they reach
    /// more now than they did, which a prune beside this must get to know.
    ///
    /// # Errors
    /// [`Error::NotFound`] if a target is not in the store, and whatever the store
    /// answers. Tries again where others change names meanwhile.
    pub(crate) async fn set_names(
        &self,
        images: &[(Option<&str>, &Target)],
        companions: &[Companion],
        again: bool,
    ) -> Result<Vec<bool>> {
        for _ in 0..MAX_TRIES {
            let (generation, names) = self.store.names(NAMESPACE).await?;
            let mut naming = Naming::new(&names);
            let changed = images
                .iter()
                .map(|(name, target)| naming.add(*name, target));
            let changed: Vec<bool> = changed.collect();
            let orphans = naming.orphans();
            let digests: Vec<Digest> = orphans.keys().cloned().collect();
            let here = match digests.is_empty() {
                true => Vec::new(),
                false => self.store.stat_all(&digests, None).await?,
            };
            // Content that got lost cannot be named.
            let orphans = orphans.into_values().zip(here);
            let orphans = orphans.filter_map(|(orphan, size)| size.map(|_| orphan));
            let mut changes = naming.changes(orphans, again);
            if !companions.is_empty() {
                let snapshot = self.snapshot().await?;
                let known: HashSet<&Companion> = snapshot.companions.iter().collect();
                let new = companions.iter().filter(|it| !known.contains(it));
                changes.extend(new.map(Companion::set));
            }
            if changes.is_empty() {
                return Ok(changed);
            }
            match self.store.apply(changes, Some(generation)).await {
                Ok(_) => {
                    let named = images.iter().zip(&changed);
                    let named = named.filter(|(_, changed)| **changed);
                    self.remember_children(named.map(|((_, target), _)| *target))
                        .await;
                    return Ok(changed);
                }
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict(
            "image names keep changing, try again".to_owned(),
        ))
    }
}

/// A target, and the labels its last name had.
type Orphan = (Target, Vec<(String, String)>);

/// Names as they are and as they shall be.
struct Naming<'a> {
    before: HashMap<&'a str, &'a Name>,
    /// What had a name before.
    named: HashSet<&'a Digest>,
    /// Names to set.
    set: BTreeMap<&'a str, &'a Target>,
    /// What may be without a name in the end.
    loose: BTreeMap<Digest, Orphan>,
}

impl<'a> Naming<'a> {
    fn new(names: &'a [Name]) -> Self {
        let before = names.iter().map(|name| (name.name.as_str(), name));
        Self {
            before: before.collect(),
            named: names.iter().map(|name| &name.target.digest).collect(),
            set: BTreeMap::new(),
            loose: BTreeMap::new(),
        }
    }

    /// Adds an image; whether its name pointed elsewhere. Of two with one name the later
    /// one gets it.
    fn add(&mut self, name: Option<&'a str>, target: &'a Target) -> bool {
        let Some(name) = name else {
            let orphan = (target.clone(), Vec::new());
            self.loose.entry(target.digest.clone()).or_insert(orphan);
            return !self.named.contains(&target.digest);
        };
        let before = self.before.get(name).copied();
        if let Some(other) = self.set.insert(name, target)
            && other.digest != target.digest
        {
            let orphan = (other.clone(), Vec::new());
            self.loose.entry(other.digest.clone()).or_insert(orphan);
        }
        match before {
            Some(before) if before.target.digest == target.digest => false,
            Some(before) => {
                let orphan = (before.target.clone(), before.labels.clone());
                self.loose.insert(before.target.digest.clone(), orphan);
                true
            }
            None => true,
        }
    }

    /// What will have no name at all, not even a dangling one.
    fn orphans(&self) -> BTreeMap<Digest, Orphan> {
        let kept = self.before.iter();
        let kept = kept.filter(|(name, _)| !self.set.contains_key(*name));
        let kept = kept.map(|(_, name)| &name.target.digest);
        let named: HashSet<&Digest> = kept
            .chain(self.set.values().map(|target| &target.digest))
            .collect();
        let loose = self.loose.iter();
        let orphans = loose.filter(|(digest, _)| !named.contains(digest));
        orphans
            .map(|(digest, orphan)| (digest.clone(), orphan.clone()))
            .collect()
    }

    /// Everything that changes together.
    fn changes(&self, orphans: impl Iterator<Item = Orphan>, again: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut stale = BTreeMap::new();
        for (name, target) in &self.set {
            let dangling = dangling(&target.digest);
            if self.before.contains_key(dangling.as_str()) {
                stale.insert(dangling, ());
            }
            let before = self.before.get(name);
            let same = before.filter(|before| before.target.digest == target.digest);
            let labels = match same {
                Some(_) if !again => continue,
                Some(same) => same.labels.clone(),
                None => Vec::new(),
            };
            changes.push(set((*name).to_owned(), (*target).clone(), labels));
        }
        for (target, labels) in orphans {
            changes.push(set(dangling(&target.digest), target, labels));
        }
        changes.extend(stale.into_keys().map(|name| Change::Remove {
            namespace: NAMESPACE.to_owned(),
            name,
            expected: Expectation::Any,
        }));
        changes
    }
}

/// The generation guards every change, so none needs a guard of its own.
fn set(name: String, target: Target, labels: Vec<(String, String)>) -> Change {
    Change::Set {
        namespace: NAMESPACE.to_owned(),
        name,
        target,
        labels,
        expected: Expectation::Any,
    }
}

fn dangling(digest: &Digest) -> String {
    format!("{DANGLING_PREFIX}{digest}")
}
