//! Manifests and indexes on their way to the registry, children first.

use futures::{
    StreamExt as _, TryStreamExt as _,
    future::{FutureExt as _, LocalBoxFuture},
    stream,
};
use strata_oci::{Descriptor, Document, document::MAX_DOCUMENT_BYTES};

use super::{
    Push,
    blob::Trust,
    plan::{Blob, Plan},
};
use crate::{
    Error, Host, Result, Store,
    registry::{Published, Put, retrying},
};

impl<H: Host> Push<'_, H> {
    /// Sends the target, when all else is there: under its tag, unless it `is_tagged` so
    /// already.
    pub(super) async fn publish_target(&self, plan: &Plan, is_tagged: bool) -> Result<()> {
        let is_referrer = plan.referrers.contains_key(&plan.top.digest);
        if is_tagged && !is_referrer {
            return Ok(());
        }
        let tag = self.reference.tag();
        let tag = tag.filter(|_| self.reference.digest().is_none());
        let name = tag.unwrap_or(plan.top.digest.as_str());
        self.publish(plan, &plan.top, name).await
    }

    /// Sends every manifest and index that the registry does not have, except the target.
    pub(super) async fn publish_children(&self, plan: &Plan) -> Result<()> {
        let parallel = self.engine.settings.parallel_layers.max(1);
        for level in &plan.levels {
            let below = level.iter().filter(|it| it.digest != plan.top.digest);
            // What may be about the others comes after them.
            let (about, others): (Vec<_>, Vec<_>) =
                below.partition(|it| plan.referrers.contains_key(&it.digest));
            for documents in [others, about] {
                stream::iter(documents)
                    .map(|document| self.publish_child(plan, document))
                    .buffer_unordered(parallel)
                    .try_collect::<()>()
                    .await?;
            }
        }
        Ok(())
    }

    pub(super) async fn publish_child(&self, plan: &Plan, document: &Descriptor) -> Result<()> {
        let digest = &document.digest;
        // Only the answer to sending it says whether the registry lists a referrer.
        if plan.referrers.contains_key(digest) {
            return self.publish(plan, document, digest.as_str()).await;
        }
        let here = retrying(
            Some(digest),
            &self.engine.clock,
            self.progress,
            async || {
                let here = self.repository.has_manifest(digest).await;
                here.map_err(|failure| failure.context(&self.doing()))
            },
        )
        .await?;
        match here {
            true => Ok(()),
            false => self.publish(plan, document, digest.as_str()).await,
        }
    }

    /// Sends one. If the registry then misses what it said it had, that is sent too,
    /// once. Boxed since that may come down to other manifests; the plan's levels
    /// bound how far.
    fn publish<'f>(
        &'f self,
        plan: &'f Plan,
        document: &'f Descriptor,
        name: &'f str,
    ) -> LocalBoxFuture<'f, Result<()>> {
        async move {
            let limit = MAX_DOCUMENT_BYTES as u64;
            let bytes = self.engine.store.get(&document.digest, limit).await?;
            let mut published = self.put(document, name, &bytes).await?;
            if let Published::Incomplete(_) = published {
                self.send_children(plan, &bytes).await?;
                published = self.put(document, name, &bytes).await?;
            }
            let listed = match published {
                Published::Done(listed) => listed,
                Published::Incomplete(error) => {
                    return Err(Error::ManifestInvalid(format!(
                        "{}: the registry refuses manifest {} though everything in it was sent: {error}",
                        self.doing(),
                        document.digest
                    )));
                }
            };
            if let Some(referrer) = plan.referrers.get(&document.digest)
                && listed.as_ref() != Some(&referrer.subject)
            {
                let mut unlisted = self.unlisted.borrow_mut();
                let new = unlisted.entry(referrer.subject.clone()).or_default();
                new.push(referrer.descriptor.clone());
            }
            Ok(())
        }
        .boxed_local()
    }

    async fn put(
        &self,
        document: &Descriptor,
        name: &str,
        bytes: &[u8],
    ) -> Result<Published<Error>> {
        let Descriptor {
            digest, media_type, ..
        } = document;
        retrying(
            Some(digest),
            &self.engine.clock,
            self.progress,
            async || {
                let put = Put {
                    name,
                    digest,
                    media_type,
                    bytes,
                    etag: None,
                };
                let published = self.repository.publish(&put).await;
                published.map_err(|failure| failure.context(&self.doing()))
            },
        )
        .await
    }

    /// Sends again what a document lists, whatever the registry says about it.
    async fn send_children(&self, plan: &Plan, bytes: &[u8]) -> Result<()> {
        let document = Document::parse("", bytes)
            .map_err(|error| Error::ManifestInvalid(error.to_string()))?;
        let children = document.children();
        let listed = |blob: &&Blob| children.iter().any(|it| it.digest == blob.digest);
        let blobs: Vec<Blob> = plan.blobs.iter().filter(listed).cloned().collect();
        self.send_all(&blobs, Trust::Doubt).await?;
        let listed = |it: &&Descriptor| children.iter().any(|child| child.digest == it.digest);
        for child in plan.levels.iter().flatten().filter(listed) {
            self.publish(plan, child, child.digest.as_str()).await?;
        }
        Ok(())
    }
}
