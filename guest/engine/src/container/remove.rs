//! Removing containers.

use std::{collections::HashSet, time::Duration};

use crate::{
    Change, Clock, Engine, Expectation, Host, Result,
    catalog::CONTAINERS,
    garbage::Candidates,
    naming::{Decision, move_names},
};

/// Time between two looks whether a container is still there: what people do not notice.
const LOOK: Duration = Duration::from_millis(100);

impl<H: Host> Engine<H> {
    /// Removes a container, and then the content that nothing else needs: its changes,
    /// and its image if that has no name any more.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if there is no such container; [`crate::Error::InvalidArgument`] if an
    /// ID prefix has several.
    pub async fn remove_container(&self, name: &str) -> Result<()> {
        let content = move_names(&self.store, "container", async |_| {
            let snapshot = self.snapshot().await?;
            let container = snapshot.find_container(name)?;
            // What it reaches must be known before the name goes; what is lost is not
            // reached.
            let target = container.target.clone();
            let content = self.content_of(&snapshot, std::iter::once(&target)).await?;
            let removal = Change::Remove {
                namespace: CONTAINERS.to_owned(),
                name: container.id.clone(),
                expected: Expectation::Target(target.digest.clone()),
            };
            Ok(Decision::Change {
                changes: vec![removal],
                generation: Some(snapshot.generation),
                then: content,
            })
        });
        let content = Candidates::Of(content.await?);
        self.sweep(&content, &HashSet::new()).await.map(drop)
    }

    /// Returns when no container has this ID any more.
    ///
    /// # Errors
    /// As the store's `names`.
    pub async fn wait_removed(&self, id: &str) -> Result<()> {
        loop {
            let snapshot = self.snapshot().await?;
            if snapshot.all_containers().all(|it| it.id != id) {
                return Ok(());
            }
            self.clock.sleep(LOOK).await;
        }
    }

    /// How many containers there are.
    ///
    /// # Errors
    /// As the store's `names`.
    pub async fn container_count(&self) -> Result<usize> {
        Ok(self.snapshot().await?.all_containers().count())
    }
}
