//! The last step: the name, where the content came from, and what becomes of the
//! image the name pointed at before.

use super::Pull;
use crate::{
    Change, Error, Expectation, Host, Name, Result, Store, Target,
    catalog::{DANGLING_PREFIX, NAMESPACE, SOURCE_LABEL},
};

/// Tries to change names that others change too. Each lost try is another's
/// success, so this is only reached if something is badly wrong.
const MAX_TRIES: usize = 100;

/// How the names stand before the change.
pub(super) struct Standing {
    generation: u64,
    names: Vec<Name>,
    /// What the change will be called.
    name: String,
    /// Labels it will have.
    labels: Vec<(String, String)>,
    /// What it points at now, with its labels.
    before: Option<Name>,
    points_at_target: bool,
    /// The name moves away from content that would have no name left.
    leaves_dangling: bool,
}

impl Standing {
    /// The name points there already.
    pub(super) fn points_at_target(&self) -> bool {
        self.points_at_target
    }

    /// There is nothing to change at all.
    pub(super) fn is_settled(&self) -> bool {
        let labels = self.before.as_ref().map(|before| &before.labels);
        self.points_at_target && labels == Some(&self.labels)
    }

    /// Everything that changes together, and whether that depends on other names.
    fn changes(&self, target: &Target) -> Vec<Change> {
        let expected = match &self.before {
            Some(before) => Expectation::Target(before.target.digest.clone()),
            None => Expectation::Absent,
        };
        let mut changes = vec![Change::Set {
            namespace: NAMESPACE.to_owned(),
            name: self.name.clone(),
            target: target.clone(),
            labels: self.labels.clone(),
            expected,
        }];
        if let Some(before) = &self.before
            && self.leaves_dangling
        {
            changes.push(Change::Set {
                namespace: NAMESPACE.to_owned(),
                name: dangling(&before.target),
                target: before.target.clone(),
                labels: before.labels.clone(),
                expected: Expectation::Absent,
            });
        }
        let stale = dangling(target);
        if self.names.iter().any(|name| name.name == stale) {
            changes.push(Change::Remove {
                namespace: NAMESPACE.to_owned(),
                name: stale,
                expected: Expectation::Any,
            });
        }
        changes
    }
}

impl<H: Host> Pull<'_, H> {
    /// Reads the names and works out how the reference stands among them.
    pub(super) async fn standing(&self, target: &Target) -> Result<Standing> {
        let (generation, names) = self.store.names(NAMESPACE).await?;
        // With a digest the tag was not asked of the registry, so it names nothing.
        let name = match self.reference.digest() {
            Some(_) => self.reference.without_tag().to_string(),
            None => self.reference.to_string(),
        };
        let before = names.iter().find(|other| other.name == name).cloned();
        let labels = before.as_ref().map(|before| before.labels.clone());
        let points_at_target = before
            .as_ref()
            .is_some_and(|before| before.target.digest == target.digest);
        let leaves_dangling = match &before {
            Some(before) if !points_at_target => {
                let digest = &before.target.digest;
                let named_too = |other: &Name| other.name != name && other.target.digest == *digest;
                // Content that got lost cannot be named; a pull is how to mend that.
                !names.iter().any(named_too) && self.store.stat(digest, None).await?.is_some()
            }
            _ => false,
        };
        Ok(Standing {
            generation,
            labels: self.with_source(labels.unwrap_or_default()),
            points_at_target,
            leaves_dangling,
            names,
            name,
            before,
        })
    }

    /// Sets the name. If the image it pointed at has no other, that one becomes
    /// dangling in the same change.
    pub(super) async fn set_name(&self, target: &Target, mut standing: Standing) -> Result<()> {
        for _ in 0..MAX_TRIES {
            let changes = standing.changes(target);
            // Only what was concluded from other names depends on them.
            let generation = (changes.len() > 1).then_some(standing.generation);
            match self.store.apply(changes, generation).await {
                Ok(_) => return Ok(()),
                Err(Error::Conflict(_)) => standing = self.standing(target).await?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict(format!(
            "the name {} is being changed by others, try again",
            self.reference
        )))
    }

    /// The labels with this repository among the sources.
    fn with_source(&self, mut labels: Vec<(String, String)>) -> Vec<(String, String)> {
        let key = format!("{SOURCE_LABEL}{}", self.reference.domain());
        let position = labels.iter().position(|(label, _)| *label == key);
        let known = position.map(|position| labels.remove(position).1);
        let mut paths: Vec<&str> = known.as_deref().unwrap_or_default().split(',').collect();
        paths.push(self.reference.path());
        paths.retain(|path| !path.is_empty());
        paths.sort_unstable();
        paths.dedup();
        labels.push((key, paths.join(",")));
        labels.sort();
        labels
    }
}

fn dangling(target: &Target) -> String {
    format!("{DANGLING_PREFIX}{}", target.digest)
}
