//! Requests that carry something to a registry, and the addresses it names for
//! them (registry-protocol.md §6). Nothing here retries.

use http::{HeaderMap, Method, StatusCode, Uri, header::LOCATION};

use super::{
    address,
    failure::{Again, Failure},
    repository::Repository,
    wire::{Answer, Destination, MAX_REDIRECTS},
};
use crate::{Clock, Error, Reach, RequestBody, Result, Transport};

/// The redirects that keep method and body; the others turn into a GET.
const REDIRECTS: [StatusCode; 2] = [
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

/// A request, but for its address and body.
pub(super) struct Delivery<'d> {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    /// The statuses that are an answer; every other one is a failure.
    pub(super) accepted: &'d [StatusCode],
    /// What the token must allow.
    pub(super) scopes: &'d [String],
}

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// One logical request to `to`. Credentials and registry headers go to the
    /// registry itself only. `body` is called for every time the request is sent:
    /// a stream cannot be sent twice.
    pub(super) async fn deliver(
        &self,
        delivery: &Delivery<'_>,
        to: &Destination,
        mut body: impl AsyncFnMut() -> Result<RequestBody<T::Body>>,
    ) -> Result<Answer<T::Body>, Failure> {
        let mut to = to.clone();
        let mut redirects = 0;
        loop {
            let answer = self.deliver_once(delivery, &to, &mut body).await?;
            if !REDIRECTS.contains(&answer.status) {
                return Ok(answer);
            }
            redirects += 1;
            let target = match redirects > MAX_REDIRECTS {
                true => None,
                false => self.location(&answer)?,
            };
            to = target.ok_or_else(|| unusable(&answer.from))?;
        }
    }

    async fn deliver_once(
        &self,
        delivery: &Delivery<'_>,
        to: &Destination,
        body: &mut impl AsyncFnMut() -> Result<RequestBody<T::Body>>,
    ) -> Result<Answer<T::Body>, Failure> {
        let Delivery {
            method,
            headers,
            accepted,
            scopes,
        } = delivery;
        let accepted = [accepted, &REDIRECTS[..]].concat();
        let Destination { uri, reach } = to;
        if !self.origin.is_at(uri) {
            let body = body().await?;
            let sent = self.wire.transmit(method, uri, headers, body, *reach);
            let answer = sent.await?;
            return match accepted.contains(&answer.status) {
                true => Ok(answer),
                false => Err(self.verdict(method, answer).await),
            };
        }
        let send = async |authorization| {
            let mut headers = headers.clone();
            headers.extend(self.extra.clone());
            if let Some(authorization) = authorization {
                headers.insert(http::header::AUTHORIZATION, authorization);
            }
            let body = body().await?;
            self.wire
                .transmit(method, uri, &headers, body, *reach)
                .await
        };
        self.authorized(&self.origin, method, scopes, &accepted, send)
            .await
    }

    /// An address of the registry itself, which a person named.
    pub(super) fn own(&self, uri: Uri) -> Destination {
        let reach = Reach::Any;
        Destination { uri, reach }
    }

    /// Where an answer says to go on; `None` if it does not say.
    pub(super) fn location<B>(&self, answer: &Answer<B>) -> Result<Option<Destination>, Failure> {
        let Some(location) = answer.headers.get(LOCATION) else {
            return Ok(None);
        };
        match locate(&answer.from, &address::written(location)) {
            Some(uri) if self.origin.is_at(&uri) => Ok(Some(self.own(uri))),
            Some(uri) => Ok(Some(Destination::named(uri, answer))),
            None => Err(unusable(&answer.from)),
        }
    }
}

/// The address `location` means in an answer from `from`; its query stays as it
/// is. `None` if it is none, or leads from https to plain http on another host.
fn locate(from: &Uri, location: &str) -> Option<Uri> {
    let scheme = from.scheme_str()?;
    let location = location.trim();
    let target = match starts_with_host(location) {
        // As containerd reads it.
        true => address::web(&format!("{scheme}://{location}"))?,
        false => address::resolve(from, location)?,
    };
    if scheme != "https" || target.scheme_str() != Some("http") {
        return Some(target);
    }
    // A proxy that ends TLS makes the registry write links to itself as plain
    // http. Content and token stay encrypted: the host answers https, it just did.
    let rest = target.path_and_query()?;
    (from.authority() == target.authority())
        .then(|| address::web(&format!("https://{}{rest}", from.authority()?)))
        .flatten()
}

/// Whether `location` is `host/path`, without a scheme.
fn starts_with_host(location: &str) -> bool {
    let Some((host, _)) = location.split_once('/') else {
        return false;
    };
    let is_scheme = host.ends_with(':');
    let is_folder = host.is_empty() || host == "." || host == ".." || host.contains('?');
    !is_scheme && !is_folder && (host.contains(['.', ':']) || host == "localhost")
}

/// The registry goes on at an address nobody can use.
fn unusable(from: &Uri) -> Failure {
    Failure {
        again: Again::Never,
        complete: false,
        ..Failure::last(Error::Unavailable(format!(
            "{} goes on at an address that cannot be used",
            address::shown(from)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_in_every_spelling_and_never_leave_tls_for_another_host() {
        let from: Uri = "https://r.example:5000/v2/a/blobs/uploads/"
            .parse()
            .unwrap();
        for (location, expected) in [
            (
                "/v2/a/blobs/uploads/1?_state=x%3D",
                Some("https://r.example:5000/v2/a/blobs/uploads/1?_state=x%3D"),
            ),
            (
                "1?_state=x",
                Some("https://r.example:5000/v2/a/blobs/uploads/1?_state=x"),
            ),
            (
                "?u=1",
                Some("https://r.example:5000/v2/a/blobs/uploads/?u=1"),
            ),
            (
                "https://store.example/b?sig=a&b=c",
                Some("https://store.example/b?sig=a&b=c"),
            ),
            (
                "r.example:5000/v2/up/1",
                Some("https://r.example:5000/v2/up/1"),
            ),
            ("localhost/up/1", Some("https://localhost/up/1")),
            (
                "http://r.example:5000/v2/up/1?s=1",
                Some("https://r.example:5000/v2/up/1?s=1"),
            ),
            ("http://store.example/up/1", None),
            ("ftp://r.example:5000/up", None),
            ("https://user@r.example:5000/up", None),
        ] {
            let located = locate(&from, location).map(|uri| uri.to_string());
            assert_eq!(located.as_deref(), expected, "{location}");
        }
    }
}
