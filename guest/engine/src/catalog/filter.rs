//! The filters of list and prune, which match as those of `ImageList` and `ImagePrune` in Docker's API do:
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageList>,
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImagePrune>

use std::{collections::HashSet, rc::Rc};

use strata_oci::{
    Reference,
    filter::{LabelFilter, MAX_VALUES},
    glob::Pattern,
};

use super::{ImageName, Snapshot, View, config::Essentials};
use crate::{Engine, Error, Filters, Host, Result};

/// The most reference patterns with wildcards, which are compared with every name. Plain names are looked up, so of
/// those there may be [`MAX_VALUES`].
const MAX_PATTERNS: usize = 64;

/// A point in time: Unix seconds and nanoseconds.
type Instant = (i64, u32);

/// Filters that were read once, with the images they name looked up.
pub(crate) struct Selection<'a> {
    filters: &'a Filters,
    references: References,
    labels: LabelFilter,
    /// The earliest of the images named by `before`.
    before: Option<Instant>,
    /// The latest of the images named by `since`.
    since: Option<Instant>,
}

/// The values of the `reference` filter.
struct References {
    /// The values without wildcards.
    plain: HashSet<String>,
    /// The others.
    patterns: Vec<Pattern>,
}

impl References {
    /// Reads patterns. A broken one matches nothing.
    fn new(patterns: &[String]) -> Result<Self> {
        let mut references = Self {
            plain: HashSet::new(),
            patterns: Vec::new(),
        };
        for text in patterns {
            match Pattern::compile(text) {
                Ok(pattern) => match pattern.literal() {
                    Some(literal) => drop(references.plain.insert(literal.to_owned())),
                    None => references.patterns.push(pattern),
                },
                Err(strata_oci::glob::BadPattern::Syntax) => {}
                Err(error) => {
                    return Err(Error::QuotaExceeded(format!(
                        "invalid filter 'reference': {error}"
                    )));
                }
            }
        }
        let count = references.patterns.len();
        if count > MAX_PATTERNS {
            return Err(Error::QuotaExceeded(format!(
                "filter 'reference' has {count} patterns, the limit is {MAX_PATTERNS}"
            )));
        }
        Ok(references)
    }

    /// Whether one matches the name in any of its forms: familiar or canonical, with and
    /// without tag and digest.
    fn admit(&self, name: &ImageName) -> bool {
        if self.admit_text(&name.familiar) {
            return true;
        }
        let canonical = |reference: &Reference| {
            self.admit_text(&reference.familiar_repository())
                || self.admit_text(&reference.repository())
                || self.admit_text(&reference.to_string())
        };
        name.reference.as_ref().is_some_and(canonical)
    }

    fn admit_text(&self, text: &str) -> bool {
        if self.plain.contains(text) {
            return true;
        }
        if self.patterns.is_empty() {
            return false;
        }
        let chars: Vec<char> = text.chars().collect();
        self.patterns.iter().any(|pattern| pattern.matches(&chars))
    }
}

impl Selection<'_> {
    /// Whether every name of every image passes.
    pub(crate) fn admits_every_name(&self) -> bool {
        let Filters {
            dangling,
            until,
            references,
            ..
        } = self.filters;
        dangling.is_none() && until.is_none() && references.is_empty()
    }

    /// Whether every image passes as a whole.
    pub(crate) fn admits_every_image(&self) -> bool {
        self.labels.is_empty() && self.before.is_none() && self.since.is_none()
    }

    /// Whether this name of the image passes. `dangling` says whether the image is.
    pub(crate) fn admits_name(&self, dangling: bool, name: &ImageName) -> bool {
        let filters = self.filters;
        // A dangling name beside others is a leftover: the image is tagged.
        if filters.dangling.is_some_and(|wanted| wanted != dangling) {
            return false;
        }
        let created = name.record.created;
        let until = filters.until.map(|seconds| seconds.saturating_mul(1000));
        if until.is_some_and(|until| created >= until) {
            return false;
        }
        filters.references.is_empty() || !dangling && self.references.admit(name)
    }

    /// Steps it takes to look at a name.
    pub(crate) fn steps(&self) -> usize {
        1 + 4 * self.references.patterns.len()
    }

    /// Whether the image was made when the filters say.
    fn admits_age(&self, view: &View) -> bool {
        let created = view.best().and_then(|best| best.essentials.as_ref());
        let created = created.and_then(|essentials| essentials.created);
        let earlier = |bound: Instant| created.is_some_and(|created| created < bound);
        let later = |bound: Instant| created.is_some_and(|created| created > bound);
        self.before.is_none_or(earlier) && self.since.is_none_or(later)
    }
}

impl<H: Host> Engine<H> {
    /// Looks up the images that the filters name.
    ///
    /// # Errors
    /// As [`Engine::resolve`], for `before` and `since`; [`Error::QuotaExceeded`] for more
    /// values than are looked at.
    pub(crate) async fn selection<'a>(
        &self,
        snapshot: &Rc<Snapshot>,
        filters: &'a Filters,
    ) -> Result<Selection<'a>> {
        for (key, values) in [
            ("reference", &filters.references),
            ("label", &filters.labels),
            ("label!", &filters.without_labels),
            ("before", &filters.before),
            ("since", &filters.since),
        ] {
            let count = values.len();
            if count > MAX_VALUES {
                return Err(Error::QuotaExceeded(format!(
                    "filter '{key}' has {count} values, the limit is {MAX_VALUES}"
                )));
            }
        }
        let mut selection = Selection {
            filters,
            references: References::new(&filters.references)?,
            labels: LabelFilter::new(&filters.labels, &filters.without_labels),
            before: None,
            since: None,
        };
        for name in &filters.before {
            if let Some(created) = self.created(snapshot, name).await? {
                let bound = selection.before.map_or(created, |other| other.min(created));
                selection.before = Some(bound);
            }
        }
        for name in &filters.since {
            if let Some(created) = self.created(snapshot, name).await? {
                let bound = selection.since.map_or(created, |other| other.max(created));
                selection.since = Some(bound);
            }
        }
        Ok(selection)
    }

    /// Whether the image passes as a whole. Heavy labels are read for it, one config at a
    /// time.
    ///
    /// # Errors
    /// [`Error::Cancelled`] only.
    pub(crate) async fn admits(&self, selection: &Selection<'_>, view: &View) -> Result<bool> {
        if selection.admits_every_image() {
            return Ok(true);
        }
        if !selection.admits_age(view) {
            return Ok(false);
        }
        let filter = &selection.labels;
        if filter.is_empty() {
            return Ok(true);
        }
        // One config must satisfy every condition.
        for (essentials, config) in view.essentials() {
            let admitted = match essentials {
                Essentials {
                    labels: Some(labels),
                    ..
                } => filter.admits(labels.iter()),
                _ => filter.admits(self.config_labels(config).await?.iter()),
            };
            if admitted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// When the image named `name` was made; one that does not say bounds nothing.
    async fn created(&self, snapshot: &Rc<Snapshot>, name: &str) -> Result<Option<Instant>> {
        let found = snapshot.clone().resolve(name)?;
        let view = self.view(found.image()?).await?;
        let best = view.best().and_then(|best| best.essentials.as_ref());
        Ok(best.and_then(|essentials| essentials.created))
    }
}
