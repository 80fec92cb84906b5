//! Listing containers.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashSet},
    rc::Rc,
};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;
use strata_oci::{Descriptor, Digest, filter::LabelFilter, json::Members};

use super::{
    model::{ContainerListOptions, ContainerSummary},
    record::Saved,
};
use crate::{
    Engine, Error, Host, Result,
    catalog::{Container, Snapshot},
};

/// The one state a container here is ever in.
const CREATED: &str = "created";
/// Records read at the same time: each may have half a megabyte.
const PARALLEL_READS: usize = 16;
/// The most bytes of labels, commands and members of host configs that a listing has: those of
/// containers beyond are left out. Ten thousand containers have about ten million.
const LISTED_BYTES: usize = 48 << 20;
/// Bytes that each text takes beside its own.
const EACH: usize = 64;

impl<H: Host> Engine<H> {
    /// Lists containers, newest first. None runs, so that without `all`, a limit or a
    /// status the list is empty.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if a container named by `before` or `since` is not here.
    pub async fn containers(
        &self,
        options: &ContainerListOptions,
    ) -> Result<Vec<ContainerSummary>> {
        let filters = &options.filters;
        let snapshot = self.snapshot().await?;
        let before = self.bound(&snapshot, &filters.before).await?;
        let since = self.bound(&snapshot, &filters.since).await?;
        let any_state = options.all || options.limit.is_some() || !filters.statuses.is_empty();
        let is_created = |status: &String| status == CREATED;
        if !any_state || !filters.statuses.is_empty() && !filters.statuses.iter().any(is_created) {
            return Ok(Vec::new());
        }
        let ancestors = Ancestors::new(&snapshot, &filters.ancestors);
        let admitted = snapshot.all_containers().filter(|it| {
            part_of(&filters.ids, &it.id)
                && part_of_name(&filters.names, &it.own_name)
                && ancestors.admit(it)
        });
        let admitted: Vec<&Container> = admitted.collect();
        let wanted = LabelFilter::new(&filters.labels, &[]);
        let is_of_age = |age: &Age| {
            before.iter().all(|bound| age < bound) && since.iter().all(|bound| age > bound)
        };
        let admits = |saved: &Saved| {
            let labels = saved.record.config.labels.iter().flatten();
            let labels = labels.map(|(key, value)| (key.as_str(), value.as_str()));
            wanted.admits(labels) && is_of_age(&age(saved))
        };
        // Whatever labels it had, none can be read.
        let admits_unread = |age: &Age| wanted.admits(std::iter::empty()) && is_of_age(age);
        let weight = Cell::new(0);
        let read = admitted.into_iter().map(|container| async {
            let listed = match self.saved_now(container).await? {
                Some(Ok(saved)) => admits(&saved).then(|| Listed::new(&snapshot, saved, options)),
                // Its names say what is needed to remove it.
                Some(Err(reason)) => {
                    let listed = Listed::unreadable(container, reason);
                    admits_unread(&listed.age).then_some(listed)
                }
                None => None,
            };
            Ok(listed.map(|listed| {
                let sum = listed.weight.saturating_add(weight.get());
                match sum > LISTED_BYTES {
                    true => listed.lightened(),
                    false => {
                        weight.set(sum);
                        listed
                    }
                }
            }))
        });
        let read: Vec<Option<Listed>> = stream::iter(read)
            .buffer_unordered(PARALLEL_READS)
            .try_collect()
            .await?;
        let mut listed: Vec<Listed> = read.into_iter().flatten().collect();
        listed.sort_by(|one, other| other.age.cmp(&one.age));
        listed.truncate(options.limit.unwrap_or(usize::MAX));
        let mut summaries = Vec::with_capacity(listed.len());
        for mut listed in listed {
            if options.size {
                let (_, _, id) = &listed.age;
                if listed.summary.damaged.is_none() {
                    listed.summary.size_total = match self.size_of(id).await {
                        Ok(size) => Some(size),
                        // Its layers may be gone: content of a platform can be removed.
                        Err(error) if is_about_one(&error) => None,
                        Err(error) => return Err(error),
                    };
                }
            }
            summaries.push(listed.summary);
        }
        Ok(summaries)
    }

    /// When containers were created.
    async fn bound(&self, snapshot: &Snapshot, names: &[String]) -> Result<Vec<Age>> {
        let mut bounds = Vec::with_capacity(names.len());
        for name in names {
            let container = snapshot.find_container(name)?;
            let found = self.saved_now(container).await?;
            bounds.push(match found {
                Some(Ok(saved)) => age(&saved),
                _ => age_by_name(container),
            });
        }
        Ok(bounds)
    }

    /// A container as it is now, or what is wrong with it; `None` if it was removed meanwhile.
    async fn saved_now(
        &self,
        container: &Container,
    ) -> Result<Option<std::result::Result<Saved, String>>> {
        let reason = match self.try_saved(container).await {
            Ok(Ok(saved)) => return Ok(Some(Ok(saved))),
            Ok(Err(reason)) => reason,
            Err(error) if is_about_one(&error) => error.to_string(),
            Err(error) => return Err(error),
        };
        // It may have been changed just now.
        match self.find_saved(&container.id).await {
            Ok(saved) => Ok(Some(Ok(saved))),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) if is_about_one(&error) => Ok(Some(Err(reason))),
            Err(error) => Err(error),
        }
    }

    async fn size_of(&self, id: &str) -> Result<u64> {
        self.reading(id, async |saved| self.total_size(&saved).await)
            .await
    }
}

/// Whether an error says something of one container only: a listing never fails because of one.
pub(super) fn is_about_one(error: &Error) -> bool {
    matches!(
        error,
        Error::Damaged(_)
            | Error::NotFound(_)
            | Error::ManifestInvalid(_)
            | Error::Unsupported(_)
            | Error::QuotaExceeded(_)
    )
}

/// What containers are ordered by: when they were created, then when they were named, as
/// clocks may stand still for two of them, then by ID.
type Age = ((i64, u32), i64, String);

fn age(saved: &Saved) -> Age {
    let container = &saved.container;
    (
        saved.record.created,
        container.created,
        container.id.clone(),
    )
}

/// The same of a container whose record cannot be read.
fn age_by_name(container: &Container) -> Age {
    let created = container.created.div_euclid(1000);
    ((created, 0), container.created, container.id.clone())
}

fn part_of(parts: &[String], text: &str) -> bool {
    parts.is_empty() || parts.iter().any(|part| text.contains(part.as_str()))
}

/// As [`part_of`]. Names have a slash at their start for those who ask with one.
fn part_of_name(parts: &[String], name: &str) -> bool {
    parts.is_empty() || part_of(parts, &format!("/{name}"))
}

/// The images a filter names.
struct Ancestors<'a> {
    texts: &'a [String],
    images: HashSet<Digest>,
}

impl<'a> Ancestors<'a> {
    /// Looks images up; a text that names none here may still be what a container was
    /// made by.
    fn new(snapshot: &Rc<Snapshot>, texts: &'a [String]) -> Self {
        let found = texts.iter().filter_map(|text| {
            let found = snapshot.clone().resolve(text).ok()?;
            Some(found.image().ok()?.target.digest.clone())
        });
        Self {
            texts,
            images: found.collect(),
        }
    }

    fn admit(&self, container: &Container) -> bool {
        self.texts.is_empty()
            || self.images.contains(&container.image)
            || self
                .texts
                .iter()
                .any(|text| *text == container.image.as_str())
    }
}

/// One container of a listing, and what that is ordered and bounded by.
struct Listed {
    summary: ContainerSummary,
    age: Age,
    /// Bytes of what may be much in it.
    weight: usize,
}

impl Listed {
    fn new(snapshot: &Rc<Snapshot>, saved: Saved, options: &ContainerListOptions) -> Self {
        let age = age(&saved);
        let record = saved.record;
        let config = record.config;
        let command = config.entrypoint.into_iter().chain(config.cmd).flatten();
        let command: Vec<String> = command.collect();
        let labels = config.labels.unwrap_or_default();
        let image = match still_names(snapshot, &record.image, &record.image_id) {
            true => record.image,
            false => record.image_id.to_string(),
        };
        let host_config = record.host_config.as_deref();
        let host_config = host_config.and_then(|it| members(it, options.host_members));
        let words = command.iter().map(String::len);
        let pairs = labels.iter().map(|(name, value)| name.len() + value.len());
        let host = host_config.as_deref().map_or(0, |it| it.get().len());
        let weight = words.chain(pairs).map(|bytes| bytes + EACH).sum::<usize>() + host;
        let summary = ContainerSummary {
            id: record.id,
            name: record.name,
            image,
            image_id: record.image_id,
            manifest: record.manifest,
            command,
            created: record.created.0,
            labels,
            host_config,
            size_changed: options.size.then_some(saved.changed_size),
            size_total: None,
            damaged: None,
        };
        Self {
            summary,
            age,
            weight,
        }
    }

    /// The same without what may be much.
    fn lightened(mut self) -> Self {
        self.summary.command.clear();
        self.summary.labels.clear();
        self.summary.host_config = None;
        self
    }

    /// What is known of a container whose record cannot be read.
    fn unreadable(container: &Container, reason: String) -> Self {
        let ((created, _), ..) = age_by_name(container);
        let summary = ContainerSummary {
            id: container.id.clone(),
            name: container.own_name.clone(),
            image: container.name.clone(),
            image_id: container.image.clone(),
            manifest: Descriptor::new("", container.image.clone(), 0),
            command: Vec::new(),
            created,
            labels: BTreeMap::new(),
            host_config: None,
            size_changed: None,
            size_total: None,
            damaged: Some(reason),
        };
        Self {
            summary,
            age: age_by_name(container),
            weight: 0,
        }
    }
}

/// Of an object the members of these names, in any case.
fn members(object: &RawValue, names: &[&str]) -> Option<Box<RawValue>> {
    let is_asked = |name: &str| names.iter().any(|asked| asked.eq_ignore_ascii_case(name));
    RawValue::from_string(Members::of(object).object_of(is_asked)).ok()
}

/// Whether `text`, by which a container was made, still leads to its image.
fn still_names(snapshot: &Rc<Snapshot>, text: &str, image: &Digest) -> bool {
    let found = snapshot.clone().resolve(text);
    let found = found.as_ref().map(|found| found.image());
    matches!(found, Ok(Ok(found)) if found.target.digest == *image)
}
