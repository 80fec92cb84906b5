//! Operations that report while they run: the work beside a pump of its progress.

use futures::{FutureExt, StreamExt, channel::mpsc, pin_mut, select};
use strata_engine::{Error, Event, Progress, Result};
use wit_bindgen::{FutureReader, StreamReader, StreamWriter, spawn_local};

use crate::{
    bindings::{
        strata::image::{progress, types},
        wit_future::{self, FuturePayload},
        wit_stream,
    },
    convert,
};

/// The two ends of a running operation: what it reports, then its verdict.
pub(super) type Ends<R> = (
    StreamReader<progress::Event>,
    FutureReader<Result<R, types::Error>>,
);

/// Starts `work`; `to_wit` converts what it comes to.
pub(super) fn start<R: 'static, W: 'static>(
    work: impl AsyncFnOnce(&Queue) -> Result<R> + 'static,
    to_wit: impl FnOnce(R) -> W + 'static,
) -> Ends<W>
where
    Result<W, types::Error>: FuturePayload,
{
    let (events, events_reader) = wit_stream::new();
    let (verdict, verdict_reader) = wit_future::new(|| Err(types::Error::Cancelled));
    spawn_local(async move {
        let result = match run(events, work).await {
            Ok(result) => Ok(to_wit(result)),
            Err(error) => Err(convert::error_to_wit(error)),
        };
        // A reader that is gone does not want the verdict.
        let _ = verdict.write(result).await;
    });
    (events_reader, verdict_reader)
}

/// Queues progress for the pump. The queue has no bound of its own: while a reader neither reads nor goes away,
/// it grows by what the engine reports, at most ten records a second for each blob that moves.
pub(super) struct Queue(mpsc::UnboundedSender<Event>);

impl Progress for Queue {
    fn report(&self, event: Event) {
        // The pump may have stopped: then the work is about to be dropped.
        let _ = self.0.unbounded_send(event);
    }
}

/// Runs `work` and writes what it reports into `events`. A reader that goes away
/// cancels the work.
async fn run<R>(
    events: StreamWriter<progress::Event>,
    work: impl AsyncFnOnce(&Queue) -> Result<R>,
) -> Result<R> {
    let (sender, receiver) = mpsc::unbounded();
    let work = async move {
        let queue = Queue(sender);
        work(&queue).await
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
        () = pump => match work.now_or_never() {
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
