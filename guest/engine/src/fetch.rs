//! Bringing content in from one repository: documents and blobs, each verified, under a lease.

mod blob;
mod documents;
mod pace;

use strata_oci::{
    Descriptor, Digest, Reference,
    media_type::{self, Kind},
};

use crate::{
    BlobProgress, Engine, Error, Event, Host, LeaseOf, Phase, Progress, RegistryAuth, Result,
    Store, registry::RepositoryOf,
};

/// What brings content in: from whom, for what, and what protects it.
pub(crate) struct Fetch<'a, H: Host> {
    pub(crate) engine: &'a Engine<H>,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) repository: &'a RepositoryOf<'a, H>,
    /// Protects what came.
    pub(crate) lease: LeaseOf<H>,
    /// What it is fetched for.
    pub(crate) reference: &'a Reference,
}

impl<H: Host> Fetch<'_, H> {
    /// Remembers that blobs can be had from this repository, should they be damaged one day.
    /// A pull does not depend on it.
    pub(crate) async fn note_digests(&self, digests: &[Digest]) -> Result<()> {
        let repository = self.reference.repository();
        match self.engine.store.note_source(digests, &repository).await {
            Err(Error::Cancelled) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }
}

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
        let fetch = Fetch::<H> {
            engine: self,
            progress,
            repository: &repository,
            lease: self.store.acquire_lease().await?,
            reference,
        };
        match media_type::kind(&blob.media_type) {
            Kind::Index | Kind::Manifest => fetch.child(blob).await.map(drop),
            _ => fetch.blob(blob, progress).await,
        }
    }
}

/// Reports one blob's state.
pub(crate) fn report(progress: &dyn Progress, blob: &Descriptor, phase: Phase, current: u64) {
    progress.report(Event::Blob(BlobProgress {
        digest: blob.digest.clone(),
        phase,
        current,
        total: blob.size,
        mounted_from: None,
    }));
}
