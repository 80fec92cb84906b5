//! One request and its answer: redirects are followed, warnings are passed on.
//! Nothing here authenticates or retries.

use std::{cell::RefCell, collections::BTreeSet};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, LOCATION, RANGE, USER_AGENT, WARNING},
};

use super::{
    address,
    failure::{Again, Failure},
};
use crate::{
    Body, Clock, Error, Event, Progress, Reach, Request, RequestBody, Response, Transport,
};

/// Redirects followed for one request: Go's number. Registries use one or two.
const MAX_REDIRECTS: usize = 10;
/// Bytes of `Warning` headers looked at in one answer, by the distribution spec.
const MAX_WARNING_BYTES: usize = 4096;
/// Different warnings shown in one operation: a registry that varies its text
/// must not flood the screen.
const MAX_WARNINGS: usize = 32;
/// The request headers another host may see after a redirect: those without
/// which the answer would be another one.
const HEADERS_FOR_STRANGERS: [HeaderName; 4] = [ACCEPT, ACCEPT_ENCODING, RANGE, USER_AGENT];

/// What every request of an operation uses.
pub(super) struct Wire<'a, T, C> {
    transport: &'a T,
    pub(super) clock: &'a C,
    progress: &'a dyn Progress,
    user_agent: HeaderValue,
    warned: RefCell<BTreeSet<String>>,
}

/// The head of an answer, with the address that gave it.
pub(super) struct Answer<B> {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: B,
    pub(super) from: Uri,
}

impl<'a, T: Transport, C: Clock> Wire<'a, T, C> {
    pub(super) fn new(
        transport: &'a T,
        clock: &'a C,
        progress: &'a dyn Progress,
        version: &str,
    ) -> Self {
        Self {
            transport,
            clock,
            progress,
            user_agent: HeaderValue::from_str(&format!("strata/{version}"))
                .unwrap_or(HeaderValue::from_static("strata")),
            warned: RefCell::default(),
        }
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    pub(super) async fn send(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer<T::Body>, Failure> {
        let body = match body.is_empty() {
            true => RequestBody::Empty,
            false => RequestBody::Bytes(body),
        };
        self.transmit(method, uri, headers, body).await
    }

    /// [`Wire::send`] with any body.
    pub(super) async fn transmit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: RequestBody<T::Body>,
    ) -> Result<Answer<T::Body>, Failure> {
        let mut headers = headers.clone();
        headers.insert(USER_AGENT, self.user_agent.clone());
        // Digests cover the body as stored: nothing on the way may re-encode it.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = Request {
            method: method.clone(),
            uri: uri.clone(),
            headers,
            body,
            reach: Reach::Any,
        };
        let response = self.transport.send(request).await.map_err(|error| {
            let failure = Failure::from(error);
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
        } = response;
        self.pass_on_warnings(&headers);
        Ok(Answer {
            status,
            headers,
            body,
            from: uri.clone(),
        })
    }

    /// Sends a GET or HEAD and follows its redirects. From the first other
    /// origin on, credentials and registry headers stay behind.
    pub(super) async fn follow(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Answer<T::Body>, Failure> {
        let mut headers = headers.clone();
        let mut seen = vec![uri.clone()];
        let mut answer = self.send(method, uri, &headers, Vec::new()).await?;
        while let Some(location) = redirection(&answer) {
            let from = &answer.from;
            let refuse = |why: &str| {
                Err(Failure {
                    error: Error::Unavailable(format!("{} redirects {why}", address::shown(from))),
                    again: Again::Never,
                    status: Some(answer.status),
                    complete: false,
                    code: None,
                })
            };
            let Some(target) = address::resolve(from, &location) else {
                return refuse("to an address that cannot be used");
            };
            if from.scheme_str() == Some("https") && target.scheme_str() == Some("http") {
                return refuse("from https to plain http, which is refused");
            }
            if seen.contains(&target) {
                return refuse("in a circle");
            }
            if seen.len() > MAX_REDIRECTS {
                return refuse("too often");
            }
            if !address::same_origin(from, &target) {
                headers = HEADERS_FOR_STRANGERS
                    .iter()
                    .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
                    .collect();
            }
            seen.push(target.clone());
            answer = self.send(method, &target, &headers, Vec::new()).await?;
        }
        Ok(answer)
    }

    /// Tells people something once.
    pub(super) fn warn(&self, text: String) {
        let mut warned = self.warned.borrow_mut();
        if warned.len() < MAX_WARNINGS && warned.insert(text.clone()) {
            self.progress.report(Event::Warning(text));
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

/// The `Location` of an answer that is a redirect.
fn redirection<B>(answer: &Answer<B>) -> Option<String> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers.get(LOCATION)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
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

/// `text` on one line and without control characters, which could drive a
/// terminal.
pub(crate) fn printable(text: &str) -> String {
    let clean = text.replace(|character: char| character.is_control(), " ");
    clean.trim().to_owned()
}

/// The method as Go's texts spell it: `Head`, `Get`.
fn title(method: &Method) -> String {
    let mut letters = method.as_str().chars();
    let first: String = letters.by_ref().take(1).collect();
    first + &letters.as_str().to_ascii_lowercase()
}

/// Why a body could not be read whole.
pub(super) enum ReadError {
    /// Longer than the limit.
    TooLong,
    /// Cut, or another failure of the transfer.
    Failed(Error),
}

/// Reads a whole body of at most `limit` bytes, whatever its headers say.
pub(super) async fn read<B: Body>(body: &mut B, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await.map_err(ReadError::Failed)? {
        if chunk.len() > limit - bytes.len() {
            return Err(ReadError::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
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
