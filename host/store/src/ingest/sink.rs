//! Sending bytes to the thread that hashes and writes them.

use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;

use super::queue::Queue;
use crate::Error;
use crate::backend::Sink;

/// Larger pieces are sent in parts, so that hashing starts before all is queued.
const PART: usize = 256 * 1024;

/// The sending end of a queue.
pub(super) struct QueueSink(Arc<Queue>);

impl QueueSink {
    pub(super) fn new(queue: &Arc<Queue>) -> QueueSink {
        QueueSink(queue.clone())
    }
}

#[async_trait]
impl Sink for QueueSink {
    fn offset(&self) -> u64 {
        self.0.accepted()
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn start_send(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.0.send(bytes)
    }

    async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.0.check_room(bytes.len() as u64)?;
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(PART));
            std::future::poll_fn(|cx| self.0.poll_ready(cx)).await?;
            self.0.send(part)?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        std::future::poll_fn(|cx| self.0.poll_flush(cx)).await
    }
}
