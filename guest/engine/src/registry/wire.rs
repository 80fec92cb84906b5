//! One request and its answer: redirects are followed, warnings are passed on.
//! Nothing here authenticates or retries.

use std::{cell::RefCell, collections::BTreeSet, pin::pin, time::Duration};

use futures::future::{Either, select};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, LOCATION, RANGE, USER_AGENT, WARNING},
};

use strata_oci::printable;

use super::{
    address,
    failure::{Again, Failure},
};
use crate::{
    Body, Clock, Error, Event, Progress, Reach, Request, RequestBody, Response, Transport, Zone,
};

/// Redirects followed for one request: Go's number. Registries use one or two.
pub(crate) const MAX_REDIRECTS: usize = 10;
/// Time for a document to come whole. Longer than the silence after which the host takes
/// a peer for gone, so that only who keeps dripping gets here, whom another attempt
/// would not change.
pub(super) const DOCUMENT_TIME: Duration = Duration::from_secs(35);
/// Bytes of a document for which there is a second more: a large one on a slow line is
/// honest.
const BYTES_PER_SECOND_MORE: usize = 16 * 1024;
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
    /// What was allowed to be there.
    reach: Reach,
    /// Where that is, and so what the answer may name.
    pub(super) zone: Zone,
}

/// An address, and who may be there.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) uri: Uri,
    pub(super) reach: Reach,
}

impl Destination {
    /// An address that an answer names: where the answer is from, or who knows where.
    pub(super) fn named<B>(uri: Uri, by: &Answer<B>) -> Self {
        let reach = match address::same_origin(&uri, &by.from) {
            true => by.reach,
            false => Reach::From(by.zone),
        };
        Self { uri, reach }
    }
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
        reach: Reach,
    ) -> Result<Answer<T::Body>, Failure> {
        let body = match body.is_empty() {
            true => RequestBody::Empty,
            false => RequestBody::Bytes(body),
        };
        self.transmit(method, uri, headers, body, reach).await
    }

    /// [`Wire::send`] with any body.
    pub(super) async fn transmit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: RequestBody<T::Body>,
        reach: Reach,
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
            reach,
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

    /// Sends a GET or HEAD and follows its redirects. From the first other
    /// origin on, credentials and registry headers stay behind, and whoever redirects
    /// chooses the address.
    pub(super) async fn follow(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        reach: Reach,
    ) -> Result<Answer<T::Body>, Failure> {
        let mut headers = headers.clone();
        let mut seen = vec![uri.clone()];
        let mut answer = self.send(method, uri, &headers, Vec::new(), reach).await?;
        while let Some(location) = redirection(&answer) {
            let from = &answer.from;
            let refuse = |why: &str| {
                Err(Failure {
                    error: Error::Unavailable(format!("{} redirects {why}", address::shown(from))),
                    again: Again::Never,
                    status: Some(answer.status),
                    complete: false,
                    code: None,
                    absent_at: None,
                })
            };
            let Some(target) = address::resolve(from, &location) else {
                return refuse("to an address that cannot be used");
            };
            if from.scheme_str() == Some("https") && target.scheme_str() == Some("http") {
                let target = address::shown(&target);
                return refuse(&format!(
                    "from https to plain http, {target}, which is refused"
                ));
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
            let Destination { uri, reach } = Destination::named(target, &answer);
            answer = self.send(method, &uri, &headers, Vec::new(), reach).await?;
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
    Some(address::written(location))
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
pub(super) enum ReadError {
    /// Longer than the limit.
    TooLong,
    /// Not whole in the time it has.
    TooSlow,
    /// Cut, or another failure of the transfer.
    Failed(Error),
}

/// Reads a whole body of at most `limit` bytes, whatever its headers say, in `time` and
/// what longer its length earns it.
pub(super) async fn read<B: Body, C: Clock>(
    clock: &C,
    body: &mut B,
    limit: usize,
    time: Duration,
) -> Result<Vec<u8>, ReadError> {
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
pub(super) fn too_slow(from: &Uri) -> Failure {
    Failure::over(format!(
        "{} takes more than {} seconds for a document, which is the limit",
        address::shown(from),
        DOCUMENT_TIME.as_secs()
    ))
}

#[cfg(test)]
impl Answer<()> {
    /// An answer of nobody.
    pub(super) fn of_test(status: StatusCode, headers: HeaderMap) -> Self {
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
    fn who_names_an_address_decides_what_may_be_there() {
        let mut answer = Answer::of_test(StatusCode::OK, HeaderMap::new());
        answer.zone = Zone::Private;
        for (address, reach) in [
            ("https://r/x", Reach::Any),
            ("https://R:443/x", Reach::Any),
            ("https://r:444/x", Reach::From(Zone::Private)),
            ("http://r/x", Reach::From(Zone::Private)),
            ("https://s/x", Reach::From(Zone::Private)),
        ] {
            let named = Destination::named(address.parse().unwrap(), &answer);
            assert_eq!(named.reach, reach, "{address}");
        }
        answer.reach = Reach::PUBLIC;
        let named = Destination::named("https://r/x".parse().unwrap(), &answer);
        assert_eq!(named.reach, Reach::PUBLIC);
    }

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
