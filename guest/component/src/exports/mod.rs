//! The WIT interfaces, exported.

mod archives;
mod authoring;
mod containers;
mod integrity;
mod isolation;
mod running;
mod sink;
mod transfer;

pub(crate) use sink::relay;

use std::rc::Rc;

use strata_engine::{InspectOptions, ListOptions, RemoveOptions};

use crate::{
    bindings::exports::strata::image::{catalog, curation},
    bindings::strata::image::types,
    convert, engine,
};

/// Implements every interface the component exports.
pub(crate) struct Exports;

/// Bytes of labels in one listing: those of tens of thousands of usual images. Each takes some six times
/// that on its way to the caller.
const LISTED_LABELS: usize = 16 << 20;
/// What must be left of that for labels to be looked at.
const ROOM_WORTH_READING: usize = 1 << 10;

impl catalog::Guest for Exports {
    async fn list(
        filters: types::Filters,
        shared_size: bool,
    ) -> Result<Vec<types::ImageSummary>, types::Error> {
        let options = ListOptions {
            filters: convert::filters_from_wit(filters),
            shared_size,
            manifests: false,
        };
        let engine = engine();
        let images = engine.list(&options).await;
        let images = images.map_err(convert::error_to_wit)?;
        let mut listed = Vec::with_capacity(images.len());
        let mut room = LISTED_LABELS;
        for image in images {
            // The answer is one value, so what is too heavy for it stays out of it.
            let labels = match room {
                0..ROOM_WORTH_READING => None,
                _ => {
                    let labels = engine.labels(&image).await;
                    labels.map_err(convert::error_to_wit)?
                }
            };
            let labels = labels.filter(|it| it.weight() <= room).unwrap_or_default();
            room -= labels.weight();
            listed.push(convert::summary_to_wit(Rc::unwrap_or_clone(image), &labels));
        }
        Ok(listed)
    }

    async fn inspect(
        name: String,
        platform: Option<types::Platform>,
    ) -> Result<types::ImageDetails, types::Error> {
        let options = InspectOptions {
            platform: platform.map(convert::platform_from_wit),
            manifests: false,
        };
        engine()
            .inspect(&name, &options)
            .await
            .map(convert::details_to_wit)
            .map_err(convert::error_to_wit)
    }

    async fn history(
        name: String,
        platform: Option<types::Platform>,
    ) -> Result<Vec<types::HistoryEntry>, types::Error> {
        let platform = platform.map(convert::platform_from_wit);
        match engine().history(&name, platform.as_ref()).await {
            Ok(entries) => Ok(entries.into_iter().map(convert::history_to_wit).collect()),
            Err(error) => Err(convert::error_to_wit(error)),
        }
    }
}

impl curation::Guest for Exports {
    async fn tag(source: String, target: String) -> Result<(), types::Error> {
        let target = convert::reference_from_wit(&target).map_err(convert::error_to_wit)?;
        engine()
            .tag(&source, &target)
            .await
            .map_err(convert::error_to_wit)
    }

    async fn remove(
        name: String,
        force: bool,
        platforms: Vec<types::Platform>,
    ) -> Result<Vec<curation::Removal>, types::Error> {
        let options = RemoveOptions {
            force,
            no_prune: false,
            platforms: convert::platforms_from_wit(platforms),
        };
        match engine().remove(&name, &options).await {
            Ok(removals) => Ok(removals.into_iter().map(convert::removal_to_wit).collect()),
            Err(error) => Err(convert::error_to_wit(error)),
        }
    }

    async fn prune(filters: types::Filters) -> Result<curation::Pruned, types::Error> {
        match engine().prune(&convert::filters_from_wit(filters)).await {
            Ok(pruned) => Ok(curation::Pruned {
                removals: pruned
                    .removals
                    .into_iter()
                    .map(convert::removal_to_wit)
                    .collect(),
                reclaimed: pruned.reclaimed,
                kept: pruned.kept,
            }),
            Err(error) => Err(convert::error_to_wit(error)),
        }
    }
}
