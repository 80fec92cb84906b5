//! What names reach: the content that must stay.

use std::collections::HashSet;

use strata_oci::{Digest, Document};

use crate::{
    Engine, Result, Store, Target,
    catalog::{Companion, Snapshot},
};

/// What stays, and what keeps nothing any more.
pub(super) struct Marks {
    /// Every digest that is reached.
    pub(super) marked: HashSet<Digest>,
    /// Those whose subject is not.
    pub(super) forsaken: Vec<Companion>,
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Marks what the names reach, except through the manifests in `except`.
    ///
    /// A companion is reached by its subject, and by nothing else: other referrers need
    /// a name of their own.
    ///
    /// # Errors
    /// As [`Engine::reachable`].
    pub(super) async fn mark(
        &self,
        snapshot: &Snapshot,
        except: &HashSet<Digest>,
    ) -> Result<Marks> {
        let mut marked = self.reachable(&snapshot.roots, except).await?;
        let mut rest = snapshot.companions.clone();
        loop {
            let (kept, forsaken): (Vec<_>, Vec<_>) = rest
                .into_iter()
                .partition(|companion| marked.contains(&companion.subject));
            if kept.is_empty() {
                return Ok(Marks { marked, forsaken });
            }
            let kept: Vec<Target> = kept.into_iter().map(|it| it.target).collect();
            marked.extend(self.reachable(&kept, except).await?);
            rest = forsaken;
        }
    }

    /// Every digest that `roots` reach, themselves included, except through the
    /// manifests in `except`.
    ///
    /// An index reaches its entries, a manifest its config and layers; not so its
    /// `subject`. Bytes that are no document reach nothing; what is named but not here
    /// does no harm.
    ///
    /// # Errors
    /// As the store's reads: what cannot be read now must not count as reaching
    /// nothing.
    async fn reachable(
        &self,
        roots: &[Target],
        except: &HashSet<Digest>,
    ) -> Result<HashSet<Digest>> {
        let mut marked: HashSet<_> = roots.iter().map(|root| root.digest.clone()).collect();
        for (digest, stored) in &self.documents(roots).await? {
            if except.contains(digest) {
                continue;
            }
            let children = match stored.document.as_deref() {
                Some(document @ (Document::Index(_) | Document::Manifest(_))) => {
                    document.children()
                }
                None => continue,
            };
            let kept = children.into_iter().map(|child| &child.digest);
            marked.extend(kept.filter(|digest| !except.contains(*digest)).cloned());
        }
        Ok(marked)
    }
}
