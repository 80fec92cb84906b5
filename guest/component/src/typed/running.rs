//! Operations that report while they run: the work beside a pump of its progress.

use futures::{FutureExt, StreamExt, channel::mpsc, pin_mut, select};
use strata_engine::{Error, Event, Progress, Result};
use wit_bindgen::StreamWriter;

use crate::{bindings::strata::image::progress, convert};

/// Queues progress for the pump. Unbounded in type, bounded by nature: the
/// engine reports each blob at most ten times a second.
pub(super) struct Queue(mpsc::UnboundedSender<Event>);

impl Progress for Queue {
    fn report(&self, event: Event) {
        // The pump may have stopped: then the work is about to be dropped.
        let _ = self.0.unbounded_send(event);
    }
}

/// Runs `work` and writes what it reports into `events`. A reader that goes away
/// cancels the work.
pub(super) async fn run<R>(
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
