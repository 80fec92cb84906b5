//! Pushing: from a name in the store to a name in a registry.
//!
//! Order is what makes it safe: blobs first, then manifests, children before the
//! indexes that list them, what is about them, the tag last. A push that is dropped or fails leaves
//! blobs that the next one finds, never a tag without its content. What goes out
//! is exactly what is stored, so digests stay.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use futures::lock::Mutex;
use strata_oci::{Descriptor, Digest, Platform, Reference};

use crate::{
    Completed, Engine, Error, Event, Host, LeaseOf, Progress, PushOptions, Resolved, Result, Store,
    Substituted, Target,
    catalog::{Found, Snapshot, same_repository},
    registry::{RepositoryOf, retrying},
};

mod blob;
mod manifest;
mod plan;
mod referrers;
mod selection;
mod source;
mod upload;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use blob::Remote;
use selection::Selection;
use source::Sources;

impl<H: Host> Engine<H> {
    /// Pushes from the store to a registry; one [`Completed`] per reference.
    ///
    /// Dropping the future cancels the push. Blobs that are through by then are
    /// skipped by the next one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such name here or content of it is
    /// missing, [`Error::Conflict`] if it does not say which of several platforms
    /// is meant, [`Error::Unauthorized`], [`Error::Denied`], [`Error::RateLimited`]
    /// and [`Error::Unavailable`] as the registry answers,
    /// [`Error::ManifestInvalid`] and [`Error::QuotaExceeded`] if it refuses a
    /// manifest, [`Error::DigestMismatch`] if it says it stored something else,
    /// and whatever the store answers.
    pub async fn push(
        &self,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Completed>> {
        let (reference, auth) = (&options.reference, &options.auth);
        let repository = self
            .repository(reference, auth, &options.headers, progress)
            .for_push();
        let references = match options.all_tags && options.reference.is_name_only() {
            true => tags_here(&*self.snapshot().await?, &options.reference)?,
            false => vec![options.reference.clone().with_default_tag()],
        };
        let remote = Remote::default();
        let mut completed = Vec::with_capacity(references.len());
        for reference in &references {
            let push = Push {
                engine: self,
                progress,
                repository: &repository,
                remote: &remote,
                lease: self.store.acquire_lease().await?,
                platform: options.platform.as_ref(),
                reference,
                unlisted: RefCell::default(),
                sources: Mutex::default(),
            };
            let done = push.run().await?;
            progress.report(Event::Completed(done.clone()));
            completed.push(done);
        }
        Ok(completed)
    }
}

/// Every tag of the repository that is here, in name order.
fn tags_here(snapshot: &Snapshot, repository: &Reference) -> Result<Vec<Reference>> {
    let names = snapshot.images.iter().flat_map(|image| &image.names);
    let references = names.filter_map(|name| name.reference.as_ref());
    let mut tags: Vec<Reference> = references
        .filter(|it| same_repository(it, repository) && it.tag().is_some() && it.digest().is_none())
        .cloned()
        .collect();
    tags.sort_by(|one, other| one.tag().cmp(&other.tag()));
    tags.dedup();
    match tags.is_empty() {
        false => Ok(tags),
        true => Err(Error::NotFound(format!(
            "An image does not exist locally with the tag: {}",
            repository.familiar_repository()
        ))),
    }
}

/// The push of one reference.
struct Push<'a, H: Host> {
    engine: &'a Engine<H>,
    progress: &'a dyn Progress,
    repository: &'a RepositoryOf<'a, H>,
    /// What is known of the repository, from earlier references too.
    remote: &'a Remote,
    lease: LeaseOf<H>,
    platform: Option<&'a Platform>,
    reference: &'a Reference,
    /// Referrers that were sent, by subject, where the registry did not say that it
    /// lists them.
    unlisted: RefCell<BTreeMap<Digest, Vec<Descriptor>>>,
    /// Where blobs may be mounted from, once that was needed.
    sources: Mutex<Option<Rc<Sources>>>,
}

impl<H: Host> Push<'_, H> {
    async fn run(&self) -> Result<Completed> {
        let target = |names: &_| Ok(vec![self.named(names)?.image()?.target.digest.clone()]);
        let begin = async |names| self.begin(&self.named(&names)?).await;
        let (target, tagged, selection) = self.engine.settled(target, begin, |_| true).await?;
        let plan = &selection.plan;
        if selection.is_there {
            self.send_referrers(plan).await?;
            return Ok(self.completed(target.digest.clone(), target.size, false));
        }
        self.send_blobs(&plan.blobs).await?;
        let is_tagged = tagged.as_ref() == Some(&plan.top.digest);
        self.publish_children(plan).await?;
        self.send_referrers(plan).await?;
        self.publish_target(plan, is_tagged).await?;
        self.list_referrers().await?;
        self.record_source(&target.digest).await;
        if let Some(index) = selection.instead_of {
            let manifest = plan.top.clone();
            let substituted = Box::new(Substituted { index, manifest });
            self.progress.report(Event::Substituted(substituted));
        }
        Ok(self.completed(plan.top.digest.clone(), plan.top.size, !is_tagged))
    }

    /// The image's target, what the registry has under the tag, and what goes out.
    async fn begin(&self, found: &Found) -> Result<(Target, Option<Digest>, Selection)> {
        let target = &found.image()?.target;
        self.progress.report(Event::Resolved(Resolved {
            reference: self.reference.clone(),
            digest: target.digest.clone(),
        }));
        // Asked first: the one request that everything else would wait for too if
        // the registry wants a token.
        let tagged = match self.reference.digest() {
            Some(_) => None,
            None => self.tagged().await?,
        };
        let selection = self.select(found, tagged.as_ref()).await?;
        Ok((target.clone(), tagged, selection))
    }

    /// What the registry has under the tag now.
    async fn tagged(&self) -> Result<Option<Digest>> {
        let tag = self.reference.tag().unwrap_or_default();
        retrying(None, &self.engine.clock, self.progress, async || {
            let tagged = self.repository.tagged(tag).await;
            tagged.map_err(|failure| failure.context(&self.doing()))
        })
        .await
    }

    fn completed(&self, digest: Digest, size: u64, changed: bool) -> Completed {
        Completed {
            reference: self.reference.clone(),
            digest,
            size,
            changed,
        }
    }

    /// What error texts say was being done.
    fn doing(&self) -> String {
        format!("failed to push {}", self.reference)
    }
}
