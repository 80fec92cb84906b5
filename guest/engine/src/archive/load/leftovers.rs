//! Content of platforms that were not asked for.
//!
//! It had to be stored before it was known what it is: `index.json` comes last in most
//! archives.

use std::collections::HashSet;

use strata_oci::Digest;

use super::examine::Examined;
use crate::{Engine, Error, Host, Result, Store, Target, garbage::Marking, naming::MAX_TRIES};

impl<H: Host> Engine<H> {
    /// Removes those of `new` that only manifests nobody asked for need. The lease must
    /// have ended. The images are loaded by now, so this never fails: what stays, the next
    /// prune takes.
    pub(super) async fn remove_leftovers(&self, examined: &[Examined], new: Vec<Digest>) {
        let parts = examined.iter().flat_map(|image| &image.parts);
        let wanted = parts.clone().filter(|part| part.is_wanted);
        let wanted: HashSet<&Digest> = wanted.map(|part| &part.digest).collect();
        let mut unwanted: HashSet<&Digest> = parts.map(|part| &part.digest).collect();
        unwanted.retain(|digest| !wanted.contains(digest));
        let new: HashSet<Digest> = new.into_iter().collect();
        for _ in 0..MAX_TRIES {
            match self.remove_unless_reached(&new, &unwanted).await {
                Err(Error::Conflict(_)) => {}
                _ => return,
            }
        }
    }

    /// Removes what no name reaches other than through the manifests in `except`.
    async fn remove_unless_reached(
        &self,
        candidates: &HashSet<Digest>,
        except: &HashSet<&Digest>,
    ) -> Result<()> {
        let snapshot = self.snapshot().await?;
        let mut except: HashSet<Digest> = except.iter().map(|it| (*it).clone()).collect();
        // What has a name itself is wanted.
        let referrers = snapshot.referrer_names.iter();
        let referrers: Vec<&Target> = referrers.map(|it| &it.target).collect();
        for root in snapshot.roots.iter().chain(referrers.iter().copied()) {
            except.remove(&root.digest);
        }
        let mut marking = Marking::new(&except, candidates.clone());
        self.mark_with(&mut marking, &snapshot, &referrers).await?;
        let rest: Vec<Digest> = marking.unmarked.iter().cloned().collect();
        if !rest.is_empty() && marking.unknown().is_none() {
            self.store.delete(&rest, snapshot.generation).await?;
        }
        Ok(())
    }
}
