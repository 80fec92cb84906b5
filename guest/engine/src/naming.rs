//! The last step of what makes images: every name at once, and what becomes of the images
//! they pointed at.

mod children;
mod moving;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use strata_oci::{Digest, Reference};

use crate::{
    Change, Engine, Expectation, Host, Name, Result, Store, Target,
    catalog::{DANGLING_PREFIX, NAMESPACE, REFERRERS, ReferrerName, SOURCE_LABEL},
};
pub(crate) use moving::{Decision, MAX_TRIES, busy, move_names};

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

    /// Sets names of images and keeps referrers, all or none; for each image, whether
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
        referrers: &[ReferrerName],
        again: bool,
    ) -> Result<Vec<bool>> {
        let named = move_names(&self.store, "image", async |_| {
            let read = self.store.names(NAMESPACE).await?;
            let (changed, mut changes) = self.naming(&read, images, again, None).await?;
            if !referrers.is_empty() {
                let snapshot = self.snapshot().await?;
                let known: HashSet<&ReferrerName> = snapshot.referrer_names.iter().collect();
                let new = referrers.iter().filter(|it| !known.contains(it));
                changes.extend(new.map(keep_referrer));
            }
            Ok(decision(changes, read.0, changed))
        });
        let changed = named.await?;
        let named = images.iter().zip(&changed);
        let named = named.filter(|(_, changed)| **changed);
        self.remember_children(named.map(|((_, target), _)| *target))
            .await;
        Ok(changed)
    }

    /// Sets the name of an image that came from the repository of `reference`. `names` are those
    /// that were read last, with their generation. As [`Engine::set_names`], but the labels stay.
    pub(crate) async fn set_pulled_name(
        &self,
        name: &str,
        target: &Target,
        reference: &Reference,
        names: (u64, Vec<Name>),
    ) -> Result<()> {
        let mut read_before = Some(names);
        move_names(&self.store, "image", async |_| {
            let read = match read_before.take() {
                Some(read) => read,
                None => self.store.names(NAMESPACE).await?,
            };
            let images = [(Some(name), target)];
            let (_, changes) = self.naming(&read, &images, true, Some(reference)).await?;
            Ok(decision(changes, read.0, ()))
        })
        .await
    }

    /// For each image whether its name pointed elsewhere, and what sets all of them.
    async fn naming(
        &self,
        (_, names): &(u64, Vec<Name>),
        images: &[(Option<&str>, &Target)],
        again: bool,
        source: Option<&Reference>,
    ) -> Result<(Vec<bool>, Vec<Change>)> {
        let mut naming = Naming::new(names, source);
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
        let changes = naming.changes(orphans, again);
        Ok((changed, changes))
    }
}

/// Changes of names that were read at a generation. One that stands alone guards itself.
fn decision<R>(changes: Vec<Change>, generation: u64, then: R) -> Decision<R> {
    match changes.len() {
        0 => Decision::Settled(then),
        count => Decision::Change {
            changes,
            generation: (count > 1).then_some(generation),
            then,
        },
    }
}

/// The labels of a name with the repository of `reference` among its image's sources.
pub(crate) fn with_source(
    labels: &[(String, String)],
    reference: &Reference,
) -> Vec<(String, String)> {
    let key = format!("{SOURCE_LABEL}{}", reference.domain());
    let (own, mut labels): (Vec<_>, Vec<_>) =
        labels.iter().cloned().partition(|(label, _)| *label == key);
    let lists = own.iter().flat_map(|(_, paths)| paths.split(','));
    let mut paths: BTreeSet<&str> = lists.filter(|path| !path.is_empty()).collect();
    paths.insert(reference.path());
    let paths: Vec<&str> = paths.into_iter().collect();
    labels.push((key, paths.join(",")));
    labels.sort();
    labels
}

/// The name under which a reference keeps an image. With a digest the tag was not asked of a
/// registry, so it names nothing.
pub(crate) fn name_of(reference: &Reference) -> String {
    match reference.digest() {
        Some(_) => reference.without_tag().to_string(),
        None => reference.to_string(),
    }
}

/// The hidden name that keeps an image once it has no other.
pub(crate) fn dangling(digest: &Digest) -> String {
    format!("{DANGLING_PREFIX}{digest}")
}

/// The change that keeps a referrer.
pub(crate) fn keep_referrer(referrer: &ReferrerName) -> Change {
    Change::Set {
        namespace: REFERRERS.to_owned(),
        name: referrer.target.digest.to_string(),
        target: referrer.target.clone(),
        labels: referrer.labels(),
        expected: Expectation::Any,
    }
}

/// The change that keeps a referrer no more.
pub(crate) fn forsake_referrer(referrer: &ReferrerName) -> Change {
    Change::Remove {
        namespace: REFERRERS.to_owned(),
        name: referrer.target.digest.to_string(),
        expected: Expectation::Any,
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
    /// Where what is set came from: then labels stay when a name moves.
    source: Option<&'a Reference>,
}

impl<'a> Naming<'a> {
    fn new(names: &'a [Name], source: Option<&'a Reference>) -> Self {
        let before = names.iter().map(|name| (name.name.as_str(), name));
        Self {
            before: before.collect(),
            named: names.iter().map(|name| &name.target.digest).collect(),
            set: BTreeMap::new(),
            loose: BTreeMap::new(),
            source,
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
            let is_same = before.is_some_and(|before| before.target.digest == target.digest);
            if is_same && !again {
                continue;
            }
            let kept = before.filter(|_| is_same || self.source.is_some());
            let kept = kept.map_or(&[][..], |before| &before.labels);
            changes.push(Change::Set {
                namespace: NAMESPACE.to_owned(),
                name: (*name).to_owned(),
                target: (*target).clone(),
                labels: match self.source {
                    Some(source) => with_source(kept, source),
                    None => kept.to_vec(),
                },
                expected: match before {
                    Some(before) => Expectation::Target(before.target.digest.clone()),
                    None => Expectation::Absent,
                },
            });
        }
        for (target, labels) in orphans {
            changes.push(Change::Set {
                namespace: NAMESPACE.to_owned(),
                name: dangling(&target.digest),
                target,
                labels,
                expected: Expectation::Any,
            });
        }
        changes.extend(stale.into_keys().map(|name| Change::Remove {
            namespace: NAMESPACE.to_owned(),
            name,
            expected: Expectation::Any,
        }));
        changes
    }
}
