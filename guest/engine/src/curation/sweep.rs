//! Removing content that no name reaches.

use std::collections::HashSet;

use strata_oci::Digest;

use super::{ATTEMPTS, Applied};
use crate::{Engine, Error, Result, Store, catalog::Companion};

/// What a sweep may take.
pub(crate) enum Candidates {
    /// Every blob of the store.
    All,
    /// These blobs.
    Of(Vec<Digest>),
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Removes the candidates that no name reaches, other than through `except`, and
    /// referrers that came with what is not kept any more. Returns what is really gone,
    /// with sizes: leased blobs stay.
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
    ) -> Result<Vec<(Digest, u64)>> {
        let mut forsaken = HashSet::new();
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot().await?;
            let marks = self.mark(&snapshot, except).await?;
            if !marks.forsaken.is_empty() {
                forsaken.extend(self.forsake(&marks.forsaken, snapshot.generation).await?);
                continue;
            }
            let marked = marks.marked;
            let unmarked: Vec<_> = match candidates {
                Candidates::Of(blobs) => {
                    let blobs: HashSet<&Digest> = blobs.iter().chain(&forsaken).collect();
                    let unmarked = blobs.into_iter().filter(|blob| !marked.contains(*blob));
                    unmarked.cloned().collect()
                }
                Candidates::All => {
                    let blobs = self.store.blobs().await?.into_iter();
                    let blobs = blobs.map(|(blob, _)| blob);
                    blobs.filter(|blob| !marked.contains(blob)).collect()
                }
            };
            if unmarked.is_empty() {
                return Ok(Vec::new());
            }
            match self.store.delete(&unmarked, snapshot.generation).await {
                Err(Error::Conflict(_)) => {}
                outcome => return outcome,
            }
        }
        Ok(Vec::new())
    }

    /// Removes the names of companions; what they consisted of. Nothing if other names
    /// changed meanwhile.
    async fn forsake(&self, companions: &[Companion], generation: u64) -> Result<Vec<Digest>> {
        let targets: Vec<_> = companions.iter().map(|it| it.target.clone()).collect();
        let mut content: Vec<Digest> = targets.iter().map(|it| it.digest.clone()).collect();
        for stored in self.documents(&targets).await?.values() {
            let children = stored.document.iter().flat_map(|it| it.children());
            content.extend(children.map(|child| child.digest.clone()));
        }
        let changes = companions.iter().map(Companion::remove).collect();
        match self.apply(changes, generation).await? {
            Applied::Done => Ok(content),
            Applied::Raced => Ok(Vec::new()),
        }
    }
}
