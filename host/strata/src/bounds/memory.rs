//! Linear memory: of one instance, and of all together. And what decoders get of it.
//!
//! An instance has a small share from its start. The first time it grows past that it takes all it
//! may ever get, in one go, and waits for it if need be: two that both have a part of what they need
//! would wait for each other for ever. That there is always room for one such, whoever holds the
//! small shares, is why [`Budget::places`] bounds how many may run.

use std::{pin::Pin, sync::Arc, time::Duration};

use strata_codec::DecoderMemory;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use wasmtime::ResourceLimiterAsync;

use super::Ended;

/// Bytes of a permit: those of a WebAssembly page.
const PAGE: u64 = 64 << 10;
/// What an instance has from its start: some 4 MiB it begins with, and the documents of an
/// ordinary image.
const SHARE: u64 = 24 << 20;
/// How long an operation waits for memory that others hold. A client waits this long for an answer.
const WAIT: Duration = Duration::from_secs(60);
/// What part of all memory streams with ordinary windows have, up to 8 MiB each, and what part those
/// with longer ones: of 4 GiB, 256 MiB for dozens at a time, and one window of 128 MiB.
const DECODERS: u64 = 16;
const LONG_DECODERS: u64 = 32;
/// Most operations at once with instances of their own, however much memory there is: each may
/// have some MiB of buffers in the host as well.
const MOST_PLACES: u64 = 96;
/// Table elements of an instance: functions called indirectly. The component has some thousands.
const TABLE_ELEMENTS: usize = 100_000;

/// The memory of all instances.
pub(crate) struct Budget {
    pages: Arc<Semaphore>,
    /// Pages an instance starts with.
    share: u32,
    /// Pages one instance may have.
    full: u32,
    /// How many instances fit.
    places: usize,
    /// What of the memory is for decoders.
    decoders: DecoderMemory,
    /// Told when somebody waits, so that what is only kept warm goes.
    wanted: Notify,
    wait: Duration,
    /// Bytes of all, those of decoders included.
    total: u64,
}

impl Budget {
    /// Bytes that are taken at most: more than was asked for where that was too little.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// `total` bytes, of which one instance gets at most `limit`. `serving` instances are always there,
    /// and one more that has all it may get. A total in which nothing would fit beside them is taken
    /// as one in which two do.
    pub(crate) fn new(total: u64, limit: u64, serving: usize) -> Self {
        let pages = |bytes: u64| u32::try_from(bytes.div_ceil(PAGE)).unwrap_or(u32::MAX >> 4);
        let full = pages(limit).max(1);
        let share = pages(SHARE).min(full);
        let serving = serving as u64;
        let least = 2 * u64::from(full) + (serving + 2) * u64::from(share);
        let (ordinary, long) = (total / DECODERS, total / LONG_DECODERS);
        let least_for_decoders = DecoderMemory::LEAST;
        let for_decoders = ordinary.max(least_for_decoders.0) + long.max(least_for_decoders.1);
        let total = u64::from(pages(total.saturating_sub(for_decoders))).max(least);
        let places = (total - 2 * u64::from(full)) / u64::from(share) - serving;
        let places = places.min(MOST_PLACES);
        Self {
            pages: Arc::new(Semaphore::new(
                usize::try_from(total).unwrap_or(usize::MAX >> 4),
            )),
            share,
            full,
            places: usize::try_from(places).unwrap_or(1),
            decoders: DecoderMemory::new(ordinary, long),
            wanted: Notify::new(),
            wait: WAIT,
            total: total * PAGE + for_decoders,
        }
    }

    /// How many instances may be alive at once, besides those that are always there.
    pub(crate) fn places(&self) -> usize {
        self.places
    }

    /// What of the memory is for decoders.
    pub(crate) fn decoders(&self) -> DecoderMemory {
        self.decoders.clone()
    }

    /// Bytes one instance may have.
    pub(crate) fn limit(&self) -> usize {
        usize::try_from(u64::from(self.full) * PAGE).unwrap_or(usize::MAX)
    }

    /// Resolves when somebody waits for memory.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The memory of a new instance, which waits for more when it needs it.
    ///
    /// # Errors
    /// [`Ended::Busy`] if there was no room for it in time.
    pub(crate) async fn share(self: &Arc<Self>) -> Result<Memory, Ended> {
        let held = self.take(self.share, true).await?;
        Ok(Memory {
            budget: Arc::clone(self),
            held,
            waits: true,
            size: 0,
        })
    }

    /// The memory of an instance that others wait for, which never waits for more: `all` it may get if
    /// that is there, or so little that it ends when that is not enough.
    ///
    /// # Errors
    /// As [`Self::share`].
    pub(crate) async fn prompt(self: &Arc<Self>, all: bool) -> Result<Memory, Ended> {
        let held = match all.then(|| self.at_once(self.full)).flatten() {
            Some(held) => held,
            None => self.take(self.share, true).await?,
        };
        Ok(Memory {
            budget: Arc::clone(self),
            held,
            waits: false,
            size: 0,
        })
    }

    fn at_once(&self, pages: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pages).try_acquire_many_owned(pages).ok()
    }

    async fn take(&self, pages: u32, waits: bool) -> Result<OwnedSemaphorePermit, Ended> {
        if let Some(held) = self.at_once(pages) {
            return Ok(held);
        }
        self.wanted.notify_one();
        if !waits {
            return Err(Ended::Busy);
        }
        // Fair: who waits for much is not passed by those who want little.
        let waited = Arc::clone(&self.pages).acquire_many_owned(pages);
        match tokio::time::timeout(self.wait, waited).await {
            Ok(Ok(held)) => Ok(held),
            _ => Err(Ended::Busy),
        }
    }
}

/// The memory of one instance.
pub(crate) struct Memory {
    budget: Arc<Budget>,
    held: OwnedSemaphorePermit,
    /// Whether it waits for more.
    waits: bool,
    /// Bytes it has.
    size: usize,
}

impl Memory {
    /// Gives back what was taken for an operation that has ended.
    pub(crate) fn settle(&mut self) {
        let used = (self.size as u64)
            .div_ceil(PAGE)
            .max(u64::from(self.budget.share));
        let rest = self
            .held
            .num_permits()
            .saturating_sub(usize::try_from(used).unwrap_or(usize::MAX));
        drop(self.held.split(rest));
    }

    /// Bytes of linear memory in use.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    async fn grow(&mut self, by: usize) -> wasmtime::Result<bool> {
        let size = self.size.saturating_add(by);
        if size > self.budget.limit() {
            return Err(wasmtime::Error::new(Ended::Memory(self.budget.limit())));
        }
        if size as u64 > self.held.num_permits() as u64 * PAGE {
            let held = u32::try_from(self.held.num_permits()).unwrap_or(u32::MAX);
            let rest = self.budget.full.saturating_sub(held);
            let rest = self.budget.take(rest, self.waits).await;
            let rest = rest.map_err(wasmtime::Error::new)?;
            self.held.merge(rest);
        }
        self.size = size;
        Ok(true)
    }
}

type Growing<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<bool>> + Send + 'a>>;

/// Written as `async_trait` would.
impl ResourceLimiterAsync for Memory {
    fn memory_growing<'a, 'async_trait>(
        &'a mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Growing<'async_trait>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing<'a, 'async_trait>(
        &'a mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Growing<'async_trait>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { Ok(desired <= TABLE_ELEMENTS) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const LIMIT: u64 = 64 << 20;

    /// So much for instances.
    fn with_decoders(bytes: u64) -> u64 {
        let least = DecoderMemory::LEAST;
        bytes + least.0 + least.1
    }

    fn ended(grown: wasmtime::Result<bool>) -> Ended {
        Ended::of(&grown.unwrap_err())
    }

    #[tokio::test]
    async fn whoever_grows_gets_all_it_may_have_or_waits_for_it() {
        let budget = Arc::new(Budget::new(with_decoders(2 * LIMIT + 4 * SHARE), LIMIT, 0));
        let _serving = budget.prompt(true).await.unwrap();
        let mut first = budget.share().await.unwrap();
        let mut second = budget.share().await.unwrap();
        let mut third = budget.share().await.unwrap();
        let _fourth = budget.share().await.unwrap();
        assert!(first.grow(30 << 20).await.unwrap());
        assert!(first.grow(30 << 20).await.unwrap());
        assert_eq!(ended(first.grow(5 << 20).await), Ended::Memory(64 << 20));
        assert!(second.grow(20 << 20).await.unwrap(), "within its share");
        // No room for both: it waits, others are told, and it goes on when the first has ended.
        {
            let mut waiting = Box::pin(third.grow(60 << 20));
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("there is no room"),
                () = budget.wanted() => {}
            }
            drop(first);
            assert!(waiting.await.unwrap());
        }
        // What was taken for an operation is given back, not what its instance keeps.
        let before = budget.pages.available_permits();
        third.settle();
        let given = (budget.pages.available_permits() - before) as u64 * PAGE;
        assert_eq!(given, LIMIT - (60 << 20));
    }

    #[tokio::test]
    async fn an_instance_that_others_wait_for_does_not_wait() {
        let budget = Arc::new(Budget::new(with_decoders(2 * LIMIT + 4 * SHARE), LIMIT, 0));
        let _large = [
            budget.prompt(true).await.unwrap(),
            budget.prompt(true).await.unwrap(),
        ];
        let mut small = budget.prompt(false).await.unwrap();
        let _share = [budget.share().await.unwrap(), budget.share().await.unwrap()];
        assert_eq!(ended(small.grow(30 << 20).await), Ended::Busy);
    }

    #[tokio::test]
    async fn a_wait_for_memory_is_bounded() {
        let mut budget = Budget::new(with_decoders(LIMIT + 4 * SHARE), LIMIT, 0);
        budget.wait = Duration::ZERO;
        let budget = Arc::new(budget);
        let mut memories = Vec::new();
        while let Ok(memory) = budget.share().await {
            memories.push(memory);
        }
        assert_eq!(ended(memories[0].grow(60 << 20).await), Ended::Busy);
    }

    #[test]
    fn there_is_always_room_for_one_that_grows() {
        for (total, limit) in [
            (2 << 30, 512 << 20),
            (1 << 20, 512 << 20),
            (8 << 30, 1 << 30),
            (100, 1),
        ] {
            let budget = Budget::new(total, limit, 3);
            let held =
                (budget.places() as u64 + 3) * u64::from(budget.share) + u64::from(budget.full);
            let rest = budget.pages.available_permits() as u64 - held;
            assert!(
                rest >= u64::from(budget.full - budget.share),
                "{total} {limit}"
            );
            assert!(budget.places() >= 2, "{total} {limit}");
        }
    }
}
