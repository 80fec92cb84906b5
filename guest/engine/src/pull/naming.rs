//! The last step: the name, and where the content came from.

use super::Pull;
use crate::{
    Host, Name, Result, Store, Target,
    catalog::NAMESPACE,
    naming::{name_of, with_source},
};

/// How the reference stands among the names.
pub(super) struct Standing {
    /// The names, and their generation.
    names: (u64, Vec<Name>),
    /// The name points at the target already.
    pub(super) points_at_target: bool,
    /// There is nothing to change at all.
    pub(super) is_settled: bool,
}

impl<H: Host> Pull<'_, H> {
    /// Reads the names and works out how the reference stands among them.
    pub(super) async fn standing(&self, target: &Target) -> Result<Standing> {
        let names = self.fetch.engine.store.names(NAMESPACE).await?;
        let name = name_of(self.fetch.reference);
        let before = names.1.iter().find(|other| other.name == name);
        let points_there = before.filter(|before| before.target.digest == target.digest);
        Ok(Standing {
            points_at_target: points_there.is_some(),
            is_settled: points_there
                .is_some_and(|it| with_source(&it.labels, self.fetch.reference) == it.labels),
            names,
        })
    }

    /// Sets the name. If the image it pointed at has no other, that one becomes
    /// dangling in the same change.
    pub(super) async fn set_name(&self, target: &Target, standing: Standing) -> Result<()> {
        let (name, source) = (name_of(self.fetch.reference), self.fetch.reference);
        let engine = self.fetch.engine;
        engine
            .set_pulled_name(&name, target, source, standing.names)
            .await
    }
}
