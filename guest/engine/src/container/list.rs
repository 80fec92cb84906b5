//! Listing containers, and one in full.

use std::{cmp::Reverse, collections::HashSet, rc::Rc};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use strata_oci::{Digest, filter::match_label};

use super::{
    model::{ContainerDetails, ContainerListOptions, ContainerSummary},
    record::{Record, Saved},
    root::Root,
};
use crate::{
    Clock, Engine, Result, Store, Transport,
    catalog::{Container, Snapshot},
    pace::Pace,
};

/// The one state a container here is ever in.
const CREATED: &str = "created";
/// Records read at the same time.
const PARALLEL_READS: usize = 16;

impl<S, T, C> Engine<S, T, C>
where
    S: Store,
    T: Transport<Body = S::Body>,
    C: Clock,
{
    /// Lists containers, newest first. None runs, so that without `all`, a limit or a
    /// status the list is empty.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if a container named by `before` or `since` is not here, or
    /// content of one got lost.
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
        let read = admitted.into_iter().map(|container| self.saved(container));
        let read: Vec<Saved> = stream::iter(read)
            .buffer_unordered(PARALLEL_READS)
            .try_collect()
            .await?;
        let mut listed: Vec<Saved> = read
            .into_iter()
            .filter(|saved| {
                let labels = saved.record.config.labels.clone().unwrap_or_default();
                let has = |condition: &String| match_label(condition, &labels);
                let age = age(saved);
                filters.labels.iter().all(has)
                    && before.iter().all(|bound| age < *bound)
                    && since.iter().all(|bound| age > *bound)
            })
            .collect();
        listed.sort_by_cached_key(|saved| Reverse(age(saved)));
        listed.truncate(options.limit.unwrap_or(usize::MAX));
        let mut summaries = Vec::with_capacity(listed.len());
        for saved in listed {
            let size_total = match options.size {
                true => Some(self.total_size(&saved).await?),
                false => None,
            };
            summaries.push(summary(&snapshot, saved, options.size, size_total));
        }
        Ok(summaries)
    }

    /// One container in full. `size` adds that of all files, for which every layer is
    /// read.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if there is none, or its content got lost;
    /// [`crate::Error::InvalidArgument`] if an ID prefix has several.
    pub async fn container(&self, name: &str, size: bool) -> Result<ContainerDetails> {
        let saved = self.find_saved(name).await?;
        let size_total = match size {
            true => Some(self.total_size(&saved).await?),
            false => None,
        };
        let size_changed = saved.changed_size;
        let Record {
            id,
            name,
            created,
            image,
            image_id,
            manifest,
            platform,
            config,
            host_config,
            networking_config,
        } = saved.record;
        Ok(ContainerDetails {
            id,
            name,
            image,
            image_id,
            manifest,
            platform,
            created,
            config,
            host_config,
            networking_config,
            size_changed,
            size_total,
        })
    }

    /// When containers were created.
    async fn bound(&self, snapshot: &Snapshot, names: &[String]) -> Result<Vec<Age>> {
        let mut bounds = Vec::with_capacity(names.len());
        for name in names {
            let container = snapshot.find_container(name)?;
            bounds.push(age(&self.saved(container).await?));
        }
        Ok(bounds)
    }

    async fn total_size(&self, saved: &Saved) -> Result<u64> {
        let root = self.root(saved).await?;
        Ok(size_from(&root, 0).await)
    }
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

/// Bytes of the files whose content lies in this layer or above, each file once.
pub(super) async fn size_from(root: &Root, layer: u32) -> u64 {
    let mut seen = HashSet::new();
    let mut size: u64 = 0;
    let mut pace = Pace::default();
    for node in root.tree.walk(b"") {
        pace.steps(1).await;
        if let Some((content, link)) = root.tree.content(node)
            && content.layer >= layer
            && link.is_none_or(|link| seen.insert(link))
        {
            size = size.saturating_add(content.size);
        }
    }
    size
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

fn summary(
    snapshot: &Rc<Snapshot>,
    saved: Saved,
    with_sizes: bool,
    size_total: Option<u64>,
) -> ContainerSummary {
    let record = saved.record;
    let config = record.config;
    let command = config.entrypoint.into_iter().chain(config.cmd).flatten();
    let image = match still_names(snapshot, &record.image, &record.image_id) {
        true => record.image,
        false => record.image_id.to_string(),
    };
    ContainerSummary {
        id: record.id,
        name: record.name,
        image,
        image_id: record.image_id,
        manifest: record.manifest,
        command: command.collect(),
        created: record.created.0,
        labels: config.labels.unwrap_or_default(),
        host_config: record.host_config,
        size_changed: with_sizes.then_some(saved.changed_size),
        size_total,
    }
}

/// Whether `text`, by which a container was made, still leads to its image.
fn still_names(snapshot: &Rc<Snapshot>, text: &str, image: &Digest) -> bool {
    let found = snapshot.clone().resolve(text);
    let found = found.as_ref().map(|found| found.image());
    matches!(found, Ok(Ok(found)) if found.target.digest == *image)
}
