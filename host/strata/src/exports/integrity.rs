//! `integrity`: whether the store holds what it should, and mending it.

use super::{events, follow};
use crate::{Engine, Result, types};

impl Engine {
    /// `integrity.check`: everything against its digest, unless `quick`, and what names reach
    /// against what it should be. `progress` gets the bytes hashed.
    ///
    /// # Errors
    /// As `wit/integrity.wit` says.
    pub async fn check(
        &self,
        quick: bool,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<types::Report> {
        let alone = self.alone().await?;
        let checked = follow!(
            self,
            alone,
            progress,
            strata_image_integrity.call_check(quick)
        );
        checked.await
    }

    /// `integrity.repair`: fetches exactly the blobs with these faults again. `credentials` are by
    /// registry domain.
    ///
    /// # Errors
    /// As `wit/integrity.wit` says.
    pub async fn repair(
        &self,
        faults: Vec<types::Fault>,
        credentials: Vec<(String, types::RegistryAuth)>,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<Vec<types::Mended>> {
        self.shared.outgoing.prepare();
        let credentials = credentials.into_iter();
        let credentials: Vec<_> = credentials
            .map(|(domain, auth)| (domain, auth.into_wire()))
            .collect();
        let alone = self.alone().await?;
        let repaired = follow!(
            self,
            alone,
            progress,
            strata_image_integrity.call_repair(faults, credentials)
        );
        repaired.await
    }
}
