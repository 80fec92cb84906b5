//! Responses that grow: messages of the jsonmessage format, and work that sends them while it runs
//! (§3 of the contract).
//!
//! Work reports without waiting, clients read as slowly as they like. [`Lines`] stands between them and
//! stays small: a layer's waiting byte count is replaced by its newer one, and there is an upper limit.

use std::{
    borrow::Cow,
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

use crate::{
    failure::Failure,
    output::{Gone, Output},
};

/// Bytes sent by one write, more or less: enough to make the call worth it.
const BATCH_BYTES: usize = 32 * 1024;

/// The most lines that wait. One pull of an image with 500 layers, all of which say everything while the
/// client does not read, stays below; past it the oldest go, which cost a display nothing but history.
const MAX_WAITING: usize = 4096;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    status: Cow<'static, str>,
    /// Present (even empty) iff the message owns a line of the display.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    detail: Option<Detail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// How far a layer is; empty members are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) total: u64,
    /// Shows no numbers: the layer is done.
    #[serde(rename = "hidecounts", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hide_counts: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Line {
    /// A message on its own.
    pub(crate) fn plain(status: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: status.into(),
            detail: None,
            id: None,
        }
    }

    /// A message on its own that names something.
    pub(crate) fn about(id: impl Into<String>, status: impl Into<Cow<'static, str>>) -> Self {
        Self {
            id: Some(id.into()),
            ..Self::plain(status)
        }
    }

    /// An update of the line of a layer.
    pub(crate) fn layer(id: &str, status: impl Into<Cow<'static, str>>, detail: Detail) -> Self {
        Self {
            detail: Some(detail),
            ..Self::about(id, status)
        }
    }

    /// Whether it only counts bytes, so that a newer one of its layer makes it worthless.
    fn is_count(&self) -> bool {
        self.detail.is_some_and(|detail| detail.current > 0)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing strings and numbers to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut *out, self);
        out.extend_from_slice(b"\r\n");
    }
}

/// Lines on their way to the client.
#[derive(Default)]
pub(crate) struct Lines(RefCell<Waiting>);

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    closed: bool,
    reader: Option<Waker>,
}

impl Lines {
    /// Queues a line; never waits.
    pub(crate) fn push(&self, line: Line) {
        let mut waiting = self.0.borrow_mut();
        let newest = waiting.lines.iter_mut().rev().find(|old| old.id == line.id);
        match newest {
            Some(old) if line.is_count() && old.is_count() => *old = line,
            _ => {
                if waiting.lines.len() == MAX_WAITING {
                    waiting.lines.pop_front();
                }
                waiting.lines.push_back(line);
            }
        }
        waiting.wake();
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

/// Runs `work` and sends what it puts into `lines` meanwhile. `headers` are those of the 200 answer.
///
/// A failure before the first byte is returned, for the caller to answer by status, even if lines wait;
/// later it is sent as the last message.
///
/// # Errors
/// [`Gone`]; `work` has been dropped then, which cancels it.
pub(crate) async fn run<T, W: Output>(
    work: impl Future<Output = Result<T, Error>>,
    lines: &Lines,
    headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    let started = Cell::new(false);
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
                    started.set(true);
                    output.head(StatusCode::OK, headers).await?;
                }
                output.write(batch).await?;
            }
            Ok(())
        };
        match select(pin!(work), pin!(send)).await {
            Either::Left((Err(error), _)) if !started.get() => return Ok(Err(error.into())),
            Either::Left((outcome, send)) => {
                send.await?;
                outcome
            }
            // Ends before the work only when the client is gone.
            Either::Right((sent, work)) => {
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

    let message = &error.to_string();
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

    fn waiting(lines: &Lines) -> Vec<String> {
        let waiting = lines.0.borrow();
        waiting
            .lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap())
            .collect()
    }

    fn count(current: u64) -> Detail {
        Detail {
            current,
            total: 9,
            ..Detail::default()
        }
    }

    #[test]
    fn a_newer_count_replaces_the_one_that_waits() {
        let lines = Lines::default();
        lines.push(Line::layer("a", "Downloading", count(1)));
        lines.push(Line::layer("b", "Downloading", count(2)));
        lines.push(Line::layer("a", "Downloading", count(3)));
        lines.push(Line::layer("b", "Retrying in 1 second", Detail::default()));
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
}
