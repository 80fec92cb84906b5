//! Redirects: the one loop that follows them, and what may be at an address that an answer names.

use http::{
    HeaderMap, HeaderName, Method, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, LOCATION, RANGE, USER_AGENT},
};

use crate::{
    Clock, Fault, LentError, Reach, RedirectFault, RegistryError, Transport, address,
    wire::{Answer, Wire},
};

/// Redirects followed for one request: Go's number. Registries use one or two.
pub const MAX_REDIRECTS: usize = 10;

/// The redirects of a request without a body.
pub(crate) const OF_READS: &[StatusCode] = &[
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];
/// The redirects that keep method and body; the others turn into a GET.
pub(crate) const OF_WRITES: &[StatusCode] = &[
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];
/// The request headers another host may see after a redirect: those without
/// which the answer would be another one.
const HEADERS_FOR_STRANGERS: [HeaderName; 4] = [ACCEPT, ACCEPT_ENCODING, RANGE, USER_AGENT];

/// An address, and who may be there.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) uri: Uri,
    pub(crate) reach: Reach,
}

impl Destination {
    /// An address that an answer names: where the answer is from, or who knows where.
    pub(crate) fn named<B>(uri: Uri, by: &Answer<B>) -> Self {
        let reach = match address::same_origin(&uri, &by.from) {
            true => by.reach,
            false => Reach::From(by.zone),
        };
        Self { uri, reach }
    }
}

/// Sends a request with `send`, and again wherever its answers lead: `lead` says what their
/// `Location` means, if it is one of the redirects in `statuses`.
pub(crate) async fn follow<B, E: LentError>(
    mut to: Destination,
    statuses: &[StatusCode],
    mut lead: impl FnMut(&Answer<B>, &str) -> Result<Destination, RedirectFault>,
    mut send: impl AsyncFnMut(&Destination) -> Result<Answer<B>, RegistryError<E>>,
) -> Result<Answer<B>, RegistryError<E>> {
    let mut followed = 0;
    loop {
        let answer = send(&to).await?;
        let location = answer.headers.get(LOCATION);
        let Some(location) = location.filter(|_| statuses.contains(&answer.status)) else {
            return Ok(answer);
        };
        let next = match followed < MAX_REDIRECTS {
            true => lead(&answer, &address::written(location)),
            false => Err(RedirectFault::TooOften),
        };
        to = next.map_err(|why| RegistryError {
            status: Some(answer.status),
            ..RegistryError::open(Fault::Redirect {
                from: address::shown(&answer.from),
                why,
            })
        })?;
        followed += 1;
    }
}

/// Where a redirect leads, which is not out of TLS.
pub(crate) fn target(from: &Uri, location: &str) -> Result<Uri, RedirectFault> {
    let to = address::resolve(from, location).ok_or(RedirectFault::Unusable)?;
    match from.scheme_str() == Some("https") && to.scheme_str() == Some("http") {
        true => Err(RedirectFault::Downgrade { to }),
        false => Ok(to),
    }
}

impl<T: Transport, C: Clock> Wire<'_, T, C> {
    /// Sends a GET or HEAD and follows its redirects. From the first other
    /// origin on, credentials and registry headers stay behind, and whoever redirects
    /// chooses the address.
    pub(crate) async fn follow(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        reach: Reach,
    ) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
        let first = Destination {
            uri: uri.clone(),
            reach,
        };
        let mut seen = vec![uri.clone()];
        let lead = |answer: &Answer<T::Body>, location: &str| {
            let to = target(&answer.from, location)?;
            if seen.contains(&to) {
                return Err(RedirectFault::Circle);
            }
            seen.push(to.clone());
            Ok(Destination::named(to, answer))
        };
        let mut headers = headers.clone();
        let mut at = uri.clone();
        follow(first, OF_READS, lead, async |to: &Destination| {
            if !address::same_origin(&at, &to.uri) {
                headers = HEADERS_FOR_STRANGERS
                    .iter()
                    .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
                    .collect();
            }
            at = to.uri.clone();
            let (uri, reach) = (&to.uri, to.reach);
            self.send(method, uri, &headers, Vec::new(), reach).await
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use crate::Zone;

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
}
