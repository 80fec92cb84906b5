//! Whether the store holds what it should, and mending it: the engine behind WIT's `integrity`.
//!
//! Content is hashed natively ([`content`]); what names reach is walked target by target ([`structure`]), so that
//! memory does not grow with the number of images; [`repair`] fetches single blobs.

mod content;
mod repair;
mod structure;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use strata_oci::{Descriptor, Digest, Reference};

use crate::{
    Engine, Host, Name, Progress, Result, Store,
    catalog::{CONTAINERS, Container, DANGLING_PREFIX, LOST, NAMESPACE, SOURCE_LABEL, lost},
};

pub use repair::{Mended, Outcome};

/// Repositories named for one fault. The first that has the blob is all it takes.
const MAX_SOURCES: usize = 8;

/// See WIT's `integrity.fault-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The bytes are not those of the digest, or cannot be read.
    Damaged,
    /// Not here, and needed.
    Missing,
    /// The bytes are right and make no sense.
    Invalid,
}

/// One blob that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The blob, as what refers to it says; without media type and size if nothing does.
    pub blob: Descriptor,
    /// What is wrong.
    pub kind: FaultKind,
    /// Why, for people.
    pub reason: String,
    /// Repositories it is known to come from, the likeliest first.
    pub sources: Vec<String>,
}

/// Something with a name that needs blobs with faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// The name space.
    pub namespace: String,
    /// The names in it.
    pub names: Vec<String>,
    /// What they point at.
    pub target: Digest,
    /// The blobs.
    pub faults: Vec<Digest>,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Blobs in the store.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Targets of names.
    pub targets: u64,
    /// Every fault, in digest order.
    pub faults: Vec<Fault>,
    /// What needs them.
    pub affected: Vec<Affected>,
}

/// Faults by blob, while they are being found.
type Faults = BTreeMap<Digest, Fault>;

impl<H: Host> Engine<H> {
    /// Compares everything here with its digest, unless `quick`, and what names reach with what it should be.
    ///
    /// # Errors
    /// As the store's `blobs`, `names` and `verify`; faults of content are no errors.
    pub async fn check_store(&self, quick: bool, progress: &dyn Progress) -> Result<CheckReport> {
        let blobs = self.store.blobs().await?;
        let mut report = CheckReport {
            blobs: blobs.len() as u64,
            bytes: blobs.iter().map(|(_, size)| size).sum(),
            ..CheckReport::default()
        };
        let mut faults = Faults::new();
        if !quick {
            self.verify_all(&blobs, &mut faults, progress).await?;
        }
        for (digest, reason) in self.store.damaged().await? {
            let fault = || Fault::new(unreferenced(&digest), FaultKind::Damaged, reason);
            faults.entry(digest.clone()).or_insert_with(fault);
        }
        let sizes: HashMap<Digest, u64> = blobs.into_iter().collect();
        for namespace in self.store.namespaces().await? {
            let (_, names) = self.store.names(&namespace).await?;
            let mut targets: BTreeMap<Digest, Vec<Name>> = BTreeMap::new();
            for name in names {
                let target = name.target.digest.clone();
                targets.entry(target).or_default().push(name);
            }
            report.targets += targets.len() as u64;
            for (target, names) in targets {
                let found = self.check_names(&names, &sizes, &mut faults).await?;
                if found.is_empty() {
                    continue;
                }
                for digest in &found {
                    if let Some(fault) = faults.get_mut(digest) {
                        fault.may_come_from(names.iter().flat_map(noted));
                    }
                }
                if namespace == LOST
                    && let (Some(file), Some(fault)) = (names.first(), faults.get_mut(&target))
                {
                    // It stands for that file.
                    fault.reason = lost(&file.name);
                }
                let names = names.iter().map(|name| shown(&namespace, name));
                report.affected.push(Affected {
                    names: names.collect(),
                    namespace: namespace.clone(),
                    target,
                    faults: found,
                });
            }
        }
        for (digest, fault) in &mut faults {
            let own = self.store.sources(digest).await?;
            let of_images = std::mem::take(&mut fault.sources);
            fault.may_come_from(own.into_iter().chain(of_images));
        }
        report.faults = faults.into_values().collect();
        Ok(report)
    }
}

impl Fault {
    fn new(blob: Descriptor, kind: FaultKind, reason: impl Into<String>) -> Self {
        Self {
            blob,
            kind,
            reason: reason.into(),
            sources: Vec::new(),
        }
    }

    fn may_come_from(&mut self, repositories: impl IntoIterator<Item = String>) {
        for repository in repositories {
            if self.sources.len() < MAX_SOURCES && !self.sources.contains(&repository) {
                self.sources.push(repository);
            }
        }
    }
}

/// A blob nothing says anything about.
fn unreferenced(digest: &Digest) -> Descriptor {
    Descriptor::new("", digest.clone(), 0)
}

/// A name as people know it.
fn shown(namespace: &str, name: &Name) -> String {
    match namespace {
        NAMESPACE => {}
        CONTAINERS => return Container::from_record(name).shown().to_owned(),
        _ => return name.name.clone(),
    }
    match Reference::parse(&name.name) {
        _ if name.name.starts_with(DANGLING_PREFIX) => name.target.digest.to_string(),
        Ok(reference) => reference.familiar(),
        Err(_) => name.name.clone(),
    }
}

/// The repositories that pulls and pushes noted with a name, `domain/path`. What the name itself says is none: an
/// image that was made here has a name as well, and no registry should be asked for it.
fn noted(name: &Name) -> Vec<String> {
    let mut repositories = Vec::new();
    for (label, paths) in &name.labels {
        if let Some(domain) = label.strip_prefix(SOURCE_LABEL) {
            let paths = paths.split(',').filter(|path| !path.is_empty());
            repositories.extend(paths.map(|path| format!("{domain}/{path}")));
        }
    }
    repositories
}
