//! Removing the content of some platforms of an image.

use std::collections::HashSet;

use super::conflict;
use crate::{Engine, Error, Host, Removal, RemoveOptions, Result, garbage::Candidates};

/// The refusal as dockerd words it, dashes included.
const NEEDS_FORCE: &str = "Content will be removed from all images referencing this variant. Use \u{2014}-force to force delete.";

impl<H: Host> Engine<H> {
    /// Removes the manifests of the platforms asked for and what only they need,
    /// wherever they are referenced. Names and indexes stay; so does a manifest
    /// that is itself a name's target, since every name resolves.
    pub(super) async fn remove_platforms(
        &self,
        name: &str,
        options: &RemoveOptions,
    ) -> Result<Vec<Removal>> {
        if !options.force {
            return Err(Error::InvalidArgument(NEEDS_FORCE.to_owned()));
        }
        let found = self.resolve(name).await?;
        let image = found.image()?;
        let id = &image.target.digest;
        let containers = found.snapshot.containers_using(id);
        if let Some(conflict) = conflict::in_use(id, containers, options.force) {
            return Err(conflict);
        }
        let view = self.view(image).await?;
        let mut manifests = HashSet::new();
        let mut contents = Vec::new();
        let mut candidates = Vec::new();
        for platform in &options.platforms {
            found.for_platform(&view, platform)?;
            for manifest in &view.manifests {
                let offered = manifest.platform();
                if !offered.is_some_and(|it| platform.matches(it)) {
                    continue;
                }
                let Some(document) = manifest.manifest() else {
                    continue;
                };
                let digest = &manifest.descriptor.digest;
                if manifests.insert(digest.clone()) {
                    contents.push((digest.clone(), document.config.digest.clone()));
                    candidates.push(digest.clone());
                    candidates.push(document.config.digest.clone());
                    let layers = document.layers.iter();
                    candidates.extend(layers.map(|layer| layer.digest.clone()));
                }
            }
        }
        let mut distinct = HashSet::new();
        candidates.retain(|digest| distinct.insert(digest.clone()));
        let swept = self.sweep(&Candidates::Of(candidates), &manifests).await?;
        let gone = swept.gone.into_iter();
        let gone: HashSet<_> = gone.map(|(digest, _)| digest).collect();
        // Of a manifest that is a target only the content goes.
        contents.retain(|(manifest, config)| gone.contains(manifest) || gone.contains(config));
        let manifests = contents.into_iter().map(|(manifest, _)| manifest);
        Ok(manifests.map(Removal::Deleted).collect())
    }
}
