//! Pulling: from a reference to a name in the store.
//!
//! Order is what makes it safe. Everything is fetched and verified under a
//! lease, the name is set last, and dropping the future at any await leaves
//! complete blobs and resumable ones, never a name without its content.

use futures::future;

use crate::{
    Completed, Engine, Event, Host, Progress, PullOptions, Resolved, Result, Store, Target,
    fetch::Fetch, registry::retrying,
};

mod choice;
mod content;
mod everything;
mod naming;

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
    /// [`crate::Error::NotFound`] for what is not there or not for these credentials,
    /// [`crate::Error::PlatformMismatch`] if an index has nothing for the platform,
    /// [`crate::Error::Unauthorized`], [`crate::Error::Denied`], [`crate::Error::RateLimited`] and
    /// [`crate::Error::Unavailable`] as the registry answers, [`crate::Error::DigestMismatch`]
    /// and [`crate::Error::ManifestInvalid`] for content that is wrong,
    /// [`crate::Error::InvalidArgument`] for Docker schema 1, and whatever the store
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
            let fetch = Fetch {
                engine: self,
                progress,
                repository: &repository,
                lease: self.store.acquire_lease().await?,
                reference,
            };
            let pull = Pull::<H> { fetch, options };
            let done = pull.run().await?;
            progress.report(Event::Completed(done.clone()));
            completed.push(done);
        }
        Ok(completed)
    }
}

/// The pull of one reference.
struct Pull<'a, H: Host> {
    fetch: Fetch<'a, H>,
    options: &'a PullOptions,
}

impl<H: Host> Pull<'_, H> {
    async fn run(&self) -> Result<Completed> {
        let resolution = retrying(
            None,
            &self.fetch.engine.clock,
            self.fetch.progress,
            async || self.fetch.repository.resolve(self.fetch.reference).await,
        )
        .await?;
        let digest = resolution.digest.clone();
        let top = self.fetch.target(resolution).await?;
        let target = Target {
            media_type: top.media_type,
            digest: digest.clone(),
            size: top.size,
        };
        let save = async {
            match top.unsaved {
                Some(bytes) => {
                    self.fetch
                        .engine
                        .store
                        .put(&digest, bytes, &self.fetch.lease)
                        .await?;
                    self.fetch.note_digests(std::slice::from_ref(&digest)).await
                }
                None => Ok(()),
            }
        };
        let bring_in = async {
            let chosen = self.choose(&target, top.document).await?;
            self.fetch.progress.report(Event::Resolved(Resolved {
                reference: self.fetch.reference.clone(),
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
            if self.fetch.engine.settings.verify_diff_ids_first {
                self.fetch.engine.verify_diff_ids(&diff_ids).await?;
            }
            self.set_name(&target, standing).await?;
            if !self.fetch.engine.settings.verify_diff_ids_first && !diff_ids.is_empty() {
                self.fetch.engine.store.expect_diff_ids(&diff_ids).await?;
            }
        }
        Ok(Completed {
            reference: self.fetch.reference.clone(),
            digest,
            size: target.size,
            changed,
        })
    }
}
