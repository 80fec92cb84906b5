//! One request and its answer; warnings are passed on. Nothing here follows redirects,
//! authenticates or retries.

use std::{cell::RefCell, collections::BTreeSet, pin::pin, time::Duration};

use futures::future::{Either, select};

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{ACCEPT_ENCODING, USER_AGENT, WARNING},
};

use strata_oci::printable;

use crate::{
    Body, Clock, Fault, LentError, Reach, RegistryError, Request, RequestBody, Response, Transport,
    Zone, address,
};

/// Time for a document to come whole. Longer than the silence after which the host takes
/// a peer for gone, so that only who keeps dripping gets here, whom another attempt
/// would not change.
pub(crate) const DOCUMENT_TIME: Duration = Duration::from_secs(35);
/// Bytes of a document for which there is a second more: a large one on a slow line is
/// honest.
const BYTES_PER_SECOND_MORE: usize = 16 * 1024;
/// Bytes of `Warning` headers looked at in one answer, by the distribution spec.
const MAX_WARNING_BYTES: usize = 4096;
/// Different warnings shown in one operation: a registry that varies its text
/// must not flood the screen.
const MAX_WARNINGS: usize = 32;
/// What every request of an operation uses.
pub(crate) struct Wire<'a, T, C> {
    transport: &'a T,
    pub(crate) clock: &'a C,
    user_agent: HeaderValue,
    warn: Box<dyn Fn(String) + 'a>,
    warned: RefCell<BTreeSet<String>>,
}

/// The head of an answer, with the address that gave it.
pub(crate) struct Answer<B> {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: B,
    pub(crate) from: Uri,
    /// What was allowed to be there.
    pub(crate) reach: Reach,
    /// Where that is, and so what the answer may name.
    pub(crate) zone: Zone,
}

impl<'a, T: Transport, C: Clock> Wire<'a, T, C> {
    pub(crate) fn new(
        transport: &'a T,
        clock: &'a C,
        version: &str,
        warn: Box<dyn Fn(String) + 'a>,
    ) -> Self {
        Self {
            transport,
            clock,
            user_agent: HeaderValue::from_str(&format!("strata/{version}"))
                .unwrap_or(HeaderValue::from_static("strata")),
            warn,
            warned: RefCell::default(),
        }
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    pub(crate) async fn send(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: Vec<u8>,
        reach: Reach,
    ) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
        let body = match body.is_empty() {
            true => RequestBody::Empty,
            false => RequestBody::Bytes(body),
        };
        self.transmit(method, uri, headers, body, reach).await
    }

    /// [`Wire::send`] with any body.
    pub(crate) async fn transmit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: RequestBody<T::Body>,
        reach: Reach,
    ) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
        let mut headers = headers.clone();
        headers.insert(USER_AGENT, self.user_agent.clone());
        // Digests cover the body as stored: nothing on the way may re-encode it.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = Request {
            method: method.clone(),
            uri: uri.clone(),
            headers,
            body,
            reach,
        };
        let response = self.transport.send(request).await.map_err(|error| {
            let failure = RegistryError::from(error);
            failure.context(&format!(
                "failed to do request: {} {:?}",
                title(method),
                address::shown(uri)
            ))
        })?;
        let Response {
            status,
            headers,
            body,
            zone,
        } = response;
        self.pass_on_warnings(&headers);
        Ok(Answer {
            status,
            headers,
            body,
            from: uri.clone(),
            reach,
            zone,
        })
    }

    /// Tells people something once.
    pub(crate) fn warn(&self, text: String) {
        let mut warned = self.warned.borrow_mut();
        if warned.len() < MAX_WARNINGS && warned.insert(text.clone()) {
            (self.warn)(text);
        }
    }

    fn pass_on_warnings(&self, headers: &HeaderMap) {
        let mut budget = MAX_WARNING_BYTES;
        for value in headers.get_all(WARNING) {
            let Some(left) = budget.checked_sub(value.len()) else {
                return;
            };
            budget = left;
            if let Some(text) = warning_text(&String::from_utf8_lossy(value.as_bytes())) {
                self.warn(text);
            }
        }
    }
}

/// The text of `299 <agent> "text"`; other codes are about caches.
fn warning_text(value: &str) -> Option<String> {
    let rest = value.trim().strip_prefix("299 ")?;
    let quoted = rest.split_once('"')?.1;
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    let text = printable(&text);
    (!text.is_empty()).then_some(text)
}

/// The method as Go's texts spell it: `Head`, `Get`.
fn title(method: &Method) -> String {
    let mut letters = method.as_str().chars();
    let first: String = letters.by_ref().take(1).collect();
    first + &letters.as_str().to_ascii_lowercase()
}

/// Why a body could not be read whole.
pub(crate) enum ReadError<E> {
    /// Longer than the limit.
    TooLong,
    /// Not whole in the time it has.
    TooSlow,
    /// Cut, or another failure of the transfer.
    Failed(E),
}

/// Reads a whole body of at most `limit` bytes, whatever its headers say, in `time` and
/// what longer its length earns it.
pub(crate) async fn read<B: Body, C: Clock>(
    clock: &C,
    body: &mut B,
    limit: usize,
    time: Duration,
) -> Result<Vec<u8>, ReadError<B::Error>> {
    let mut bytes = Vec::new();
    let mut granted = time;
    let mut over = pin!(clock.sleep(time));
    loop {
        let mut chunk = pin!(body.chunk());
        let chunk = loop {
            match select(chunk.as_mut(), over.as_mut()).await {
                Either::Left((chunk, _)) => break chunk,
                Either::Right(_) => {
                    let more = u64::try_from(bytes.len() / BYTES_PER_SECOND_MORE).unwrap_or(0);
                    let earned = time.saturating_add(Duration::from_secs(more));
                    let rest = earned.saturating_sub(granted);
                    if rest.is_zero() {
                        return Err(ReadError::TooSlow);
                    }
                    granted = earned;
                    over.set(clock.sleep(rest));
                }
            }
        };
        match chunk.map_err(ReadError::Failed)? {
            None => return Ok(bytes),
            Some(chunk) if chunk.len() > limit - bytes.len() => return Err(ReadError::TooLong),
            Some(chunk) => bytes.extend_from_slice(&chunk),
        }
    }
}

/// A body that drips.
pub(crate) fn too_slow<E: LentError>(from: &Uri) -> RegistryError<E> {
    RegistryError::open(Fault::TooSlow {
        from: address::shown(from),
        seconds: DOCUMENT_TIME.as_secs(),
    })
}

#[cfg(test)]
impl Answer<()> {
    /// An answer of nobody.
    pub(crate) fn of_test(status: StatusCode, headers: HeaderMap) -> Self {
        Self {
            status,
            headers,
            body: (),
            from: Uri::from_static("https://r/"),
            reach: Reach::Any,
            zone: Zone::Public,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_warnings_for_people_are_shown() {
        for (value, expected) in [
            (r#"299 - "use v2 \"soon\"""#, Some(r#"use v2 "soon""#)),
            (r#"299 proxy:80 "a" "date""#, Some("a")),
            ("299 - \"a\tb\"", Some("a b")),
            (r#"110 - "stale""#, None),
            (r#"299 - """#, None),
            ("299 -", None),
        ] {
            assert_eq!(warning_text(value).as_deref(), expected, "{value}");
        }
    }
}
