//! One blob of a repository, fetched again for an image that is here.

use strata_oci::{
    Descriptor, Reference,
    media_type::{self, Kind},
};

use super::Pull;
use crate::{Engine, Host, Progress, PullOptions, RegistryAuth, Result, Store};

impl<H: Host> Engine<H> {
    /// Brings in the content of `blob`, if it is not here, from the repository of `reference`.
    ///
    /// # Errors
    /// As [`Engine::pull`].
    pub(crate) async fn fetch_again(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        auth: &RegistryAuth,
        progress: &dyn Progress,
    ) -> Result<()> {
        let repository = self.repository(reference, auth, &[], progress);
        let options = PullOptions {
            reference: reference.clone(),
            all_tags: false,
            platforms: Vec::new(),
            all_platforms: false,
            auth: auth.clone(),
            headers: Vec::new(),
        };
        let pull = Pull::<H> {
            engine: self,
            progress,
            repository: &repository,
            lease: self.store.acquire_lease().await?,
            options: &options,
            reference,
        };
        match media_type::kind(&blob.media_type) {
            Kind::Index | Kind::Manifest => pull.child(blob).await.map(drop),
            _ => pull.blob(blob, progress).await,
        }
    }
}
