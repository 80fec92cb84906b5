//! `transfer.pull`: the engine's pull beside a pump of its progress.

use futures::{FutureExt, StreamExt, channel::mpsc, pin_mut, select};
use strata_engine::{Error, Event, Progress, PullOptions};
use strata_oci::Reference;
use wit_bindgen::{FutureReader, StreamReader, StreamWriter, spawn_local};

use crate::{
    bindings::{
        exports::strata::image::transfer,
        strata::image::{progress, types},
        wit_future, wit_stream,
    },
    convert, engine,
};

/// Starts a pull and returns its two ends.
pub(super) fn start(
    options: transfer::PullOptions,
) -> (
    StreamReader<progress::Event>,
    FutureReader<Result<Vec<progress::Completed>, types::Error>>,
) {
    let (events, events_reader) = wit_stream::new();
    let (verdict, verdict_reader) = wit_future::new(|| Err(types::Error::Cancelled));
    spawn_local(async move {
        let result = run(options, events).await;
        let result = match result {
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

/// Queues progress for the pump. Unbounded in type, bounded by nature: the
/// engine reports each blob at most ten times a second.
struct Queue(mpsc::UnboundedSender<Event>);

impl Progress for Queue {
    fn report(&self, event: Event) {
        let _ = self.0.unbounded_send(event);
    }
}

async fn run(
    options: transfer::PullOptions,
    events: StreamWriter<progress::Event>,
) -> strata_engine::Result<Vec<strata_engine::Completed>> {
    let reference = Reference::parse(&options.reference)
        .map_err(|error| Error::InvalidArgument(error.to_string()))?;
    let options = PullOptions {
        reference,
        all_tags: options.all_tags,
        platform: options.platform.map(convert::platform_from_wit),
        auth: convert::auth_from_wit(options.auth),
        headers: Vec::new(),
    };
    let engine = engine();
    let (sender, receiver) = mpsc::unbounded();
    let work = async move {
        let queue = Queue(sender);
        engine.pull(&options, &queue).await
    }
    .fuse();
    let pump = pump(receiver, events).fuse();
    pin_mut!(work, pump);
    select! {
        result = work => {
            // The queue is closed now; what is in it still goes out.
            pump.await;
            result
        }
        // The reader is gone: dropping the work cancels it.
        _ = pump => match work.now_or_never() {
            Some(result) => result,
            None => Err(Error::Cancelled),
        },
    }
}

/// Writes events until the queue closes or the reader goes away.
async fn pump(
    mut receiver: mpsc::UnboundedReceiver<Event>,
    mut events: StreamWriter<progress::Event>,
) {
    while let Some(event) = receiver.next().await {
        let mut batch = vec![convert::event_to_wit(event)];
        while let Ok(event) = receiver.try_recv() {
            batch.push(convert::event_to_wit(event));
        }
        if !events.write_all(batch).await.is_empty() {
            return;
        }
    }
}
