//! Writing down what documents refer to, for the day one of them is damaged.

use std::collections::HashSet;

use crate::{
    Engine, Host, Store, Target,
    catalog::{CHILDREN, Walk},
};

/// Documents written down at once. Images come with tens; of an archive with thousands the rest does without.
const AT_ONCE: usize = 256;

impl<H: Host> Engine<H> {
    /// Writes down what the documents of these targets refer to. They are here and have
    /// names; what cannot be written down is kept less precisely once it is damaged.
    pub(super) async fn remember_children(&self, targets: impl IntoIterator<Item = &Target>) {
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
                if left == 0
                    || self
                        .store
                        .remember(&it.digest, CHILDREN, data)
                        .await
                        .is_err()
                {
                    return;
                }
                left -= 1;
            }
        }
    }
}
