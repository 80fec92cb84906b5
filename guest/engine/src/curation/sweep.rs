//! Removing content that no name reaches.

use std::collections::HashSet;

use strata_oci::Digest;

use super::ATTEMPTS;
use crate::{Engine, Error, Result, Store};

/// What a sweep may take.
pub(crate) enum Candidates {
    /// Every blob of the store.
    All,
    /// These blobs.
    Of(Vec<Digest>),
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Removes the candidates that no name reaches, other than through `except`.
    /// Returns what is really gone, with sizes: leased blobs stay.
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
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot().await?;
            let marked = self.reachable(&snapshot.roots, except).await?;
            let unmarked: Vec<_> = match candidates {
                Candidates::Of(blobs) => {
                    let unmarked = blobs.iter().filter(|blob| !marked.contains(*blob));
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
}
