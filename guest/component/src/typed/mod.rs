//! The WIT interfaces, exported.

mod archives;
mod running;
mod transfer;

pub(crate) use archives::relay;

use std::rc::Rc;

use strata_engine::{InspectOptions, ListOptions, RemoveOptions};
use strata_oci::Reference;
use wit_bindgen::{FutureReader, StreamReader};

use crate::{
    bindings::exports::strata::image::{
        archives as wit_archives, catalog, curation, transfer as wit_transfer,
    },
    bindings::strata::image::{progress, types},
    convert, engine,
};

/// Implements every typed interface.
pub(crate) struct Typed;

impl catalog::Guest for Typed {
    async fn list(
        filters: types::Filters,
        shared_size: bool,
    ) -> Result<Vec<types::ImageSummary>, types::Error> {
        let options = ListOptions {
            filters: convert::filters_from_wit(filters),
            shared_size,
            manifests: false,
        };
        match engine().list(&options).await {
            Ok(images) => Ok(images
                .into_iter()
                .map(|image| convert::summary_to_wit(Rc::unwrap_or_clone(image)))
                .collect()),
            Err(error) => Err(convert::error_to_wit(error)),
        }
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

impl curation::Guest for Typed {
    async fn tag(source: String, target: String) -> Result<(), types::Error> {
        let target = Reference::parse(&target)
            .map_err(|error| types::Error::InvalidArgument(error.to_string()))?;
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
            platforms: platforms
                .into_iter()
                .map(convert::platform_from_wit)
                .collect(),
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
            }),
            Err(error) => Err(convert::error_to_wit(error)),
        }
    }
}

impl wit_archives::Guest for Typed {
    async fn save(
        names: Vec<String>,
        platforms: Vec<types::Platform>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<(), types::Error>>), types::Error> {
        archives::save(names, platforms).await
    }

    async fn load(
        archive: StreamReader<u8>,
        platforms: Vec<types::Platform>,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<Vec<wit_archives::Loaded>, types::Error>>,
    ) {
        archives::load(archive, platforms)
    }
}

impl wit_transfer::Guest for Typed {
    async fn pull(
        options: wit_transfer::PullOptions,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<Vec<progress::Completed>, types::Error>>,
    ) {
        transfer::pull(options)
    }

    async fn push(
        options: wit_transfer::PushOptions,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<Vec<progress::Completed>, types::Error>>,
    ) {
        transfer::push(options)
    }
}
