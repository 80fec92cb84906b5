//! Responses that grow: work that sends messages while it runs (§3 of the contract).
//!
//! Work reports without waiting, clients read as slowly as they like. [`Lines`] stands between them and
//! stays small: a layer's waiting byte count is replaced by its newer one, and there is an upper limit.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    task::{Poll, Waker},
};

use futures::future::{Either, select};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use strata_engine::Error;
use strata_oci::printable;

use crate::{
    failure::Failure,
    line::Line,
    output::{Gone, Output},
};

/// Bytes sent by one write, more or less: enough to make the call worth it.
const BATCH_BYTES: usize = 32 * 1024;

/// The most lines that wait. One pull of an image with 500 layers, all of which say everything while the
/// client does not read, stays below; past it the oldest go, those of layers first, which cost a display
/// nothing but history.
const MAX_WAITING: usize = 4096;

/// Lines on their way to the client.
#[derive(Default)]
pub(crate) struct Lines(RefCell<Waiting>);

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    closed: bool,
    reader: Option<Waker>,
    /// Waits for room.
    writer: Option<Waker>,
}

/// How a client learns of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failures {
    /// By status, as long as no byte was sent, even if lines wait.
    ByStatus,
    /// By the last message, always.
    InStream,
}

impl Lines {
    /// Queues a line; never waits.
    pub(crate) fn push(&self, line: Line) {
        let mut waiting = self.0.borrow_mut();
        let mut newest_first = waiting.lines.iter_mut().rev();
        match newest_first.find(|old| old.is_about_the_same_as(&line)) {
            Some(old) if old.is_replaced_by(&line) => *old = line,
            _ => {
                if waiting.lines.len() == MAX_WAITING {
                    let oldest = waiting.lines.iter().position(Line::is_layer);
                    waiting.lines.remove(oldest.unwrap_or_default());
                }
                waiting.lines.push_back(line);
            }
        }
        waiting.wake();
    }

    /// Queues a line once there is room for it, so that none is lost while nobody else queues any.
    pub(crate) async fn push_result(&self, line: Line) {
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
}

impl Waiting {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Runs `work` and sends what it puts into `lines` meanwhile; lines that wait already go first.
/// `headers` are those of the 200 answer, which is sent with the first line.
///
/// A failure that is told by status is returned, for the caller to answer.
///
/// # Errors
/// [`Gone`]; `work` has been dropped then, which cancels it.
pub(crate) async fn run<W: Output>(
    work: impl Future<Output = Result<(), Error>>,
    lines: &Lines,
    failures: Failures,
    headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    let by_status = Cell::new(failures == Failures::ByStatus);
    let mut head = Some(headers);
    let outcome = {
        let work = async {
            let outcome = work.await;
            lines.close();
            outcome
        };
        let send = async {
            while let Some(batch) = lines.batch().await {
                if let Some(headers) = head.take() {
                    by_status.set(false);
                    output.head(StatusCode::OK, headers).await?;
                }
                output.write(batch).await?;
            }
            Ok(())
        };
        match select(pin!(send), pin!(work)).await {
            Either::Right((Err(error), _)) if by_status.get() => return Ok(Err(error.into())),
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
        output.write(last_message(&error)).await?;
    }
    Ok(Ok(()))
}

/// Only `errorDetail` counts as failure for the CLI; `error` is for older clients.
fn last_message(error: &Error) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Last<'a> {
        error_detail: ErrorDetail<'a>,
        error: &'a str,
    }
    #[derive(Serialize)]
    struct ErrorDetail<'a> {
        message: &'a str,
    }

    let message = &printable(&error.to_string());
    let last = Last {
        error_detail: ErrorDetail { message },
        error: message,
    };
    // Strings can always be written.
    let mut bytes = serde_json::to_vec(&last).unwrap_or_default();
    bytes.extend_from_slice(b"\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Detail;

    fn waiting(lines: &Lines) -> Vec<String> {
        let waiting = lines.0.borrow();
        waiting
            .lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap())
            .collect()
    }

    fn count(current: u64) -> Detail {
        Detail::count(current, 9)
    }

    #[test]
    fn a_newer_count_replaces_the_one_that_waits() {
        let lines = Lines::default();
        lines.push(Line::layer("a", "Downloading", count(1)));
        lines.push(Line::layer("b", "Downloading", count(2)));
        lines.push(Line::layer("a", "Downloading", count(3)));
        lines.push(Line::layer("b", "Retrying in 1 second", Detail::PLAIN));
        lines.push(Line::layer("b", "Downloading", count(4)));
        let counted = |id: &str, current: u64| {
            format!(
                r#"{{"status":"Downloading","progressDetail":{{"current":{current},"total":9}},"id":"{id}"}}"#
            )
        };
        assert_eq!(
            waiting(&lines),
            [
                counted("a", 3),
                counted("b", 2),
                r#"{"status":"Retrying in 1 second","progressDetail":{},"id":"b"}"#.to_owned(),
                counted("b", 4),
            ]
        );
    }

    #[test]
    fn the_oldest_lines_go_when_too_many_wait() {
        let lines = Lines::default();
        for number in 0..=MAX_WAITING {
            lines.push(Line::plain(number.to_string()));
        }
        let waiting = waiting(&lines);
        assert_eq!(waiting.len(), MAX_WAITING);
        assert_eq!(waiting[0], r#"{"status":"1"}"#);
    }

    #[test]
    fn layers_go_before_anything_else() {
        let lines = Lines::default();
        lines.push(Line::plain("first"));
        for number in 0..MAX_WAITING {
            lines.push(Line::layer(&number.to_string(), "Waiting", Detail::PLAIN));
        }
        let waiting = waiting(&lines);
        assert_eq!(waiting.len(), MAX_WAITING);
        assert_eq!(waiting[0], r#"{"status":"first"}"#);
        assert!(waiting[1].ends_with(r#""id":"1"}"#), "{}", waiting[1]);
    }
}
