//! The filters of list and prune (docker §4.1, §4.9).

use std::rc::Rc;

use strata_oci::{
    Reference,
    filter::{match_label, match_label_not},
    glob,
};

use super::{Image, ImageName, Snapshot, View};
use crate::{Engine, Filters, Result, Store};

/// A point in time: Unix seconds and nanoseconds.
type Instant = (i64, u32);

/// Filters with the images they name looked up.
pub(crate) struct Selection<'a> {
    filters: &'a Filters,
    /// The earliest of the images named by `before`.
    before: Option<Instant>,
    /// The latest of the images named by `since`.
    since: Option<Instant>,
}

impl Selection<'_> {
    /// Whether this name of the image passes.
    pub(crate) fn admits_name(&self, image: &Image, name: &ImageName) -> bool {
        let filters = self.filters;
        // A dangling name beside others is a leftover: the image is tagged.
        let dangling = image.is_dangling();
        if filters.dangling.is_some_and(|wanted| wanted != dangling) {
            return false;
        }
        let created = name.record.created;
        let until = filters.until.map(|seconds| seconds.saturating_mul(1000));
        if until.is_some_and(|until| created >= until) {
            return false;
        }
        filters.references.is_empty()
            || !dangling
                && filters
                    .references
                    .iter()
                    .any(|pattern| name_matches(pattern, name))
    }

    /// Whether the image passes as a whole.
    pub(crate) fn admits_image(&self, view: &View) -> bool {
        let created = view.best().and_then(|best| best.essentials.as_ref());
        let created = created.and_then(|essentials| essentials.created);
        let earlier = |bound: Instant| created.is_some_and(|created| created < bound);
        let later = |bound: Instant| created.is_some_and(|created| created > bound);
        self.before.is_none_or(earlier) && self.since.is_none_or(later) && self.admits_labels(view)
    }

    /// Whether one config satisfies every condition on labels.
    fn admits_labels(&self, view: &View) -> bool {
        let Filters {
            labels,
            without_labels,
            ..
        } = self.filters;
        if labels.is_empty() && without_labels.is_empty() {
            return true;
        }
        view.essentials().any(|it| {
            let has = |condition: &String| match_label(condition, &it.labels);
            let lacks = |condition: &String| match_label_not(condition, &it.labels);
            labels.iter().all(has) && without_labels.iter().all(lacks)
        })
    }
}

/// Whether a pattern matches a name in any of its forms: familiar or canonical,
/// with and without tag and digest. A broken pattern matches nothing.
fn name_matches(pattern: &str, name: &ImageName) -> bool {
    let matches = |text: &str| glob::matches(pattern, text).unwrap_or(false);
    if matches(&name.familiar) {
        return true;
    }
    let canonical = |reference: &Reference| {
        matches(&reference.familiar_repository())
            || matches(&reference.repository())
            || matches(&reference.to_string())
    };
    name.reference.as_ref().is_some_and(canonical)
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Looks up the images that the filters name.
    ///
    /// # Errors
    /// As [`Engine::resolve`], for `before` and `since`.
    pub(crate) async fn selection<'a>(
        &self,
        snapshot: &Rc<Snapshot>,
        filters: &'a Filters,
    ) -> Result<Selection<'a>> {
        let mut selection = Selection {
            filters,
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

    /// When the image named `name` was made; one that does not say bounds nothing.
    async fn created(&self, snapshot: &Rc<Snapshot>, name: &str) -> Result<Option<Instant>> {
        let found = snapshot.clone().resolve(name)?;
        let view = self.view(found.image()?).await?;
        let best = view.best().and_then(|best| best.essentials.as_ref());
        Ok(best.and_then(|essentials| essentials.created))
    }
}
