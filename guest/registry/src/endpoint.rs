//! Where a registry answers: its address, its scheme, its credentials.

use std::cell::{Cell, RefCell};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::AUTHORIZATION};

use crate::{
    Clock, Fault, LentError, Reach, RegistryAuth, RegistryError, RegistrySettings, Transport,
    address,
    credentials::Credentials,
    wire::{Answer, Wire},
};

/// Docker Hub's name in references.
const HUB: &str = "docker.io";
/// Where Docker Hub's registry is.
const HUB_HOST: &str = "registry-1.docker.io";
/// Failures after which a mirror is left alone for the rest of an operation.
const MIRROR_FAILURES: u32 = 3;

/// One place to ask.
pub(crate) struct Endpoint {
    scheme: Cell<Scheme>,
    authority: String,
    /// Path before `/v2`, without a slash at its end.
    prefix: String,
    /// The `ns` a mirror is told; `None` for the registry itself.
    namespace: Option<String>,
    failures: Cell<u32>,
    /// What it said last when it failed.
    last_words: RefCell<Option<String>>,
    pub(crate) credentials: Credentials,
}

#[derive(Clone, Copy, PartialEq)]
enum Scheme {
    Https,
    /// `https`, or `http` if there is no TLS; decided by the first answer.
    Either,
    Http,
}

/// The endpoints of a registry host as written in references: mirrors in order,
/// the registry itself last.
pub(crate) fn endpoints(
    host: &str,
    settings: &RegistrySettings<'_>,
    auth: &RegistryAuth,
) -> (Vec<Endpoint>, Endpoint) {
    let host = registry_name(host);
    let mirrors = settings
        .mirrors
        .iter()
        .filter(|mirror| registry_name(&mirror.host) == host)
        .filter_map(|mirror| Endpoint::mirror(&mirror.url, host))
        .collect();
    let authority = if host == HUB { HUB_HOST } else { host };
    let plain_allowed = address::is_loopback(host) || is_listed(host, settings.insecure);
    let origin = Endpoint {
        scheme: Cell::new(if plain_allowed {
            Scheme::Either
        } else {
            Scheme::Https
        }),
        authority: authority.to_owned(),
        prefix: String::new(),
        namespace: None,
        failures: Cell::new(0),
        last_words: RefCell::default(),
        credentials: Credentials::new(auth.clone()),
    };
    (mirrors, origin)
}

/// Docker Hub has four names in the wild.
fn registry_name(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => HUB,
        other => other,
    }
}

/// Whether `host` is in the list, with its port or, in an entry without one, by
/// its name alone.
fn is_listed(host: &str, insecure: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    insecure
        .iter()
        .any(|entry| entry.eq_ignore_ascii_case(host) || entry.eq_ignore_ascii_case(name))
}

impl Endpoint {
    /// A mirror. `None` if its address is not one; the host checks settings.
    fn mirror(url: &str, host: &str) -> Option<Self> {
        let uri = address::web(url)?;
        let path = uri.path().trim_end_matches('/');
        let plain = uri.scheme_str() == Some("http");
        Some(Self {
            scheme: Cell::new(if plain { Scheme::Http } else { Scheme::Https }),
            authority: uri.authority()?.to_string(),
            prefix: path.strip_suffix("/v2").unwrap_or(path).to_owned(),
            namespace: Some(host.to_owned()),
            failures: Cell::new(0),
            last_words: RefCell::default(),
            // The registry's credentials are not the mirror's to see.
            credentials: Credentials::new(RegistryAuth::Anonymous),
        })
    }

    /// Whether this is a mirror.
    pub(crate) fn is_mirror(&self) -> bool {
        self.namespace.is_some()
    }

    /// Whether it failed too often in this operation to be asked again.
    pub(crate) fn is_given_up(&self) -> bool {
        self.failures.get() >= MIRROR_FAILURES
    }

    /// Counts a failure of a mirror.
    pub(crate) fn failed(&self) {
        self.failures.set(self.failures.get().saturating_add(1));
    }

    /// Keeps what a mirror said when it failed.
    pub(crate) fn remember(&self, words: String) {
        self.last_words.replace(Some(words));
    }

    /// What it said when it failed, if it did.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.last_words.borrow().clone()
    }

    /// Never asks this mirror again in this operation: it lied.
    pub(crate) fn give_up(&self) {
        self.failures.set(MIRROR_FAILURES);
    }

    /// Host and port, for people.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends `GET` or `HEAD /v2/<path>` and follows redirects.
    pub(crate) async fn send<T: Transport, C: Clock>(
        &self,
        wire: &Wire<'_, T, C>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
        let mut headers = headers.clone();
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        let uri = self.address(path)?;
        let answer = wire.follow(method, &uri, &headers, Reach::Any).await;
        if self.scheme.get() != Scheme::Either {
            return answer;
        }
        match answer {
            Err(failure) if matches!(&*failure.fault, Fault::Lent(error) if error.passes()) => {
                // Either no TLS there or nobody at all. A TLS server answers
                // plain HTTP with 400, so that decides nothing.
                let uri = self.address_by("http", path)?;
                match wire.follow(method, &uri, &headers, Reach::Any).await {
                    Ok(plain) if plain.status == StatusCode::BAD_REQUEST => Err(failure),
                    Ok(plain) => {
                        self.scheme.set(Scheme::Http);
                        Ok(plain)
                    }
                    // Without TLS there, what became of plain HTTP is the news.
                    Err(plain) => Err(plain),
                }
            }
            Ok(answer) => {
                self.scheme.set(Scheme::Https);
                Ok(answer)
            }
            other => other,
        }
    }

    /// Whether `uri` is this endpoint, not somewhere it redirected to.
    pub(crate) fn is_at(&self, uri: &Uri) -> bool {
        let own = self.uri(self.scheme(), "");
        own.is_some_and(|own| address::same_origin(&own, uri))
    }

    /// The address of `/v2/<path>`. Its scheme is known once there was an answer.
    pub(crate) fn address<E: LentError>(&self, path: &str) -> Result<Uri, RegistryError<E>> {
        self.address_by(self.scheme(), path)
    }

    fn address_by<E: LentError>(&self, scheme: &str, path: &str) -> Result<Uri, RegistryError<E>> {
        self.uri(scheme, path).ok_or_else(|| {
            RegistryError::last(Fault::RegistryAddress {
                authority: self.authority.clone(),
            })
        })
    }

    fn scheme(&self) -> &'static str {
        match self.scheme.get() {
            Scheme::Https | Scheme::Either => "https",
            Scheme::Http => "http",
        }
    }

    fn uri(&self, scheme: &str, path: &str) -> Option<Uri> {
        let Self {
            authority, prefix, ..
        } = self;
        let mut text = format!("{scheme}://{authority}{prefix}/v2/{path}");
        if let Some(namespace) = &self.namespace {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.push_str("ns=");
            text.push_str(namespace);
        }
        address::web(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mirror;

    #[test]
    fn hosts_become_addresses() {
        let insecure = ["plain.example:80", "any-port.example"].map(str::to_owned);
        for (host, scheme, authority) in [
            ("docker.io", Scheme::Https, "registry-1.docker.io"),
            ("quay.io", Scheme::Https, "quay.io"),
            ("localhost:5000", Scheme::Either, "localhost:5000"),
            ("[::1]:5000", Scheme::Either, "[::1]:5000"),
            ("plain.example:80", Scheme::Either, "plain.example:80"),
            ("plain.example:81", Scheme::Https, "plain.example:81"),
            ("any-port.example:81", Scheme::Either, "any-port.example:81"),
        ] {
            let settings = RegistrySettings {
                version: "0",
                mirrors: &[],
                insecure: &insecure,
            };
            let (mirrors, origin) = endpoints(host, &settings, &RegistryAuth::Anonymous);
            assert!(mirrors.is_empty());
            assert!(origin.scheme.get() == scheme, "{host}");
            assert_eq!(origin.authority, authority);
            assert!(!origin.is_mirror());
        }
    }

    #[test]
    fn mirrors_are_told_whom_they_mirror() {
        let mirrors = [
            ("docker.io", "http://127.0.0.1:5000"),
            ("quay.io", "https://quay.mirror"),
            ("registry-1.docker.io", "https://m.example/proxy/v2/"),
            ("docker.io", "not an address"),
        ];
        let mirrors = mirrors.map(|(host, url)| Mirror {
            host: host.to_owned(),
            url: url.to_owned(),
        });
        let settings = RegistrySettings {
            version: "0",
            mirrors: &mirrors,
            insecure: &[],
        };
        let (mirrors, _) = endpoints("docker.io", &settings, &RegistryAuth::Anonymous);
        let addresses: Vec<String> = mirrors
            .iter()
            .filter_map(|mirror| mirror.uri(mirror.scheme(), "a/tags/list"))
            .map(|uri| uri.to_string())
            .collect();
        assert_eq!(
            addresses,
            [
                "http://127.0.0.1:5000/v2/a/tags/list?ns=docker.io",
                "https://m.example/proxy/v2/a/tags/list?ns=docker.io",
            ]
        );
    }
}
