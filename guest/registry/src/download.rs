//! What a URL that a person gave answers with. No credentials are sent, ever.

use http::{HeaderMap, Method, StatusCode, Uri};

use crate::{
    Body, Clock, Fault, Reach, RedirectFault, RegistryError, Transport, address,
    redirect::{self, Destination},
    refusal,
    wire::{Answer, Wire},
};

/// An answer that is no redirect.
pub struct Download<B> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: B,
    /// The address that answers.
    pub from: Uri,
}

/// Why there is no answer.
pub struct DownloadError<E> {
    /// What went wrong.
    pub fault: Fault<E>,
    /// The address that was asked last.
    pub at: Uri,
    /// Who redirected there.
    pub redirected_by: Option<Uri>,
}

impl<B> Download<B> {
    /// Asks for `uri` and follows its redirects. They may lead to public places only, and not out
    /// of TLS, unless they `may_lead_anywhere`.
    ///
    /// # Errors
    /// What the transport says, and redirects that are not followed.
    pub async fn get<T: Transport<Body = B>, C: Clock>(
        transport: &T,
        clock: &C,
        version: &str,
        uri: &Uri,
        may_lead_anywhere: bool,
    ) -> Result<Self, DownloadError<T::Error>> {
        let wire = Wire::new(transport, clock, version, Box::new(|_| {}));
        let (mut at, mut redirected_by) = (None, None);
        let lead = |answer: &Answer<B>, location: &str| {
            let from = &answer.from;
            let to = match redirect::target(from, location) {
                Err(RedirectFault::Downgrade { to }) if may_lead_anywhere => to,
                to => to?,
            };
            let is_public = !may_lead_anywhere && !is_same_place(from, &to);
            let reach = match is_public {
                true => Reach::PUBLIC,
                false => answer.reach,
            };
            Ok(Destination { uri: to, reach })
        };
        let first = Destination {
            uri: uri.clone(),
            reach: Reach::Any,
        };
        let answer = redirect::follow(first.clone(), redirect::OF_READS, lead, async |to| {
            redirected_by = at.replace(to.uri.clone());
            let headers = HeaderMap::new();
            wire.send(&Method::GET, &to.uri, &headers, Vec::new(), to.reach)
                .await
        });
        let answer: Result<_, RegistryError<T::Error>> = answer.await;
        match answer {
            Ok(Answer {
                status,
                headers,
                body,
                from,
                ..
            }) => Ok(Self {
                status,
                headers,
                body,
                from,
            }),
            Err(error) => Err(DownloadError {
                fault: *error.fault,
                at: at.unwrap_or(first.uri),
                redirected_by,
            }),
        }
    }
}

impl<B: Body> Download<B> {
    /// What the body says, if the answer is an error: nothing, if that is too long or does not come.
    pub async fn reason<C: Clock>(&mut self, clock: &C) -> Vec<u8> {
        refusal::error_body(clock, &mut self.body).await
    }
}

/// Whether both are the same host and port. The step from a scheme's own port to the
/// other's counts as staying.
fn is_same_place(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    let is_unwritten = |uri: &Uri| uri.port_u16().is_none();
    host(one) == host(other)
        && (address::port(one) == address::port(other) || is_unwritten(one) && is_unwritten(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_hosts_with_ports() {
        for (one, other, same) in [
            ("http://a/x", "http://A:80/y?z", true),
            ("http://a/x", "https://a/x", true),
            ("http://a:80/x", "https://a:443/x", false),
            ("http://a:5000/", "https://a:5000/", true),
            ("http://a/", "http://a:81/", false),
            ("http://a/", "http://b/", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(is_same_place(&one, &other), same, "{one} {other}");
        }
    }
}
