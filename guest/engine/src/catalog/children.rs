//! What documents refer to, written down while they can be read.
//!
//! A document that is damaged later still keeps what it refers to, and only that.

use std::collections::HashSet;

use strata_oci::Digest;

use super::Walk;
use crate::{Engine, Error, Host, Result, Store, Target};

/// The kind of derived data: digests, one a line.
const KIND: &str = "children-1";
/// Documents written down at once. Images come with tens; of an archive with thousands the rest does without.
const AT_ONCE: usize = 256;

impl<H: Host> Engine<H> {
    /// What a document was known to refer to, if it is known.
    ///
    /// # Errors
    /// [`Error::Cancelled`] only.
    pub(crate) async fn recall_children(&self, digest: &Digest) -> Result<Option<Vec<Digest>>> {
        let known = match self.store.recall(digest, KIND).await {
            Ok(Some(known)) => known,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Ok(None) | Err(_) => return Ok(None),
        };
        let known = String::from_utf8(known).ok();
        let parse = |text: String| text.lines().map(Digest::parse).collect();
        let known: Option<std::result::Result<Vec<Digest>, _>> = known.map(parse);
        Ok(known.and_then(std::result::Result::ok))
    }

    /// Writes down what the documents of these targets refer to. They are here and have
    /// names; what cannot be written down is kept less precisely once it is damaged.
    pub(crate) async fn remember_children(&self, targets: impl IntoIterator<Item = &Target>) {
        let targets: HashSet<&Target> = targets.into_iter().collect();
        let mut walk = Walk::new(None, targets);
        let mut left = AT_ONCE;
        while let Ok(Some(visited)) = self.advance(&mut walk).await {
            for it in visited {
                let Some(document) = it.content.document() else {
                    continue;
                };
                let children = document.children().into_iter();
                let lines: Vec<&str> = children.map(|child| child.digest.as_str()).collect();
                let data = lines.join("\n").into_bytes();
                if left == 0 || self.store.remember(&it.digest, KIND, data).await.is_err() {
                    return;
                }
                left -= 1;
            }
        }
    }
}
