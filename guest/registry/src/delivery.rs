//! Requests that carry something to a registry, and the addresses it names for
//! them of the distribution specification. Nothing here retries.

use http::{HeaderMap, Method, StatusCode, Uri, header::LOCATION};

use crate::{
    Clock, Fault, LentError, Reach, RedirectFault, RegistryError, Repository, RequestBody,
    Transport, address,
    redirect::{self, Destination, OF_WRITES},
    wire::Answer,
};

/// A request, but for its address and body.
pub(crate) struct Delivery<'d> {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// The statuses that are an answer; every other one is a failure.
    pub(crate) accepted: &'d [StatusCode],
    /// What the token must allow.
    pub(crate) scopes: &'d [String],
}

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// One logical request to `to`. Credentials and registry headers go to the
    /// registry itself only. `body` is called for every time the request is sent:
    /// a stream cannot be sent twice.
    pub(crate) async fn deliver(
        &self,
        delivery: &Delivery<'_>,
        to: &Destination,
        mut body: impl AsyncFnMut() -> Result<RequestBody<T::Body>, T::Error>,
    ) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
        let lead = |answer: &Answer<T::Body>, location: &str| {
            self.named(answer, location).ok_or(RedirectFault::Unusable)
        };
        let send = async |to: &Destination| self.deliver_once(delivery, to, &mut body).await;
        let answer = redirect::follow(to.clone(), OF_WRITES, lead, send).await?;
        match OF_WRITES.contains(&answer.status) {
            true => Err(unusable(&answer.from)),
            false => Ok(answer),
        }
    }

    async fn deliver_once(
        &self,
        delivery: &Delivery<'_>,
        to: &Destination,
        body: &mut impl AsyncFnMut() -> Result<RequestBody<T::Body>, T::Error>,
    ) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
        let Delivery {
            method,
            headers,
            accepted,
            scopes,
        } = delivery;
        let accepted = [accepted, OF_WRITES].concat();
        let Destination { uri, reach } = to;
        if !self.origin.is_at(uri) {
            let body = body().await?;
            let sent = self.wire.transmit(method, uri, headers, body, *reach);
            let answer = sent.await?;
            return match accepted.contains(&answer.status) {
                true => Ok(answer),
                false => Err(self.refusal(method, answer).await),
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
    pub(crate) fn own(&self, uri: Uri) -> Destination {
        let reach = Reach::Any;
        Destination { uri, reach }
    }

    /// Where an answer says to go on; `None` if it does not say.
    pub(crate) fn location<B>(
        &self,
        answer: &Answer<B>,
    ) -> Result<Option<Destination>, RegistryError<T::Error>> {
        let Some(location) = answer.headers.get(LOCATION) else {
            return Ok(None);
        };
        let named = self.named(answer, &address::written(location));
        named.map(Some).ok_or_else(|| unusable(&answer.from))
    }

    /// The address that an answer names, if it is one.
    fn named<B>(&self, answer: &Answer<B>, location: &str) -> Option<Destination> {
        let uri = locate(&answer.from, location)?;
        Some(match self.origin.is_at(&uri) {
            true => self.own(uri),
            false => Destination::named(uri, answer),
        })
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
fn unusable<E: LentError>(from: &Uri) -> RegistryError<E> {
    RegistryError::open(Fault::UnusableLocation {
        from: address::shown(from),
    })
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
