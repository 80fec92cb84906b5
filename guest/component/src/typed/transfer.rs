//! `transfer`: pull and push.

use strata_engine::{Completed, Error, PullOptions, PushOptions};
use strata_oci::Reference;
use wit_bindgen::{FutureReader, StreamReader, spawn_local};

use super::running;
use crate::{
    bindings::{
        exports::strata::image::transfer,
        strata::image::{progress, types},
        wit_future, wit_stream,
    },
    convert, engine,
};

/// The two ends of a running transfer.
type Ends = (
    StreamReader<progress::Event>,
    FutureReader<Result<Vec<progress::Completed>, types::Error>>,
);

/// Starts a pull.
pub(super) fn pull(options: transfer::PullOptions) -> Ends {
    start(async move |progress| {
        let options = PullOptions {
            reference: reference(&options.reference)?,
            all_tags: options.all_tags,
            platform: options.platform.map(convert::platform_from_wit),
            auth: convert::auth_from_wit(options.auth),
            headers: Vec::new(),
        };
        engine().pull(&options, progress).await
    })
}

/// Starts a push.
pub(super) fn push(options: transfer::PushOptions) -> Ends {
    start(async move |progress| {
        let options = PushOptions {
            reference: reference(&options.reference)?,
            all_tags: options.all_tags,
            platform: options.platform.map(convert::platform_from_wit),
            auth: convert::auth_from_wit(options.auth),
            headers: Vec::new(),
        };
        engine().push(&options, progress).await
    })
}

fn reference(text: &str) -> strata_engine::Result<Reference> {
    Reference::parse(text).map_err(|error| Error::InvalidArgument(error.to_string()))
}

fn start(
    work: impl AsyncFnOnce(&running::Queue) -> strata_engine::Result<Vec<Completed>> + 'static,
) -> Ends {
    let (events, events_reader) = wit_stream::new();
    let (verdict, verdict_reader) = wit_future::new(|| Err(types::Error::Cancelled));
    spawn_local(async move {
        let result = match running::run(events, work).await {
            Ok(completed) => Ok(completed
                .into_iter()
                .map(convert::completed_to_wit)
                .collect()),
            Err(error) => Err(convert::error_to_wit(error)),
        };
        // A reader that is gone does not want the verdict.
        let _ = verdict.write(result).await;
    });
    (events_reader, verdict_reader)
}
