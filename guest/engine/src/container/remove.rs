//! Removing containers.

use std::{collections::HashSet, time::Duration};

use super::MAX_TRIES;
use crate::{
    Change, Clock, Engine, Error, Expectation, Host, Result, Store, catalog::CONTAINERS,
    curation::Candidates,
};

/// Time between two looks whether a container is still there: what people do not notice.
const LOOK: Duration = Duration::from_millis(100);

impl<H: Host> Engine<H> {
    /// Removes a container, and then the content that nothing else needs: its changes,
    /// and its image if that has no name any more.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such container; [`Error::InvalidArgument`] if an
    /// ID prefix has several.
    pub async fn remove_container(&self, name: &str) -> Result<()> {
        for _ in 0..MAX_TRIES {
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
            match self
                .store
                .apply(vec![removal], Some(snapshot.generation))
                .await
            {
                Ok(_) => {}
                Err(Error::Conflict(_)) => continue,
                Err(error) => return Err(error),
            }
            self.sweep(&Candidates::Of(content), &HashSet::new())
                .await?;
            return Ok(());
        }
        Err(Error::Conflict(
            "container names keep changing, try again".to_owned(),
        ))
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
