//! One request on its way: what the log calls it, what its client is waited for, and how it is cut.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures::task::AtomicWaker;
use http::{Method, Request};
use strata_codec::Holder;
use tokio::sync::{Notify, watch};

use super::desk::Desk;
use crate::{bounds::Ended, outgoing::Peers};

/// How long an operation runs before it is said to get on, and how long its client may have stood
/// still then.
const WARM: Duration = Duration::from_secs(1);
const BRISK: Duration = Duration::from_millis(100);
/// Bytes that have to move before the time is forgotten that was spent waiting for them.
const PIECE: u64 = 32 * 1024;
/// How long an operation may go on after its client was given up, to say why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One request.
pub(super) struct Operation {
    /// For the log, where several requests have the same path.
    id: u64,
    method: Method,
    path: String,
    begun: Instant,
    /// Since when the client is waited for, in milliseconds after `begun` and 1; 0 if it is not.
    sending: AtomicU64,
    reading: AtomicU64,
    /// Milliseconds the client was waited for, and bytes that moved, since the last [`PIECE`].
    waited: AtomicU64,
    moved: AtomicU64,
    /// Since when it has a place that others may want, counted as the above.
    placed: AtomicU64,
    /// Why it was cut, told to whoever waits, and whether its client was waited for to send: one that
    /// does not read is told nothing.
    cut: watch::Sender<Option<(Ended, Side)>>,
    /// Memory of its decoders.
    decoders: Holder,
    /// Whom it asks.
    peers: Peers,
    /// Of whoever reads the request's body.
    body: AtomicWaker,
    /// Closes the connection.
    connection: Closing,
    /// The connection's.
    desk: Option<Arc<Desk>>,
}

/// Closes the connection a request came on; an extension of the request.
#[derive(Clone, Default)]
pub(super) struct Closing(Arc<Notify>);

impl Closing {
    /// Resolves when it has to be closed.
    pub(super) async fn asked(&self) {
        self.0.notified().await;
    }

    fn ask(&self) {
        self.0.notify_one();
    }
}

/// What a client is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// More of the request's body.
    Sending,
    /// Room for more of the response.
    Reading,
    /// Nothing: somebody else is, whom the operation asks.
    Neither,
}

impl Operation {
    pub(super) fn new<B>(request: &Request<B>) -> Arc<Self> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: IDS.fetch_add(1, Relaxed),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            begun: Instant::now(),
            sending: AtomicU64::new(0),
            reading: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            placed: AtomicU64::new(0),
            cut: watch::channel(None).0,
            decoders: Holder::default(),
            peers: Peers::default(),
            body: AtomicWaker::new(),
            connection: request.extensions().get().cloned().unwrap_or_default(),
            desk: request.extensions().get().cloned(),
        })
    }

    /// One whose client has been waited for so long.
    #[cfg(test)]
    pub(super) fn stalled(stood: Duration, placed: bool) -> Arc<Self> {
        let mut operation = Self::new(&Request::new(()));
        if let Some(operation) = Arc::get_mut(&mut operation)
            && let Some(begun) = Instant::now().checked_sub(stood)
        {
            operation.begun = begun;
        }
        operation.sending.store(1, Relaxed);
        operation.placed.store(placed.into(), Relaxed);
        operation
    }

    fn side(&self, side: Side) -> Option<&AtomicU64> {
        match side {
            Side::Sending => Some(&self.sending),
            Side::Reading => Some(&self.reading),
            Side::Neither => None,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis())
            .unwrap_or(u64::MAX - 1)
            .saturating_add(1)
    }

    /// The client is waited for, from now on if it was not before.
    pub(super) fn waits(&self, side: Side) {
        if let Some(since) = self.side(side) {
            let _ = since.compare_exchange(0, self.now(), Relaxed, Relaxed);
        }
    }

    /// The client moved so many bytes, or is not waited for any more.
    pub(super) fn moves(&self, side: Side, bytes: usize) {
        let Some(since) = self.side(side) else {
            return;
        };
        let waited = match since.swap(0, Relaxed) {
            0 => 0,
            since => self.now().saturating_sub(since),
        };
        let bytes = bytes as u64;
        if self.moved.fetch_add(bytes, Relaxed).saturating_add(bytes) >= PIECE {
            self.moved.store(0, Relaxed);
            self.waited.store(0, Relaxed);
        } else {
            self.waited.fetch_add(waited, Relaxed);
        }
    }

    /// Nothing more is expected of the client, however slow it was.
    pub(super) fn has_sent(&self) {
        self.sending.store(0, Relaxed);
        self.moved.store(0, Relaxed);
        self.waited.store(0, Relaxed);
    }

    /// How long the client has been waited for, all in all, for the little that moved in that time.
    pub(super) fn dawdled(&self) -> Duration {
        self.stood() + Duration::from_millis(self.waited.load(Relaxed))
    }

    /// It has a place.
    pub(super) fn is_placed(&self) {
        self.placed.store(self.now(), Relaxed);
        if let Some(desk) = &self.desk {
            desk.placed();
        }
    }

    /// How long the client has stood still.
    pub(super) fn stood(&self) -> Duration {
        let now = self.now();
        let since = |side: &AtomicU64| match side.load(Relaxed) {
            0 => 0,
            since => now.saturating_sub(since),
        };
        Duration::from_millis(since(&self.sending).max(since(&self.reading)))
    }

    /// Whose its decoders are.
    pub(super) fn decoders(&self) -> &Holder {
        &self.decoders
    }

    /// Whom it asks.
    pub(super) fn peers(&self) -> &Peers {
        &self.peers
    }

    pub(super) fn has_place(&self) -> bool {
        self.placed.load(Relaxed) != 0
    }

    /// Whether it has run for a while, and its client keeps up with it.
    pub(super) fn gets_on(&self) -> bool {
        let placed = self.placed.load(Relaxed);
        let ran = Duration::from_millis(self.now().saturating_sub(placed));
        placed != 0 && ran >= WARM && self.stood() < BRISK && self.dawdled() < WARM
    }

    /// Gives the client up.
    pub(super) fn cut(&self, ended: Ended) {
        let side = match self.sending.load(Relaxed) {
            0 => Side::Reading,
            _ => Side::Sending,
        };
        self.cut_for(ended, side);
    }

    /// Gives up whom it asks.
    pub(super) fn give_way(&self) {
        self.cut_for(Ended::Silent, Side::Neither);
    }

    fn cut_for(&self, ended: Ended, side: Side) {
        if self.cut.borrow().is_some() {
            return;
        }
        tracing::info!("{self}: {ended}");
        self.cut.send_replace(Some((ended, side)));
        self.body.wake();
        if side == Side::Reading {
            self.connection.ask();
        }
    }

    /// Why it was cut.
    pub(super) fn why(&self) -> Option<Ended> {
        self.cut.borrow().as_ref().map(|(ended, _)| ended.clone())
    }

    /// Resolves when it is cut.
    pub(super) async fn is_cut(&self) -> Ended {
        self.was_cut().await.0
    }

    async fn was_cut(&self) -> (Ended, Side) {
        let mut cut = self.cut.subscribe();
        // It cannot fail: the sender is part of this.
        let cut = cut.wait_for(Option::is_some).await.ok();
        cut.and_then(|cut| cut.clone())
            .unwrap_or((Ended::Yielded, Side::Reading))
    }

    /// Resolves when it was cut and has had its last words.
    pub(super) async fn is_over(&self) -> Ended {
        let (ended, side) = self.was_cut().await;
        if side == Side::Sending {
            tokio::time::sleep(LAST_WORDS).await;
            self.connection.ask();
        }
        ended
    }

    /// To be woken when it is cut, whoever reads the request's body.
    pub(super) fn watch_body(&self, cx: &std::task::Context<'_>) {
        self.body.register(cx.waker());
    }

    /// Says what became of it.
    pub(super) fn log(&self, status: http::StatusCode) {
        tracing::debug!(
            "{self}: {} after {:.1} ms",
            status.as_u16(),
            self.begun.elapsed().as_secs_f64() * 1000.0
        );
    }
}

/// `GET /images/json (request 7)`. Without the query, which may be long.
impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.escape_debug();
        write!(f, "{} {path} (request {})", self.method, self.id)
    }
}
