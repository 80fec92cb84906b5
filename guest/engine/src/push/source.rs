//! Where content came from: repositories blobs may be mounted from, and the record
//! that this one has them now.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use strata_oci::{Digest, Reference};

use super::Push;
use crate::{
    Change, Expectation, Host, Result,
    catalog::{By, Image, NAMESPACE, Snapshot},
    naming::{Decision, move_names, with_source},
};

/// Other images looked into for where their blobs are. What is pushed was mostly
/// built on one of a few.
const MAX_RELATED: usize = 64;

/// Repositories of the same registry by what they should have.
pub(super) struct Sources {
    /// Those of the image itself: they should have all of it.
    own: Vec<String>,
    /// Those of other images, by blob.
    related: HashMap<Digest, Rc<str>>,
    /// Those that may not be read.
    refused: RefCell<BTreeSet<String>>,
}

impl Sources {
    /// The repository most likely to have the blob.
    pub(super) fn candidate(&self, digest: &Digest) -> Option<&str> {
        let own = self.own.iter().map(String::as_str);
        let related = self.related.get(digest).map(|path| &**path);
        let refused = self.refused.borrow();
        own.chain(related).find(|path| !refused.contains(*path))
    }

    /// Never names this one again.
    pub(super) fn refuse(&self, path: &str) {
        self.refused.borrow_mut().insert(path.to_owned());
    }
}

impl<H: Host> Push<'_, H> {
    /// The sources, found out at first need: an image the registry has needs none.
    pub(super) async fn sources(&self) -> Result<Rc<Sources>> {
        let mut known = self.sources.lock().await;
        if let Some(sources) = &*known {
            return Ok(sources.clone());
        }
        let snapshot = self.engine.snapshot().await?;
        let name = self.reference.to_string();
        let own = snapshot.find(&name).map(|(position, _)| position);
        let image = own.and_then(|position| snapshot.images.get(position));
        let sources = Rc::new(Sources {
            own: image.map(|it| self.paths(it)).unwrap_or_default(),
            related: self.related(&snapshot, own).await?,
            refused: RefCell::default(),
        });
        *known = Some(sources.clone());
        Ok(sources)
    }

    /// Repositories of other images that have blobs here.
    async fn related(
        &self,
        snapshot: &Snapshot,
        own: Option<usize>,
    ) -> Result<HashMap<Digest, Rc<str>>> {
        let mut related = HashMap::new();
        let others = snapshot.images.iter().enumerate();
        let others = others.filter(|(position, _)| Some(*position) != own);
        let with_path =
            others.filter_map(|(_, image)| Some((image, self.paths(image).into_iter().next()?)));
        for (image, path) in with_path.take(MAX_RELATED) {
            let path: Rc<str> = path.into();
            for (digest, _) in &self.engine.view(image).await?.blobs {
                related
                    .entry(digest.clone())
                    .or_insert_with(|| path.clone());
            }
        }
        Ok(related)
    }

    /// The repositories an image came from, on this registry and other than the
    /// target.
    fn paths(&self, image: &Image) -> Vec<String> {
        let domain = self.reference.domain();
        let lists = image.source_labels().filter(|(key, _)| *key == domain);
        let paths = lists.flat_map(|(_, paths)| paths.split(','));
        let usable = paths.filter(|path| {
            // A label may say anything; this goes into an address.
            let parsed = Reference::parse(&format!("{domain}/{path}"));
            *path != self.reference.path()
                && parsed.is_ok_and(|it| it.is_name_only() && it.path() == *path)
        });
        usable.map(str::to_owned).collect()
    }

    /// Writes down that the repository has `target`. The push is done whether or
    /// not this can be recorded, so nothing that goes wrong here is reported.
    pub(super) async fn record_source(&self, target: &Digest) {
        let store = &self.engine.store;
        let recorded = move_names(store, "image", async |_| {
            let found = self.named(&self.engine.snapshot().await?)?;
            let By::Name(name) = &found.by else {
                return Ok(Decision::Settled(()));
            };
            let name = &name.record;
            let labels = with_source(&name.labels, self.reference);
            if labels == name.labels || name.target.digest != *target {
                return Ok(Decision::Settled(()));
            }
            let change = Change::Set {
                namespace: NAMESPACE.to_owned(),
                name: name.name.clone(),
                target: name.target.clone(),
                labels,
                expected: Expectation::Target(name.target.digest.clone()),
            };
            Ok(Decision::Change {
                changes: vec![change],
                // The labels were read at that generation, and a change replaces them.
                generation: Some(found.snapshot.generation),
                then: (),
            })
        });
        let _ = recorded.await;
    }
}
