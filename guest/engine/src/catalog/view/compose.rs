//! Making a view from what the store had to say.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{
    Descriptor, Digest, Document, Manifest, Platform,
    media_type::{self, Kind},
};

use super::{Kinship, ManifestView, View};
use crate::catalog::{
    config::{Essentials, Known},
    content::Content,
    walk::Damage,
};

/// What views are made from: everything that had to be asked of the store.
pub(super) struct Material {
    /// The documents, and the sizes of those that are here.
    pub(super) documents: HashMap<Digest, (Option<u64>, Content)>,
    /// Sizes of the configs and layers that are here.
    pub(super) sizes: HashMap<Digest, u64>,
    /// What the configs say.
    pub(super) essentials: HashMap<Digest, Known>,
    /// What is known to be damaged.
    pub(super) damage: Rc<Damage>,
}

/// What a manifest says of its content.
#[derive(Clone, Copy)]
struct Measure {
    available: bool,
    content_size: u64,
}

impl Material {
    /// The view of the image with this target.
    pub(super) fn view(&self, target: Descriptor, host: &Platform) -> View {
        let mut view = View::default();
        let mut counted = HashSet::new();
        let mut measured = HashMap::new();
        let root = target.digest.clone();
        let mut stack = vec![target];
        while let Some(descriptor) = stack.pop() {
            let digest = descriptor.digest.clone();
            let first = self.count(&mut view, &mut counted, &digest);
            let content = self.documents.get(&digest).map(|(_, content)| content);
            // Other platforms of an index are absent by choice.
            let damage = content.filter(|it| digest == root || !matches!(it, Content::Absent));
            if let Some(reason) = damage.and_then(|content| content.damage(&digest))
                && first
            {
                view.damage.get_or_insert_with(|| reason.into());
                view.damaged.push(digest.clone());
                if matches!(content, Some(Content::Absent)) {
                    view.lost = Some(digest.clone());
                }
            }
            let document = content.and_then(Content::document).cloned();
            if first && document.is_some() {
                view.documents.push(digest.clone());
            }
            match document.as_deref() {
                // Indexes below each other could otherwise list one another for ever.
                Some(Document::Index(_)) if !first => {}
                Some(Document::Index(index)) => {
                    stack.extend(index.manifests.iter().rev().cloned());
                }
                Some(Document::Manifest(manifest)) => {
                    if !measured.contains_key(&digest) {
                        for child in std::iter::once(&manifest.config).chain(&manifest.layers) {
                            self.count(&mut view, &mut counted, &child.digest);
                        }
                        self.look_for_damage(&mut view, manifest);
                        // Configs of an index that does not say its platforms are read to find out.
                        let is_looked_into = digest != root && descriptor.platform.is_none();
                        self.look_for_lost(&mut view, manifest, is_looked_into);
                    }
                    let measure = *measured
                        .entry(digest)
                        .or_insert_with(|| self.measure(&descriptor.digest, manifest));
                    view.manifests.push(ManifestView {
                        document: document.clone(),
                        ..self.manifest(descriptor, manifest, measure)
                    });
                }
                // An index that is not here has no manifests to show.
                None if digest == root => {}
                None => view.manifests.push(ManifestView {
                    available: false,
                    content_size: self.size(&digest).unwrap_or_default(),
                    kind: kinship(&descriptor, None, None),
                    document: None,
                    essentials: None,
                    descriptor,
                }),
            }
        }
        view.best = best(&view.manifests, host, |it| it.available);
        // Beside a whole one it may be a platform that is being pulled, or was not to its end.
        if view.is_incomplete && view.best.is_some() {
            view.damage = None;
            view.is_incomplete = false;
            view.lost = None;
        }
        // What cannot be run can be shown.
        view.shown = view.best.or_else(|| {
            let is_damaged = view.damage.is_some();
            best(&view.manifests, host, |it| {
                is_damaged && it.essentials.is_some()
            })
        });
        view
    }

    /// Notes what of a manifest's content is damaged.
    fn look_for_damage(&self, view: &mut View, manifest: &Manifest) {
        for child in std::iter::once(&manifest.config).chain(&manifest.layers) {
            if let Some(reason) = self.damage.get(&child.digest) {
                view.damage.get_or_insert_with(|| reason.clone());
                view.damaged.push(child.digest.clone());
            }
        }
        if let Some(Err(reason)) = self.essentials.get(&manifest.config.digest) {
            view.damage.get_or_insert_with(|| reason.clone());
        }
    }

    /// Notes what is not here of an image of which something is. If nothing is, it is a platform that was not
    /// pulled; where `is_looked_into`, its config may be here nevertheless.
    fn look_for_lost(&self, view: &mut View, manifest: &Manifest, is_looked_into: bool) {
        let mut kept = manifest
            .layers
            .iter()
            .chain((!is_looked_into).then_some(&manifest.config));
        if !manifest.is_image() || !kept.any(|it| self.size(&it.digest).is_some()) {
            return;
        }
        let parts = std::iter::once(&manifest.config).chain(&manifest.layers);
        // Foreign layers may be left where they are.
        let mut own = parts.filter(|it| media_type::kind(&it.media_type) != Kind::ForeignLayer);
        let lost =
            own.find(|it| self.size(&it.digest).is_none() && !self.damage.contains_key(&it.digest));
        if let Some(lost) = lost
            && view.damage.is_none()
        {
            view.damage = Some(format!("{} is missing", lost.digest).into());
            view.is_incomplete = true;
            view.lost = Some(lost.digest.clone());
        }
    }

    /// What is here of a manifest that is here.
    fn measure(&self, digest: &Digest, manifest: &Manifest) -> Measure {
        let mut content_size = self.size(digest).unwrap_or_default();
        let mut available = true;
        let mut own = HashSet::new();
        for child in std::iter::once(&manifest.config).chain(&manifest.layers) {
            match self.size(&child.digest) {
                Some(size) if own.insert(&child.digest) => {
                    content_size = content_size.saturating_add(size);
                }
                Some(_) => {}
                None => available &= media_type::kind(&child.media_type) == Kind::ForeignLayer,
            }
        }
        Measure {
            available,
            content_size,
        }
    }

    /// A manifest that is here, without its document.
    fn manifest(
        &self,
        descriptor: Descriptor,
        manifest: &Manifest,
        measure: Measure,
    ) -> ManifestView {
        let essentials = self.essentials.get(&manifest.config.digest);
        let essentials = essentials.and_then(|known| known.as_ref().ok()).cloned();
        let kind = kinship(&descriptor, Some(manifest), essentials.as_deref());
        let mut available = measure.available;
        if let Kinship::Image(_) = kind {
            available &= essentials.is_some();
        }
        ManifestView {
            descriptor,
            available,
            content_size: measure.content_size,
            kind,
            document: None,
            essentials,
        }
    }

    /// Adds a blob to the view; false if it has been.
    fn count(&self, view: &mut View, counted: &mut HashSet<Digest>, digest: &Digest) -> bool {
        if !counted.insert(digest.clone()) {
            return false;
        }
        match self.size(digest) {
            Some(size) => {
                view.blobs.push((digest.clone(), size));
                view.size = view.size.saturating_add(size);
            }
            None => view.missing.push(digest.clone()),
        }
        true
    }

    /// The size of a blob that is here.
    fn size(&self, digest: &Digest) -> Option<u64> {
        match self.documents.get(digest) {
            Some((size, _)) => *size,
            None => self.sizes.get(digest).copied(),
        }
    }
}

/// What a manifest is, as far as can be told from what is here.
fn kinship(
    descriptor: &Descriptor,
    manifest: Option<&Manifest>,
    essentials: Option<&Essentials>,
) -> Kinship {
    if descriptor.is_attestation() {
        return match descriptor.attestation_for() {
            Some(subject) => Kinship::Attestation(subject),
            None => Kinship::Unknown,
        };
    }
    let is_layer = |layer: &Descriptor| {
        let kind = media_type::kind(&layer.media_type);
        matches!(kind, Kind::Layer | Kind::ForeignLayer)
    };
    // Images `FROM scratch` may have no layers at all.
    let is_image = manifest.is_none_or(|manifest| {
        manifest.is_image() && (manifest.layers.is_empty() || manifest.layers.iter().any(is_layer))
    });
    let stated = essentials.map(|essentials| &essentials.platform);
    let stated = stated.filter(|platform| !platform.os.is_empty());
    match descriptor.platform.as_ref().or(stated) {
        Some(platform) if is_image && platform.os != "unknown" => Kinship::Image(platform.clone()),
        _ => Kinship::Unknown,
    }
}

/// Of the images that `may_be` the one that suits `host` best; if none does, the first.
fn best(
    manifests: &[ManifestView],
    host: &Platform,
    may_be: impl Fn(&ManifestView) -> bool,
) -> Option<usize> {
    let candidates = manifests.iter().enumerate().filter(|(_, it)| may_be(it));
    let ranked = candidates.filter_map(|(position, manifest)| {
        let rank = host.rank(manifest.platform()?).unwrap_or(usize::MAX);
        Some((rank, position))
    });
    ranked.min().map(|(_, position)| position)
}
