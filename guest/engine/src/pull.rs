//! Pulling: from a reference to a name in the store.
//!
//! Order is what makes it safe. Everything is fetched and verified under a
//! lease, the name is set last, and dropping the future at any await leaves
//! complete blobs and resumable ones, never a name without its content.

use futures::future;
use strata_oci::Reference;

use crate::{
    Completed, Engine, Error, Event, Host, LeaseOf, Progress, PullOptions, Resolved, Result, Store,
    Target,
    registry::{RepositoryOf, retrying},
};

mod again;
mod blob;
mod choice;
mod content;
mod documents;
mod everything;
mod naming;
mod pace;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

impl<H: Host> Engine<H> {
    /// Pulls from a registry into the store; one [`Completed`] per reference.
    ///
    /// Dropping the future cancels the pull and leaves only resumable state.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what is not there or not for these credentials,
    /// [`Error::PlatformMismatch`] if an index has nothing for the platform,
    /// [`Error::Unauthorized`], [`Error::Denied`], [`Error::RateLimited`] and
    /// [`Error::Unavailable`] as the registry answers, [`Error::DigestMismatch`]
    /// and [`Error::ManifestInvalid`] for content that is wrong,
    /// [`Error::InvalidArgument`] for Docker schema 1, and whatever the store
    /// answers.
    pub async fn pull(
        &self,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Completed>> {
        let (reference, auth) = (&options.reference, &options.auth);
        let repository = self.repository(reference, auth, &options.headers, progress);
        let references = if options.all_tags && options.reference.is_name_only() {
            let tags = retrying(None, &self.clock, progress, async || {
                repository.tags().await
            })
            .await?;
            // A tag no client could name is no tag; the others are still wanted.
            tags.iter()
                .filter_map(|tag| options.reference.with_tag(tag).ok())
                .collect()
        } else {
            vec![options.reference.clone().with_default_tag()]
        };
        let mut completed = Vec::with_capacity(references.len());
        for reference in &references {
            let pull = Pull::<H> {
                engine: self,
                progress,
                repository: &repository,
                lease: self.store.acquire_lease().await?,
                options,
                reference,
            };
            let done = pull.run().await?;
            progress.report(Event::Completed(done.clone()));
            completed.push(done);
        }
        Ok(completed)
    }
}

/// The pull of one reference.
struct Pull<'a, H: Host> {
    engine: &'a Engine<H>,
    progress: &'a dyn Progress,
    repository: &'a RepositoryOf<'a, H>,
    lease: LeaseOf<H>,
    options: &'a PullOptions,
    reference: &'a Reference,
}

impl<H: Host> Pull<'_, H> {
    async fn run(&self) -> Result<Completed> {
        let resolution = retrying(None, &self.engine.clock, self.progress, async || {
            self.repository.resolve(self.reference).await
        })
        .await?;
        let digest = resolution.digest.clone();
        let top = self.target(resolution).await?;
        let target = Target {
            media_type: top.media_type,
            digest: digest.clone(),
            size: top.size,
        };
        let save = async {
            match top.unsaved {
                Some(bytes) => {
                    self.engine.store.put(&digest, bytes, &self.lease).await?;
                    self.note_digests(std::slice::from_ref(&digest)).await
                }
                None => Ok(()),
            }
        };
        let bring_in = async {
            let chosen = self.choose(&target, top.document).await?;
            self.progress.report(Event::Resolved(Resolved {
                reference: self.reference.clone(),
                digest: digest.clone(),
            }));
            let arrival = self.fetch_chosen(&chosen).await?;
            Ok((chosen, arrival))
        };
        let ((), (chosen, arrival)) = future::try_join(save, bring_in).await?;
        let standing = self.standing(&target).await?;
        let changed = !standing.points_at_target;
        if !(standing.is_settled && arrival.was_all_here) {
            let diff_ids = self.diff_ids_of(&chosen).await?;
            if self.engine.settings.verify_diff_ids_first {
                self.engine.verify_diff_ids(&diff_ids).await?;
            }
            self.set_name(&target, standing).await?;
            if !self.engine.settings.verify_diff_ids_first && !diff_ids.is_empty() {
                self.engine.store.expect_diff_ids(&diff_ids).await?;
            }
        }
        Ok(Completed {
            reference: self.reference.clone(),
            digest,
            size: target.size,
            changed,
        })
    }
}

/// A document that breaks its specification.
fn invalid(error: impl std::fmt::Display) -> Error {
    Error::invalid(error)
}
