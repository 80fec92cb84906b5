//! Responses that grow: work that sends messages while it runs.
//!
//! Work reports without waiting, clients read as slowly as they like. [`Lines`] stands between them and
//! stays small: a waiting byte count is replaced by its newer one, and there is an upper limit.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    task::{Poll, Waker},
};

use futures::future::{Either, select};
use http::{HeaderMap, StatusCode};
use strata_engine::Error;

use crate::output::{Gone, Output};

/// Bytes sent by one write, more or less: enough to make the call worth it.
const BATCH_BYTES: usize = 32 * 1024;

/// The most lines that wait. One pull of an image with 500 layers, all of which say everything while the
/// client does not read, stays below; past it the oldest go, those of layers first, which cost a display
/// nothing but history.
const MAX_WAITING: usize = 4096;

/// A message of a stream, whose way of ending a line is its face's.
pub trait Message {
    /// Whether both update one line of a display.
    fn is_about_the_same_as(&self, other: &Self) -> bool;

    /// Whether `newer`, which is about the same, makes this one worthless.
    fn is_replaced_by(&self, newer: &Self) -> bool;

    /// Whether it tells how far something is, so that a display can do without.
    fn is_progress(&self) -> bool;

    /// Appends the message as it is sent.
    fn encode(&self, out: &mut Vec<u8>);

    /// The last message, after a failure.
    fn failed(error: &Error) -> Self;
}

/// Messages on their way to the client, a line each.
pub struct Lines<M>(RefCell<Waiting<M>>);

struct Waiting<M> {
    lines: VecDeque<M>,
    closed: bool,
    reader: Option<Waker>,
    /// Waits for room.
    writer: Option<Waker>,
}

/// How a client learns of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failures {
    /// By status, as long as no byte was sent, even if lines wait.
    ByStatus,
    /// By the last message, always.
    InStream,
}

impl<M> Default for Lines<M> {
    fn default() -> Self {
        Self(RefCell::new(Waiting {
            lines: VecDeque::new(),
            closed: false,
            reader: None,
            writer: None,
        }))
    }
}

impl<M: Message> Lines<M> {
    /// Queues a line; never waits.
    pub fn push(&self, line: M) {
        let mut waiting = self.0.borrow_mut();
        let mut newest_first = waiting.lines.iter_mut().rev();
        match newest_first.find(|old| old.is_about_the_same_as(&line)) {
            Some(old) if old.is_replaced_by(&line) => *old = line,
            _ => {
                if waiting.lines.len() == MAX_WAITING {
                    let oldest = waiting.lines.iter().position(M::is_progress);
                    waiting.lines.remove(oldest.unwrap_or_default());
                }
                waiting.lines.push_back(line);
            }
        }
        waiting.wake();
    }

    /// Queues a line once there is room for it, so that none is lost while nobody else queues any.
    pub async fn push_result(&self, line: M) {
        poll_fn(|context| {
            let mut waiting = self.0.borrow_mut();
            if waiting.lines.len() < MAX_WAITING {
                return Poll::Ready(());
            }
            waiting.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.push(line);
    }

    /// No more lines will come.
    fn close(&self) {
        let mut waiting = self.0.borrow_mut();
        waiting.closed = true;
        waiting.wake();
    }

    /// Encoded lines as soon as there are any; `None` after the last.
    async fn batch(&self) -> Option<Vec<u8>> {
        poll_fn(|context| {
            let mut waiting = self.0.borrow_mut();
            let mut batch = Vec::new();
            while batch.len() < BATCH_BYTES
                && let Some(line) = waiting.lines.pop_front()
            {
                line.encode(&mut batch);
            }
            if !batch.is_empty() {
                if let Some(writer) = waiting.writer.take() {
                    writer.wake();
                }
                return Poll::Ready(Some(batch));
            }
            if waiting.closed {
                return Poll::Ready(None);
            }
            waiting.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Runs `work` and sends what it puts in meanwhile; lines that wait already go first.
    /// `headers` are those of the 200 answer, which is sent with the first line.
    ///
    /// # Errors
    /// The inner error if it is told by status; [`Gone`] if the client left. `work` has been dropped then, which
    /// cancels it.
    pub async fn follow<W: Output>(
        &self,
        work: impl Future<Output = Result<(), Error>>,
        failures: Failures,
        headers: HeaderMap,
        output: &mut W,
    ) -> Result<Result<(), Error>, Gone> {
        let by_status = Cell::new(failures == Failures::ByStatus);
        let mut head = Some(headers);
        let outcome = {
            let work = async {
                let outcome = work.await;
                self.close();
                outcome
            };
            let send = async {
                while let Some(batch) = self.batch().await {
                    if let Some(headers) = head.take() {
                        by_status.set(false);
                        output.head(StatusCode::OK, headers).await?;
                    }
                    output.write(batch).await?;
                }
                Ok(())
            };
            match select(pin!(send), pin!(work)).await {
                Either::Right((Err(error), _)) if by_status.get() => return Ok(Err(error)),
                Either::Right((outcome, send)) => {
                    send.await?;
                    outcome
                }
                // Ends before the work only when the client is gone.
                Either::Left((sent, work)) => {
                    sent?;
                    work.await
                }
            }
        };
        if let Some(headers) = head.take() {
            output.head(StatusCode::OK, headers).await?;
        }
        if let Err(error) = outcome {
            let mut last = Vec::new();
            M::failed(&error).encode(&mut last);
            output.write(last).await?;
        }
        Ok(Ok(()))
    }
}

impl<M> Waiting<M> {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far something is, or a text.
    #[derive(Debug, PartialEq)]
    enum Said {
        Count(&'static str, u64),
        Text(String),
    }

    impl Message for Said {
        fn is_about_the_same_as(&self, other: &Self) -> bool {
            match (self, other) {
                (Self::Count(one, _), Self::Count(other, _)) => one == other,
                (Self::Text(_), Self::Text(_)) => true,
                _ => false,
            }
        }

        fn is_replaced_by(&self, newer: &Self) -> bool {
            matches!((self, newer), (Self::Count(..), Self::Count(_, current)) if *current > 0)
        }

        fn is_progress(&self) -> bool {
            matches!(self, Self::Count(..))
        }

        fn encode(&self, out: &mut Vec<u8>) {
            out.extend(format!("{self:?}\n").into_bytes());
        }

        fn failed(error: &Error) -> Self {
            Self::Text(error.to_string())
        }
    }

    fn waiting(lines: &Lines<Said>) -> Vec<Said> {
        lines.0.borrow_mut().lines.drain(..).collect()
    }

    fn text(text: impl ToString) -> Said {
        Said::Text(text.to_string())
    }

    #[test]
    fn a_newer_count_replaces_the_one_that_waits() {
        let lines = Lines::default();
        for line in [
            Said::Count("a", 1),
            Said::Count("b", 2),
            Said::Count("a", 3),
            Said::Count("b", 0),
            Said::Count("b", 4),
        ] {
            lines.push(line);
        }
        assert_eq!(
            waiting(&lines),
            [
                Said::Count("a", 3),
                Said::Count("b", 2),
                Said::Count("b", 4),
            ]
        );
    }

    #[test]
    fn the_oldest_lines_go_when_too_many_wait() {
        let lines = Lines::default();
        for number in 0..=MAX_WAITING {
            lines.push(text(number));
        }
        let waiting = waiting(&lines);
        assert_eq!(waiting.len(), MAX_WAITING);
        assert_eq!(waiting[0], text(1));
    }

    #[test]
    fn progress_goes_before_anything_else() {
        let lines = Lines::default();
        lines.push(text("first"));
        lines.push(Said::Count("a", 1));
        for number in 1..MAX_WAITING {
            lines.push(text(number));
        }
        let waiting = waiting(&lines);
        assert_eq!(waiting.len(), MAX_WAITING);
        assert_eq!(waiting[..2], [text("first"), text(1)]);
    }
}
