//! Every name, as of one generation of the store, grouped by target.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{Digest, Reference};

use super::{
    Container, DANGLING_PREFIX, NAMESPACE, REFERRERS, ReferrerName, Shelf,
    containers::CONTAINERS,
    referrers::Referrers,
    walk::{Damage, damage_from},
};
use crate::{Engine, Host, Name, Result, Store, Target, pace::Pace};

/// The names of a store.
pub(crate) struct Snapshot {
    /// The generation they were read at.
    pub(crate) generation: u64,
    /// The images in the order of their digests.
    pub(crate) images: Vec<Image>,
    /// What the names of images and containers point at: that is kept.
    pub(crate) roots: Vec<Target>,
    /// What names of other name spaces point at, those of newer versions for example: that and
    /// whatever it may refer to is kept.
    pub(crate) foreign: Vec<Foreign>,
    /// What is damaged, and why.
    pub(crate) damage: Rc<Damage>,
    /// What is kept as long as something else is.
    pub(crate) referrer_names: Vec<ReferrerName>,
    /// Containers by the image they use.
    pub(super) containers: HashMap<Digest, Vec<Container>>,
    /// Position in `images` and in its names, by the text that finds it.
    by_name: HashMap<String, (usize, usize)>,
    /// What is about what, once that was needed; see [`Engine::referrers`].
    pub(super) referrers: RefCell<Option<Rc<Referrers>>>,
}

/// The names of every name space.
struct Names {
    images: Vec<Name>,
    containers: Vec<Name>,
    referrers: Vec<Name>,
    /// What those of other name spaces point at.
    foreign: Vec<Foreign>,
    damage: Damage,
}

/// The name spaces whose names mean something here.
const KNOWN: [&str; 3] = [NAMESPACE, CONTAINERS, REFERRERS];

/// A name of a name space that means nothing here.
pub(crate) struct Foreign {
    /// The name space.
    namespace: Rc<str>,
    /// The name.
    name: String,
    /// What it points at.
    pub(crate) target: Target,
}

/// The name space of what the store has in quarantine and may have held names (`names.wit`).
pub(crate) const LOST: &str = "lost";

/// What to say of one of its names, which is that of a file.
pub(crate) fn lost(file: &str) -> String {
    format!(
        "names may have been lost with {file}, so whatever is here may belong to one of them; once nothing \
         is missed, delete that file from .strata/quarantine in the store"
    )
}

impl Foreign {
    /// Why nothing can be removed while what it points at cannot be had for `reason`, for people.
    pub(crate) fn keeps_all(&self, reason: &str) -> String {
        let Self {
            namespace, name, ..
        } = self;
        match &**namespace {
            LOST => lost(name),
            _ => format!(
                "{reason}, and the name {name} of the unknown name space {namespace} points at it, so \
                 whatever is here may belong to it; remove it with the version of strata that made it"
            ),
        }
    }
}

/// An image: a target and its names.
pub(crate) struct Image {
    /// What the names point at; its digest is the image ID.
    pub(crate) target: Target,
    /// At least one, in name order.
    pub(crate) names: Vec<Rc<ImageName>>,
    /// Whether it has no name people could use.
    pub(crate) is_dangling: bool,
    /// Where what was here when last looked at is kept; see [`Engine::view`].
    pub(super) shelf: Rc<Shelf>,
}

/// A name of an image.
pub(crate) struct ImageName {
    /// As stored.
    pub(crate) record: Name,
    /// The name as a reference, with a tag or digest; `None` for a dangling
    /// name and for text of other tools that is no reference.
    pub(crate) reference: Option<Reference>,
    /// What people are shown: the familiar reference, the bare digest of a
    /// dangling name, or the text as it is.
    pub(crate) familiar: String,
}

impl ImageName {
    fn new(record: Name) -> Self {
        let (reference, familiar) = if record.name.starts_with(DANGLING_PREFIX) {
            (None, record.target.digest.to_string())
        } else {
            match Reference::parse(&record.name) {
                Ok(reference) => {
                    let reference = reference.with_default_tag();
                    let familiar = reference.familiar();
                    (Some(reference), familiar)
                }
                Err(_) => (None, record.name.clone()),
            }
        };
        Self {
            record,
            reference,
            familiar,
        }
    }

    /// Whether this is the hidden name of an untagged image.
    pub(crate) fn is_dangling(&self) -> bool {
        self.record.name.starts_with(DANGLING_PREFIX)
    }

    /// Familiar `repository@digest`, where the name has a repository.
    pub(crate) fn repository_digest(&self) -> Option<String> {
        let repository = self.reference.as_ref()?.familiar_repository();
        Some(format!("{repository}@{}", self.record.target.digest))
    }
}

impl Image {
    /// The names people know.
    pub(crate) fn known_names(&self) -> impl Iterator<Item = &Rc<ImageName>> {
        self.names.iter().filter(|name| !name.is_dangling())
    }

    /// Familiar names, in name order.
    pub(super) fn tags(&self) -> Vec<String> {
        // Two names may look the same once shortened.
        distinct(self.known_names().map(|name| name.familiar.clone()))
    }
}

/// Texts in their order, each once.
pub(super) fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

impl Snapshot {
    /// Groups names; what `old` has parsed already is taken from there.
    async fn new(generation: u64, names: Names, old: Option<&Self>) -> Self {
        let mut pace = Pace::default();
        let damage = Rc::new(names.damage);
        let shelf = Rc::new(Shelf::new(damage.clone()));
        let mut containers: HashMap<_, Vec<_>> = HashMap::new();
        let mut roots = Vec::with_capacity(names.containers.len());
        for record in names.containers {
            let container = Container::from_record(&record);
            let using = containers.entry(container.image.clone()).or_default();
            using.push(container);
            roots.push(record.target);
        }
        let mut grouped: BTreeMap<Digest, Vec<Rc<ImageName>>> = BTreeMap::new();
        for record in names.images {
            // A name that is new is parsed.
            pace.steps(16).await;
            let known = old.and_then(|old| old.name(&record.name));
            let name = match known {
                Some(known) if known.record == record => known.clone(),
                _ => Rc::new(ImageName::new(record)),
            };
            let names = grouped.entry(name.record.target.digest.clone());
            names.or_default().push(name);
        }
        let mut images = Vec::with_capacity(grouped.len());
        let mut by_name = HashMap::new();
        for names in grouped.into_values() {
            let Some(first) = names.first() else { continue };
            let target = first.record.target.clone();
            for (position, name) in names.iter().enumerate() {
                by_name.insert(name.record.name.clone(), (images.len(), position));
            }
            roots.push(target.clone());
            images.push(Image {
                target,
                is_dangling: names.iter().all(|name| name.is_dangling()),
                names,
                shelf: shelf.clone(),
            });
        }
        // Other tools store short forms ("alpine", "latest"): they answer to their
        // canonical form too, unless that is a name itself.
        for (index, image) in images.iter().enumerate() {
            for (position, name) in image.names.iter().enumerate() {
                pace.steps(4).await;
                if let Some(reference) = &name.reference {
                    let canonical = reference.to_string();
                    by_name.entry(canonical).or_insert((index, position));
                }
            }
        }
        let mut foreign = names.foreign;
        let mut referrer_names = Vec::with_capacity(names.referrers.len());
        for record in names.referrers {
            match ReferrerName::from_record(&record) {
                Some(referrer) => referrer_names.push(referrer),
                // Nobody knows what it is about.
                None => foreign.push(Foreign {
                    namespace: REFERRERS.into(),
                    name: record.name,
                    target: record.target,
                }),
            }
        }
        Self {
            generation,
            images,
            roots,
            foreign,
            damage,
            referrer_names,
            containers,
            by_name,
            referrers: RefCell::default(),
        }
    }

    /// The position of the image with this name, and the name.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &Rc<ImageName>)> {
        let (index, position) = *self.by_name.get(name)?;
        let name = self.images.get(index)?.names.get(position)?;
        Some((index, name))
    }

    fn name(&self, name: &str) -> Option<&Rc<ImageName>> {
        self.find(name).map(|(_, name)| name)
    }

    /// Whether this name is as it was.
    pub(crate) fn has(&self, name: &Rc<ImageName>) -> bool {
        let known = self.name(&name.record.name);
        known.is_some_and(|known| Rc::ptr_eq(known, name) || known.record == name.record)
    }

    /// The position of the image with this target.
    pub(crate) fn position(&self, target: &Digest) -> Option<usize> {
        let by_digest = |image: &Image| image.target.digest.cmp(target);
        self.images.binary_search_by(by_digest).ok()
    }

    /// The positions of the images whose digest text starts with `prefix`.
    pub(super) fn positions_by_prefix(&self, prefix: &str) -> std::ops::Range<usize> {
        let text = |image: &Image| image.target.digest.as_str() < prefix;
        let start = self.images.partition_point(text);
        let rest = self.images.get(start..).unwrap_or_default();
        let starts = |image: &Image| image.target.digest.as_str().starts_with(prefix);
        start..start + rest.partition_point(starts)
    }
}

impl<H: Host> Engine<H> {
    /// The names as they are now; read only if they have changed.
    pub(crate) async fn snapshot(&self) -> Result<Rc<Snapshot>> {
        let generation = self.store.generation()?;
        let old = self.catalog.snapshot.borrow().clone();
        if let Some(old) = &old
            && old.generation == generation
        {
            return Ok(old.clone());
        }
        // Should a name change between two reads, the older number stands: then every
        // change guarded by it fails and is tried again.
        let (read_at, images) = self.store.names(NAMESPACE).await?;
        let containers = self.store.names(CONTAINERS).await?.1;
        let referrers = self.store.names(REFERRERS).await?.1;
        let mut foreign = Vec::new();
        for namespace in self.store.namespaces().await? {
            if !KNOWN.contains(&namespace.as_str()) {
                let names = self.store.names(&namespace).await?.1;
                let namespace: Rc<str> = namespace.into();
                foreign.extend(names.into_iter().map(|name| Foreign {
                    namespace: namespace.clone(),
                    name: name.name,
                    target: name.target,
                }));
            }
        }
        let names = Names {
            images,
            containers,
            referrers,
            foreign,
            damage: damage_from(self.store.damaged().await?),
        };
        let snapshot = Rc::new(Snapshot::new(read_at, names, old.as_deref()).await);
        self.catalog.snapshot.replace(Some(snapshot.clone()));
        Ok(snapshot)
    }
}
