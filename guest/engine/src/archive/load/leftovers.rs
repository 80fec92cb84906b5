//! Content of platforms that were not asked for.
//!
//! It had to be stored before it was known what it is: `index.json` comes last in most
//! archives.

use std::collections::HashSet;

use strata_oci::Digest;

use super::examine::Examined;
use crate::{Engine, Error, Result, Store};

/// How often to mark again after names changed meanwhile.
const ATTEMPTS: usize = 8;

impl<S: Store, T, C> Engine<S, T, C> {
    /// Removes those of `new` that only manifests nobody asked for need. The lease must
    /// have ended. The images are loaded by now, so this never fails: what stays, the next
    /// prune takes.
    pub(super) async fn remove_leftovers(&self, examined: &[Examined], new: Vec<Digest>) {
        let parts = examined.iter().flat_map(|image| &image.parts);
        let wanted = parts.clone().filter(|part| part.is_wanted);
        let wanted: HashSet<&Digest> = wanted.map(|part| &part.digest).collect();
        let mut unwanted: HashSet<&Digest> = parts.map(|part| &part.digest).collect();
        unwanted.retain(|digest| !wanted.contains(digest));
        for _ in 0..ATTEMPTS {
            match self.remove_unless_reached(&new, &unwanted).await {
                Err(Error::Conflict(_)) => {}
                _ => return,
            }
        }
    }

    /// Removes what no name reaches other than through the manifests in `except`.
    async fn remove_unless_reached(
        &self,
        candidates: &[Digest],
        except: &HashSet<&Digest>,
    ) -> Result<()> {
        let snapshot = self.snapshot().await?;
        let companions = snapshot.companions.iter().map(|it| &it.target);
        let roots: Vec<_> = snapshot.roots.iter().chain(companions).cloned().collect();
        let documents = self.documents(&roots).await?;
        let roots = roots.iter().map(|root| &root.digest);
        let roots: HashSet<&Digest> = roots.collect();
        let mut reached = roots.clone();
        for (digest, stored) in &documents {
            if except.contains(digest) && !roots.contains(digest) {
                continue;
            }
            let children = stored.document.iter().flat_map(|it| it.children());
            let children = children.map(|child| &child.digest);
            reached.extend(children.filter(|child| !except.contains(child)));
        }
        let rest = candidates.iter().filter(|it| !reached.contains(it));
        let rest: Vec<Digest> = rest.cloned().collect();
        if !rest.is_empty() {
            self.store.delete(&rest, snapshot.generation).await?;
        }
        Ok(())
    }
}
