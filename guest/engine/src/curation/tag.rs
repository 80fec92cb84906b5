//! Pointing a name at an image.

use std::collections::BTreeMap;

use strata_oci::Reference;

use super::{remove_name, set_dangling};
use crate::{
    Change, Engine, Error, Expectation, Host, Result, Store,
    catalog::{Image, NAMESPACE, SOURCE_LABEL},
    naming::{Decision, move_names},
};

/// A repository that could not be told from the start of a digest.
const AMBIGUOUS: &str = "sha256";

impl<H: Host> Engine<H> {
    /// Points `target`, with the tag `latest` if it has none, at the image
    /// `source`. A name that pointed elsewhere moves; its old image stays, dangling
    /// if that was its last name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `target` has a digest or is named like a digest
    /// algorithm; [`Error::NotFound`] if `source` names no image, even if it does
    /// not parse; [`Error::Conflict`] if names keep changing.
    pub async fn tag(&self, source: &str, target: &Reference) -> Result<()> {
        if target.digest().is_some() {
            return Err(Error::InvalidArgument(
                "cannot import digest reference".to_owned(),
            ));
        }
        if target.familiar_repository() == AMBIGUOUS {
            return Err(Error::InvalidArgument(
                "refusing to create an ambiguous tag using digest algorithm as name".to_owned(),
            ));
        }
        let name = target.clone().with_default_tag().to_string();
        move_names(&self.store, "image", async |was_raced| {
            let found = self.resolve(source).await.map_err(|error| match error {
                Error::InvalidArgument(text) => Error::NotFound(text),
                error => error,
            })?;
            let snapshot = found.snapshot.clone();
            let image = found.image()?;
            if was_raced {
                self.check_target(image).await?;
            }
            let holder = snapshot.find(&name);
            // Another tool's short form of this name is not this name.
            let holder = holder.filter(|(_, holder)| holder.record.name == name);
            let mut changes = Vec::new();
            if let Some((position, old)) = holder {
                if position == found.position {
                    return Ok(Decision::Settled(()));
                }
                let others = snapshot.images.get(position);
                let last = others.is_none_or(|image| image.names.len() == 1);
                let old_target = &old.record.target.digest;
                // An image whose content is lost has nothing to keep.
                if last && self.store.stat(old_target, None).await?.is_some() {
                    changes.push(set_dangling(old));
                }
            }
            changes.push(Change::Set {
                namespace: NAMESPACE.to_owned(),
                name: name.clone(),
                target: image.target.clone(),
                labels: copied_labels(image),
                expected: match holder {
                    Some((_, old)) => Expectation::Target(old.record.target.digest.clone()),
                    None => Expectation::Absent,
                },
            });
            let dangling = image.names.iter().filter(|name| name.is_dangling());
            changes.extend(dangling.map(|name| remove_name(name)));
            Ok(Decision::Change {
                changes,
                generation: Some(snapshot.generation),
                then: (),
            })
        })
        .await
    }

    /// Fails if an image's content is lost: then no attempt can succeed.
    async fn check_target(&self, image: &Image) -> Result<()> {
        let digest = &image.target.digest;
        match self.store.stat(digest, None).await? {
            Some(_) => Ok(()),
            None => Err(Error::NotFound(format!(
                "content of image {digest} is not in the store, pull it again"
            ))),
        }
    }
}

/// The labels that go with the image rather than with the name: where it came
/// from. Several names' lists become one.
fn copied_labels(image: &Image) -> Vec<(String, String)> {
    let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (domain, paths) in image.source_labels() {
        let known = sources.entry(domain).or_default();
        for path in paths.split(',') {
            if !path.is_empty() && !known.contains(&path) {
                known.push(path);
            }
        }
    }
    let label =
        |(domain, paths): (&str, Vec<&str>)| (format!("{SOURCE_LABEL}{domain}"), paths.join(","));
    sources.into_iter().map(label).collect()
}
