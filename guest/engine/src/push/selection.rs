//! What a name stands for in a push: all of its image, one platform, or the one
//! that is here.

use std::rc::Rc;

use strata_oci::{Descriptor, Digest, Platform};

use super::{Push, plan::Plan};
use crate::{
    BlobProgress, Error, Event, Host, Phase, Result,
    catalog::{By, Found, Snapshot, View},
    naming::name_of,
};

/// What is pushed.
pub(super) struct Selection {
    pub(super) plan: Plan,
    /// The index it stands in for, since not all of that is here.
    pub(super) instead_of: Option<Descriptor>,
    /// Not all of it is here, but what the tag names in the registry is that very image.
    pub(super) is_there: bool,
}

impl Selection {
    /// All of a plan, as it is.
    fn whole(plan: Plan) -> Self {
        Self {
            plan,
            instead_of: None,
            is_there: false,
        }
    }
}

impl<H: Host> Push<'_, H> {
    /// The image with this name.
    pub(super) fn named(&self, snapshot: &Rc<Snapshot>) -> Result<Found> {
        let found = snapshot.find(&name_of(self.reference));
        match found.map(|(position, name)| (position, name.clone())) {
            Some((position, name)) => Ok(Found {
                snapshot: snapshot.clone(),
                position,
                by: By::Name(name),
            }),
            None => Err(Error::NotFound(format!(
                "tag does not exist: {}",
                self.reference.familiar()
            ))),
        }
    }

    /// Decides what goes out. `tagged` is what the registry has.
    pub(super) async fn select(&self, found: &Found, tagged: Option<&Digest>) -> Result<Selection> {
        let image = found.image()?;
        let target = &image.target;
        if let Some(platform) = self.platform {
            let view = self.engine.view(image).await?;
            let exact = exactly(found, candidates(&view), platform)?;
            return self.complete(&exact, None).await;
        }
        let top = Descriptor::new(&target.media_type, target.digest.clone(), target.size);
        let plan = self.plan(&top).await?;
        if plan.missing.is_empty() {
            return Ok(Selection::whole(plan));
        }
        if !plan.is_index {
            return Err(self.lacks(&plan));
        }
        if tagged == Some(&target.digest) {
            let is_there = true;
            return Ok(Selection {
                is_there,
                ..Selection::whole(plan)
            });
        }
        let view = self.engine.view(image).await?;
        let manifest = self.substitute(found, candidates(&view))?;
        for child in &view.manifests {
            if !child.available {
                self.report_unavailable(&child.descriptor);
            }
        }
        self.complete(&manifest, Some(plan.top)).await
    }

    /// A plan all of which is here.
    async fn complete(
        &self,
        top: &Descriptor,
        instead_of: Option<Descriptor>,
    ) -> Result<Selection> {
        let plan = self.plan(top).await?;
        match plan.missing.is_empty() {
            true => Ok(Selection {
                instead_of,
                ..Selection::whole(plan)
            }),
            false => Err(self.lacks(&plan)),
        }
    }

    /// The manifest to push under the name of an index that is not all here: the
    /// only complete one, else the one that suits the host, as dockerd does.
    fn substitute(&self, found: &Found, complete: Vec<Candidate<'_>>) -> Result<Descriptor> {
        match complete[..] {
            [] => Err(Error::NotFound(format!(
                "image with reference {} was found but does not provide any platform",
                found.familiar()?
            ))),
            [only] => Ok(only.descriptor.clone()),
            ref several => {
                let host = &self.engine.settings.platform;
                let ranked = several
                    .iter()
                    .filter_map(|it| Some((host.rank(it.platform)?, it.descriptor)));
                match ranked.min_by_key(|(rank, _)| *rank) {
                    Some((_, best)) => Ok(best.clone()),
                    None => Err(Error::Conflict(
                        "multiple matching manifests found but no specific platform requested"
                            .to_owned(),
                    )),
                }
            }
        }
    }

    fn report_unavailable(&self, child: &Descriptor) {
        self.progress.report(Event::Blob(BlobProgress {
            digest: child.digest.clone(),
            phase: Phase::Unavailable,
            current: 0,
            total: child.size,
            mounted_from: None,
        }));
    }

    fn lacks(&self, plan: &Plan) -> Error {
        let digest = plan.missing.first().unwrap_or(&plan.top.digest);
        Error::NotFound(format!(
            "content {digest} of {} is not in the store: not found; pull the image again",
            self.reference.familiar()
        ))
    }
}

/// A manifest that could be pushed alone.
#[derive(Clone, Copy)]
struct Candidate<'v> {
    descriptor: &'v Descriptor,
    platform: &'v Platform,
}

/// The complete images for a platform, each once: an index may list one twice.
fn candidates(view: &View) -> Vec<Candidate<'_>> {
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for manifest in view.manifests.iter().filter(|it| it.available) {
        let descriptor = &manifest.descriptor;
        let known = |it: &Candidate<'_>| it.descriptor.digest == descriptor.digest;
        if let Some(platform) = manifest.platform()
            && !candidates.iter().any(known)
        {
            candidates.push(Candidate {
                descriptor,
                platform,
            });
        }
    }
    candidates
}

/// The one of them for exactly this platform.
fn exactly(
    found: &Found,
    mut candidates: Vec<Candidate<'_>>,
    platform: &Platform,
) -> Result<Descriptor> {
    candidates.retain(|candidate| platform.matches(candidate.platform));
    match candidates[..] {
        [] => Err(Error::NotFound(format!(
            "image with reference {} was found but does not provide the specified platform ({})",
            found.familiar()?,
            platform.format()
        ))),
        [only] => Ok(only.descriptor.clone()),
        _ => Err(Error::Conflict(format!(
            "multiple manifests found for platform {}",
            platform.format()
        ))),
    }
}
