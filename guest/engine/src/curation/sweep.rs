//! Removing content that no name reaches.

use std::collections::HashSet;

use strata_oci::Digest;

use super::{ATTEMPTS, Applied};
use crate::{
    Engine, Error, Result, Store, Target,
    catalog::{Companion, Snapshot, Walk},
};

/// What a sweep may take.
pub(crate) enum Candidates {
    /// Every blob of the store.
    All,
    /// These blobs.
    Of(Vec<Digest>),
}

/// What a sweep took.
#[derive(Default)]
pub(crate) struct Swept {
    /// What is really gone, with sizes: leased blobs stay.
    pub(crate) gone: Vec<(Digest, u64)>,
    /// Why nothing went although nothing is known to need it, for people.
    pub(crate) kept: Option<String>,
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Removes the candidates that no name reaches, other than through `except`, and
    /// referrers that came with what is not kept any more.
    ///
    /// When names change meanwhile it marks again. If they never stop changing,
    /// nothing is removed and the next prune finds it.
    ///
    /// # Errors
    /// As the store's reads and `delete`, except `Conflict`.
    pub(crate) async fn sweep(
        &self,
        candidates: &Candidates,
        except: &HashSet<Digest>,
    ) -> Result<Swept> {
        let mut forsaken = HashSet::new();
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot().await?;
            let candidates: HashSet<Digest> = match candidates {
                Candidates::Of(blobs) => blobs.iter().chain(&forsaken).cloned().collect(),
                Candidates::All => {
                    let blobs = self.store.blobs().await?.into_iter();
                    blobs.map(|(blob, _)| blob).collect()
                }
            };
            let marks = self.mark(&snapshot, except, candidates).await?;
            if marks.unknown.is_some() {
                return Ok(Swept {
                    kept: marks.unknown,
                    ..Swept::default()
                });
            }
            if !marks.forsaken.is_empty() {
                forsaken.extend(self.forsake(&snapshot, &marks.forsaken).await?);
                continue;
            }
            if marks.unmarked.is_empty() {
                return Ok(Swept::default());
            }
            let unmarked: Vec<Digest> = marks.unmarked.into_iter().collect();
            match self.store.delete(&unmarked, snapshot.generation).await {
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
                Ok(gone) => return Ok(Swept { gone, kept: None }),
            }
        }
        Ok(Swept::default())
    }

    /// Removes the names of companions; what they consisted of. Nothing if other names
    /// changed meanwhile.
    async fn forsake(&self, snapshot: &Snapshot, companions: &[Companion]) -> Result<Vec<Digest>> {
        let targets = companions.iter().map(|it| &it.target);
        let content = self.content_of(snapshot, targets).await?;
        let changes = companions.iter().map(Companion::remove).collect();
        match self.apply(changes, snapshot.generation).await? {
            Applied::Done => Ok(content),
            Applied::Raced => Ok(Vec::new()),
        }
    }

    /// What these targets consist of, as far as it can be read.
    ///
    /// # Errors
    /// As the store's `stat_all`.
    pub(crate) async fn content_of(
        &self,
        snapshot: &Snapshot,
        targets: impl Iterator<Item = &Target>,
    ) -> Result<Vec<Digest>> {
        let targets: Vec<&Target> = targets.collect();
        let mut content: Vec<Digest> = targets.iter().map(|it| it.digest.clone()).collect();
        let mut walk = Walk::new(Some(snapshot.damage.clone()), targets);
        while let Some(visited) = self.advance(&mut walk).await? {
            for it in visited {
                let children = it.content.document().into_iter();
                let children = children.flat_map(|document| document.children());
                content.extend(children.map(|child| child.digest.clone()));
                content.push(it.digest.clone());
            }
        }
        Ok(content)
    }
}
