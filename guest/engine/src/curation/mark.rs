//! What names reach: the content that must stay.

use std::collections::HashSet;

use strata_oci::{Digest, Document};

use crate::{Engine, Result, Store, Target};

impl<S: Store, T, C> Engine<S, T, C> {
    /// Every digest that `roots` reach, themselves included, except through the
    /// manifests in `except`.
    ///
    /// An index reaches its entries, a manifest its config and layers. `subject` is
    /// no way: a referrer needs a name of its own. Bytes that are no document reach
    /// nothing; what is named but not here does no harm.
    ///
    /// # Errors
    /// As the store's reads: what cannot be read now must not count as reaching
    /// nothing.
    pub(super) async fn reachable(
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
