//! What is here about a target, on its way to the registry: signatures and the like, and
//! the lists of them for registries that keep none.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject>

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use strata_oci::{Descriptor, Digest};

use super::{
    Push,
    plan::{Blob, Plan},
};
use crate::{
    Error, Event, Host, Result,
    catalog::Referrer,
    registry::{Relisted, retrying},
};

/// The most tries to change a list that others change too.
const MAX_TRIES: usize = 16;

impl<H: Host> Push<'_, H> {
    /// Sends what is here about anything in `plan`. That comes before the tag, so whoever
    /// pulls by the tag finds signatures too.
    ///
    /// An image is worth having without them: what a registry refuses to take, or what
    /// is not all here, stays behind with a warning.
    pub(super) async fn send_referrers(&self, plan: &Plan) -> Result<()> {
        let snapshot = self.engine.snapshot().await?;
        let referrers = self.engine.referrers(&snapshot).await?;
        let subjects = plan.levels.iter().flatten().map(|it| &it.digest);
        let rounds = referrers.about(subjects);
        if !rounds.is_empty() && plan.missing.is_empty() {
            // By its digest for now: not every registry takes what is about something it
            // does not have.
            self.publish_child(plan, &plan.top).await?;
        }
        for round in rounds {
            self.send_round(round).await?;
        }
        self.list_referrers().await
    }

    /// Sends what is about something that was sent.
    async fn send_round(&self, round: Vec<&Referrer>) -> Result<()> {
        let mut plans = Vec::with_capacity(round.len());
        for referrer in round {
            let Referrer {
                subject,
                descriptor,
            } = referrer;
            let what = format!("{} about {subject}", descriptor.digest);
            let plan = self.unless_refused(self.plan_whole(descriptor).await, &what)?;
            plans.extend(plan.map(|plan| (what, plan)));
        }
        // Many have the same config, the empty one.
        let blobs = plans.iter().flat_map(|(_, plan)| &plan.blobs);
        let blobs: BTreeMap<&Digest, &Blob> = blobs.map(|it| (&it.digest, it)).collect();
        let blobs: Vec<Blob> = blobs.into_values().cloned().collect();
        let what = "what is about the image";
        let sent = self.unless_refused(self.send_blobs(&blobs).await, what)?;
        if sent.is_none() {
            return Ok(());
        }
        stream::iter(&plans)
            .map(|(what, plan)| self.publish_referrer(plan, what))
            .buffer_unordered(self.engine.settings.parallel_layers.max(1))
            .try_collect()
            .await
    }

    /// What a referrer consists of, if all of that is here.
    async fn plan_whole(&self, referrer: &Descriptor) -> Result<Plan> {
        let plan = self.plan(referrer).await?;
        match plan.missing.first() {
            None => Ok(plan),
            Some(missing) => Err(Error::NotFound(format!(
                "{missing} of it is not in the store, pull it again"
            ))),
        }
    }

    async fn publish_referrer(&self, plan: &Plan, what: &str) -> Result<()> {
        let sent = async {
            self.publish_children(plan).await?;
            self.publish_child(plan, &plan.top).await
        };
        self.unless_refused(sent.await, what)?;
        Ok(())
    }

    /// Adds what was sent to the lists of those registries that keep none themselves.
    pub(super) async fn list_referrers(&self) -> Result<()> {
        let unlisted = self.unlisted.take();
        for (subject, new) in unlisted {
            let what = format!("the list of what is about {subject}");
            let listed = self.list(&subject, &new).await;
            self.unless_refused(listed, &what)?;
        }
        Ok(())
    }

    async fn list(&self, subject: &Digest, new: &[Descriptor]) -> Result<()> {
        for _ in 0..MAX_TRIES {
            let listed = retrying(None, &self.engine.clock, self.progress, async || {
                let listed = self.repository.listed(subject).await;
                listed.map_err(|failure| failure.context(&self.doing()))
            });
            let Some(listed) = listed.await? else {
                return Err(Error::Conflict(
                    "its tag holds something else, remove that tag".to_owned(),
                ));
            };
            let relisted = retrying(None, &self.engine.clock, self.progress, async || {
                let relisted = self.repository.relist(subject, &listed, new).await;
                relisted.map_err(|failure| failure.context(&self.doing()))
            });
            if relisted.await? == Relisted::Done {
                return Ok(());
            }
        }
        Err(Error::Conflict(
            "others keep changing it, push again".to_owned(),
        ))
    }

    /// Turns it into a warning that `what` cannot be sent, unless the next push could.
    fn unless_refused<R>(&self, outcome: Result<R>, what: &str) -> Result<Option<R>> {
        match outcome {
            Err(
                error @ (Error::ManifestInvalid(_)
                | Error::Unsupported(_)
                | Error::InvalidArgument(_)
                | Error::Conflict(_)
                | Error::Denied(_)
                | Error::NotFound(_)
                | Error::Damaged(_)
                | Error::QuotaExceeded(_)),
            ) => {
                let text = format!("{what} is not pushed: {error}");
                self.progress.report(Event::Warning(text));
                Ok(None)
            }
            outcome => outcome.map(Some),
        }
    }
}
