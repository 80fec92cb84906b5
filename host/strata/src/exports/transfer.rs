//! `transfer`: between registries and the store.

use super::{events, follow};
use crate::{Engine, Result, types};

impl Engine {
    /// `transfer.pull`: from a registry into the store. `progress` gets every
    /// event in order. Dropping the future cancels and leaves resumable state.
    ///
    /// # Errors
    /// As `wit/transfer.wit` says.
    pub async fn pull(
        &self,
        options: types::PullOptions,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<Vec<types::Completed>> {
        self.shared.outgoing.prepare();
        let options = options.into_wire();
        let alone = self.alone().await?;
        let pulled = follow!(
            self,
            alone,
            progress,
            strata_image_transfer.call_pull(options)
        );
        pulled.await
    }

    /// `transfer.push`: from the store to a registry. `progress` gets every event
    /// in order. Dropping the future cancels.
    ///
    /// # Errors
    /// As `wit/transfer.wit` says.
    pub async fn push(
        &self,
        options: types::PushOptions,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<Vec<types::Completed>> {
        self.shared.outgoing.prepare();
        let options = options.into_wire();
        let alone = self.alone().await?;
        let pushed = follow!(
            self,
            alone,
            progress,
            strata_image_transfer.call_push(options)
        );
        pushed.await
    }
}
