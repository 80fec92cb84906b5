//! Which content of an image goes into the archive.

use std::collections::HashSet;

use strata_oci::{
    Descriptor, Digest, Manifest, Platform,
    media_type::{self, Kind},
};

use crate::{
    Error, Result,
    catalog::{Found, View},
};

/// What is saved of an image.
pub(super) struct Selection {
    /// What `index.json` points at.
    pub(super) target: Descriptor,
    /// All content, documents included.
    pub(super) blobs: Vec<Digest>,
    /// The manifest that stands for it in `manifest.json`, which knows no indexes; `None`
    /// for an index of nothing.
    pub(super) row: Option<(Digest, Manifest)>,
}

/// Selects what is saved of an image: everything complete, or of `platforms` only.
///
/// # Errors
/// [`Error::NotFound`] if there is nothing complete, or a platform is not there.
pub(super) fn select(
    found: &Found,
    view: &View,
    platforms: &[Platform],
    host: &Platform,
) -> Result<Selection> {
    let root = &found.image()?.target;
    let here: HashSet<&Digest> = view.blobs.iter().map(|(digest, _)| digest).collect();
    if !here.contains(&root.digest) {
        return Err(missing(found, &root.digest));
    }
    for platform in platforms {
        let manifest = found.for_platform(view, platform)?;
        if !manifest.available {
            let lost = manifest.manifest().and_then(|it| first_missing(it, &here));
            return Err(missing(found, lost.unwrap_or(&manifest.descriptor.digest)));
        }
    }
    let wanted = |offered: Option<&Platform>| {
        platforms.is_empty()
            || offered.is_some_and(|offered| platforms.iter().any(|it| it.matches(offered)))
    };
    let complete = view.manifests.iter().filter(|manifest| {
        let is_here = here.contains(&manifest.descriptor.digest);
        manifest.available && is_here && wanted(manifest.platform())
    });
    let mut selected = Vec::new();
    for (position, manifest) in complete.enumerate() {
        let Some(document) = manifest.manifest() else {
            continue;
        };
        let rank = manifest.platform().map(|platform| host.rank(platform));
        // Images before anything else, those for the host first.
        let rank = match rank {
            Some(Some(rank)) => (0, rank),
            Some(None) => (1, 0),
            None => (2, 0),
        };
        selected.push(((rank, position), &manifest.descriptor, document));
    }
    let best = selected.iter().min_by_key(|(rank, ..)| *rank);
    let Some((_, descriptor, document)) = best else {
        let documents = view.manifests.iter().filter_map(|it| it.manifest());
        let lost = documents.filter_map(|it| first_missing(it, &here)).next();
        let lost = lost.or(view.manifests.first().map(|it| &it.descriptor.digest));
        return match lost {
            Some(lost) => Err(missing(found, lost)),
            None => Ok(Selection {
                target: Descriptor::new(&root.media_type, root.digest.clone(), root.size),
                blobs: vec![root.digest.clone()],
                row: None,
            }),
        };
    };
    let mut blobs = Vec::new();
    let target = match platforms {
        [_] => Descriptor::new(
            &descriptor.media_type,
            descriptor.digest.clone(),
            descriptor.size,
        ),
        _ => {
            let manifests = view.manifests.iter().map(|it| &it.descriptor.digest);
            let manifests: HashSet<&Digest> = manifests.collect();
            // Indexes stay whole. Without a choice of platforms so does what they list, as
            // far as it is here, though not what that lists unless it is complete.
            let indexes = view.documents.iter();
            blobs.extend(indexes.filter(|it| !manifests.contains(it)).cloned());
            if platforms.is_empty() {
                blobs.extend(manifests.intersection(&here).map(|it| (*it).clone()));
            }
            Descriptor::new(&root.media_type, root.digest.clone(), root.size)
        }
    };
    let row = Some((descriptor.digest.clone(), (*document).clone()));
    for (_, descriptor, document) in &selected {
        // One platform means one manifest, even where an index has more for it.
        if platforms.len() == 1 && descriptor.digest != target.digest {
            continue;
        }
        blobs.push(descriptor.digest.clone());
        let children = std::iter::once(&document.config).chain(&document.layers);
        let children = children.filter(|child| !is_foreign(child));
        blobs.extend(children.map(|child| child.digest.clone()));
    }
    Ok(Selection { target, blobs, row })
}

/// Whether a layer is had from elsewhere and not to be passed on.
fn is_foreign(descriptor: &Descriptor) -> bool {
    media_type::kind(&descriptor.media_type) == Kind::ForeignLayer
}

/// What of a manifest is not here.
fn first_missing<'a>(manifest: &'a Manifest, here: &HashSet<&Digest>) -> Option<&'a Digest> {
    let children = std::iter::once(&manifest.config).chain(&manifest.layers);
    let mut children = children.filter(|child| !is_foreign(child));
    let lost = children.find(|child| !here.contains(&child.digest));
    lost.map(|child| &child.digest)
}

/// An image that is not whole.
fn missing(found: &Found, lost: &Digest) -> Error {
    match found.familiar() {
        Ok(familiar) => Error::NotFound(format!(
            "content of image {familiar} is incomplete: {lost} is missing or damaged, pull it again"
        )),
        Err(error) => error,
    }
}
