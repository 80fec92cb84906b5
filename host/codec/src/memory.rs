//! The memory of decoders: how much a stream asks for, out of what there is for all.
//!
//! Most streams ask for a few MiB, and many of them are decoded at a time. A few ask for more, up to
//! 128 MiB: those wait for each other, and nobody else waits for them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Bytes of a permit.
const UNIT: u64 = 64 << 10;
/// What an ordinary stream asks for at most, in bytes: a window of 8 MiB, as large as RFC 8878 asks
/// every decoder to take, and the 1 MiB that xz has beside its dictionary.
const ORDINARY: u64 = (9 << 20) + BESIDE;
/// What any stream asks for at most, in bytes: see [`super::xz`].
const MOST: u64 = (129 << 20) + BESIDE;
/// Bytes a decoder has beside its window: tables, and what it reads from.
pub(crate) const BESIDE: u64 = 512 << 10;

/// Which streams share their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Those with ordinary windows.
    Ordinary,
    /// Those with long ones.
    Long,
}

impl Kind {
    fn of(bytes: u64) -> Kind {
        match bytes <= ORDINARY {
            true => Kind::Ordinary,
            false => Kind::Long,
        }
    }
}

/// The memory of all decoders. Clones share it.
#[derive(Clone, Debug)]
pub struct DecoderMemory(Arc<[Pool; 2]>);

#[derive(Debug)]
struct Pool {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Pool {
    fn new(bytes: u64) -> Pool {
        let units = usize::try_from(bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        Pool {
            free: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl DecoderMemory {
    /// Least bytes of streams with ordinary windows, and of others: one of the largest there are fits.
    pub const LEAST: (u64, u64) = (8 * ORDINARY, MOST);

    /// So many bytes for streams with ordinary windows, and for others, though not less than
    /// [`LEAST`](Self::LEAST).
    pub fn new(ordinary: u64, long: u64) -> DecoderMemory {
        DecoderMemory(Arc::new([
            Pool::new(ordinary.max(Self::LEAST.0)),
            Pool::new(long.max(Self::LEAST.1)),
        ]))
    }

    /// How many decoders wait for memory of a kind.
    pub fn waiting(&self, kind: Kind) -> usize {
        self.pool(kind).waiting.load(SeqCst)
    }

    /// Room for one decoder, none of it taken yet. Where it has to wait, reading fails with
    /// [`io::ErrorKind::WouldBlock`] until `on_free` was called. After `patience`, if there is an end
    /// to it, reading fails with [`Error::Busy`]; that takes a tokio runtime with time.
    pub fn room(
        &self,
        patience: Option<Duration>,
        on_free: impl Fn() + Send + Sync + 'static,
    ) -> Room {
        Room {
            memory: self.clone(),
            gate: Arc::new(Gate {
                is_shut: AtomicBool::new(false),
                is_due: AtomicBool::new(false),
                on_free: Box::new(on_free),
            }),
            holder: Holder::default(),
            patience,
            share: None,
            coming: None,
        }
    }

    fn pool(&self, kind: Kind) -> &Pool {
        &self.0[kind as usize]
    }

    async fn take(self, kind: Kind, units: u32) -> Option<OwnedSemaphorePermit> {
        let pool = self.pool(kind);
        if let Ok(permit) = Arc::clone(&pool.free).try_acquire_many_owned(units) {
            return Some(permit);
        }
        let _waiting = Counted::new(&pool.waiting);
        // Fair: who waits for much is not passed by those who want little.
        Arc::clone(&pool.free).acquire_many_owned(units).await.ok()
    }
}

impl Default for DecoderMemory {
    fn default() -> DecoderMemory {
        DecoderMemory::new(0, 0)
    }
}

/// Counts itself as long as it is there.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Counted<'a> {
        count.fetch_add(1, SeqCst);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Whose decoders they are. Clones are one holder.
#[derive(Clone, Debug, Default)]
pub struct Holder(Arc<[AtomicUsize; 2]>);

impl Holder {
    /// Whether it has memory of a kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.0[kind as usize].load(SeqCst) > 0
    }
}

/// Tells whether a decoder waits for memory.
pub struct Gate {
    is_shut: AtomicBool,
    /// There may be memory now, and nobody has looked yet.
    is_due: AtomicBool,
    on_free: Box<dyn Fn() + Send + Sync>,
}

impl Gate {
    /// Whether it does: reading would get nothing.
    pub fn is_shut(&self) -> bool {
        self.is_shut.load(SeqCst)
    }

    /// Whether it waited: reading goes on with what was read before.
    pub fn is_due(&self) -> bool {
        self.is_due.load(SeqCst)
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Gate>) {
        self.is_due.store(true, SeqCst);
        self.is_shut.store(false, SeqCst);
        (self.on_free)();
    }
}

type Coming = Pin<Box<dyn Future<Output = Result<Share, Error>> + Send>>;

/// The memory of one decoder, given back when it is dropped.
pub struct Room {
    memory: DecoderMemory,
    gate: Arc<Gate>,
    holder: Holder,
    patience: Option<Duration>,
    share: Option<Share>,
    coming: Option<Coming>,
}

/// What a decoder has.
struct Share {
    kind: Kind,
    bytes: u64,
    permit: OwnedSemaphorePermit,
    holder: Holder,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.holder.0[self.kind as usize].fetch_sub(1, SeqCst);
    }
}

impl Room {
    /// The same, for a decoder of `holder`.
    #[must_use]
    pub fn of(self, holder: &Holder) -> Room {
        Room {
            holder: holder.clone(),
            ..self
        }
    }

    /// What tells whether it waits.
    pub fn gate(&self) -> Arc<Gate> {
        self.gate.clone()
    }

    /// Sees to it that the decoder may have so many bytes, all in all.
    pub(crate) fn make(&mut self, bytes: u64) -> io::Result<()> {
        let has = self.share.as_ref().map_or(0, |share| share.bytes);
        if bytes <= has {
            return Ok(());
        }
        // What is asked for is asked for again until it is there.
        let coming = match &mut self.coming {
            Some(coming) => coming,
            none => none.insert(ask(
                &self.memory,
                self.holder.clone(),
                self.patience,
                bytes,
                self.share.as_ref(),
            )),
        };
        // Before it is looked at, as it may come at once.
        self.gate.is_shut.store(true, SeqCst);
        self.gate.is_due.store(false, SeqCst);
        let waker = Waker::from(self.gate.clone());
        let polled = coming.as_mut().poll(&mut Context::from_waker(&waker));
        let Poll::Ready(share) = polled else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        self.gate.is_shut.store(false, SeqCst);
        self.coming = None;
        let mut share = share.map_err(io::Error::other)?;
        if let Some(old) = self.share.take().filter(|old| old.kind == share.kind) {
            share.absorb(old);
        }
        self.share = Some(share);
        Ok(())
    }
}

/// Asks for what there must be beside `share` for `bytes` in all. Of another kind it is all.
fn ask(
    memory: &DecoderMemory,
    holder: Holder,
    patience: Option<Duration>,
    bytes: u64,
    share: Option<&Share>,
) -> Coming {
    let kind = Kind::of(bytes);
    let units = |bytes: u64| u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
    let has = share.filter(|share| share.kind == kind);
    let missing = units(bytes).saturating_sub(units(has.map_or(0, |share| share.bytes)));
    let taken = memory.clone().take(kind, missing);
    Box::pin(async move {
        let taken = match patience {
            Some(patience) => tokio::time::timeout(patience, taken).await.ok().flatten(),
            None => taken.await,
        };
        let permit = taken.ok_or_else(|| {
            Error::Busy("no memory for another decoder came free, try again later".into())
        })?;
        holder.0[kind as usize].fetch_add(1, SeqCst);
        Ok(Share {
            kind,
            bytes,
            permit,
            holder,
        })
    })
}

impl Share {
    fn absorb(&mut self, mut old: Share) {
        let all = old.permit.num_permits();
        if let Some(permit) = old.permit.split(all) {
            self.permit.merge(permit);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const MIB: u64 = 1 << 20;

    fn free(memory: &DecoderMemory, kind: Kind) -> u64 {
        memory.pool(kind).free.available_permits() as u64 * UNIT
    }

    fn waits(made: io::Result<()>) -> bool {
        made.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn long_windows_wait_for_each_other_and_ordinary_ones_for_nobody() {
        let memory = DecoderMemory::new(100 * MIB, 130 * MIB);
        let woken = Arc::new(AtomicUsize::new(0));
        let room = || {
            let woken = woken.clone();
            memory.room(None, move || {
                woken.fetch_add(1, SeqCst);
            })
        };
        let holder = Holder::default();
        let mut first = room().of(&holder);
        first.make(128 * MIB).unwrap();
        assert!(holder.has(Kind::Long) && !holder.has(Kind::Ordinary));
        let mut second = room();
        let gate = second.gate();
        assert!(waits(second.make(64 * MIB)) && gate.is_shut());
        assert_eq!(memory.waiting(Kind::Long), 1);
        let mut ordinary: Vec<Room> = (0..10).map(|_| room()).collect();
        for room in &mut ordinary {
            room.make(8 * MIB).unwrap();
        }
        assert_eq!(free(&memory, Kind::Ordinary), 20 * MIB);
        assert_eq!(woken.load(SeqCst), 0);
        drop(first);
        assert!(!holder.has(Kind::Long));
        assert_eq!((woken.load(SeqCst), gate.is_shut()), (1, false));
        assert!(gate.is_due());
        second.make(64 * MIB).unwrap();
        assert!(!gate.is_due());
        assert_eq!(memory.waiting(Kind::Long), 0);
        drop((second, ordinary));
        assert_eq!(free(&memory, Kind::Ordinary), 100 * MIB);
        assert_eq!(free(&memory, Kind::Long), 130 * MIB);
    }

    #[test]
    fn who_waits_no_more_is_not_waited_for() {
        let memory = DecoderMemory::new(0, 130 * MIB);
        let room = || memory.room(None, || {});
        let (mut first, mut second, mut third) = (room(), room(), room());
        first.make(100 * MIB).unwrap();
        assert!(waits(second.make(128 * MIB)));
        // Behind it, though there is room.
        assert!(waits(third.make(20 * MIB)));
        drop(second);
        third.make(20 * MIB).unwrap();
    }

    #[test]
    fn a_decoder_that_needs_more_takes_what_it_lacks() {
        let memory = DecoderMemory::new(0, 130 * MIB);
        let holder = Holder::default();
        let mut room = memory.room(None, || {}).of(&holder);
        let whole = free(&memory, Kind::Ordinary);
        for (bytes, kind, taken) in [
            (MIB, Kind::Ordinary, MIB),
            (8 * MIB, Kind::Ordinary, 8 * MIB),
            (2 * MIB, Kind::Ordinary, 8 * MIB),
            (100 * MIB, Kind::Long, 100 * MIB),
            (129 * MIB, Kind::Long, 129 * MIB),
        ] {
            room.make(bytes).unwrap();
            let long = 130 * MIB - free(&memory, Kind::Long);
            let ordinary = whole - free(&memory, Kind::Ordinary);
            assert_eq!(long + ordinary, taken, "{bytes}");
            assert!(holder.has(kind), "{bytes}");
        }
        assert!(!holder.has(Kind::Ordinary));
        drop(room);
        assert!(!holder.has(Kind::Long));
        assert_eq!(free(&memory, Kind::Long), 130 * MIB);
    }

    #[tokio::test]
    async fn patience_ends() {
        let memory = DecoderMemory::default();
        let told = Arc::new(tokio::sync::Notify::new());
        let mut first = memory.room(None, || {});
        first.make(MOST).unwrap();
        let mut second = {
            let told = told.clone();
            memory.room(Some(Duration::from_millis(1)), move || told.notify_one())
        };
        assert!(waits(second.make(MOST)));
        told.notified().await;
        let error = Error::of(second.make(MOST).unwrap_err());
        assert!(matches!(error, Ok(Error::Busy(_))), "{error:?}");
        assert_eq!(memory.waiting(Kind::Long), 0);
    }
}
