//! `transfer`: pull and push.

use strata_engine::{Completed, PullOptions, PushOptions};
use wit_bindgen::{FutureReader, StreamReader};

use super::{Exports, running};
use crate::{
    bindings::{
        exports::strata::image::transfer,
        strata::image::{progress, types},
    },
    convert, engine,
};

impl transfer::Guest for Exports {
    async fn pull(
        options: transfer::PullOptions,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<Vec<progress::Completed>, types::Error>>,
    ) {
        let work = async move |progress: &running::Queue| {
            let options = PullOptions {
                reference: convert::reference_from_wit(&options.reference)?,
                all_tags: options.all_tags,
                platforms: convert::platforms_from_wit(options.platforms),
                all_platforms: options.all_platforms,
                auth: convert::auth_from_wit(options.auth),
                headers: Vec::new(),
            };
            engine().pull(&options, progress).await
        };
        running::start(work, all_completed)
    }

    async fn push(
        options: transfer::PushOptions,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<Vec<progress::Completed>, types::Error>>,
    ) {
        let work = async move |progress: &running::Queue| {
            let options = PushOptions {
                reference: convert::reference_from_wit(&options.reference)?,
                all_tags: options.all_tags,
                platform: options.platform.map(convert::platform_from_wit),
                auth: convert::auth_from_wit(options.auth),
                headers: Vec::new(),
            };
            engine().push(&options, progress).await
        };
        running::start(work, all_completed)
    }
}

fn all_completed(completed: Vec<Completed>) -> Vec<progress::Completed> {
    let completed = completed.into_iter();
    completed.map(convert::completed_to_wit).collect()
}
