//! Writes that end while the archive is read on.
//!
//! Making a blob durable is mostly waiting, and archives of many images are mostly small
//! blobs: so several wait together.

use std::{future::poll_fn, pin::pin, task::Poll};

use futures::{
    StreamExt as _,
    future::{FutureExt as _, LocalBoxFuture},
    stream::FuturesUnordered,
};
use strata_oci::Digest;

use super::files::File;
use crate::Result;

/// Writes that wait together. Each may hold a small blob in memory.
const MAX_WRITES: usize = 16;

/// What a write led to.
#[derive(Default)]
pub(super) struct Written {
    /// A file whose digest is known now, and its name.
    pub(super) file: Option<(String, File)>,
    /// A blob that was not here before.
    pub(super) new: Option<Digest>,
}

/// Writes under way.
#[derive(Default)]
pub(super) struct Writes<'a> {
    running: FuturesUnordered<LocalBoxFuture<'a, Result<Written>>>,
    ended: Vec<Written>,
}

impl<'a> Writes<'a> {
    /// Adds a write, once there is room for it.
    pub(super) async fn add(
        &mut self,
        write: impl Future<Output = Result<Written>> + 'a,
    ) -> Result<()> {
        while self.running.len() >= MAX_WRITES {
            self.next().await?;
        }
        self.running.push(write.boxed_local());
        Ok(())
    }

    /// Does something else meanwhile. A write that fails ends both.
    pub(super) async fn beside<W: Future>(&mut self, work: W) -> Result<W::Output> {
        let mut work = pin!(work);
        poll_fn(|context| {
            while let Poll::Ready(Some(written)) = self.running.poll_next_unpin(context) {
                match written {
                    Ok(written) => self.ended.push(written),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// Waits for all of them.
    pub(super) async fn finish(&mut self) -> Result<()> {
        while !self.running.is_empty() {
            self.next().await?;
        }
        Ok(())
    }

    /// What has ended since last asked.
    pub(super) fn ended(&mut self) -> Vec<Written> {
        std::mem::take(&mut self.ended)
    }

    async fn next(&mut self) -> Result<()> {
        if let Some(written) = self.running.next().await {
            self.ended.push(written?);
        }
        Ok(())
    }
}
