//! Outgoing HTTP: one pooled client for every instance, with keep-alive, HTTP/2,
//! system proxies and the capability check.
//!
//! Follows no redirect and decodes nothing: the component does both itself,
//! because it must know when credentials would leave their host and because a
//! digest covers the bytes as they are stored.

mod pace;
mod peers;
mod zone;

use std::{
    error::Error as _,
    fs, io,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http_body_util::BodyExt as _;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect::Policy;
use wasmtime_wasi_http::{Error as WireError, RequestOptions, WasiBody, WasiHttpHooks};

use crate::{Capabilities, Error};
use pace::Paced;
pub(crate) use peers::Peers;
use zone::{OutOfReach, Zone, ZoneResolver};

/// Idle connections kept per registry: enough for the largest `parallel_layers`.
const IDLE_CONNECTIONS: usize = 64;
/// A registry that accepts no connection for this long is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A body that is silent for this long is cut; the engine resumes it.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Headers of one answer. Some registries and proxies send more than hyper's hundred; what docker
/// counts is bytes.
const MAX_HEADERS: usize = 8192;
/// Bytes of the headers of one answer by HTTP/2; for HTTP/1 hyper has a bound like it.
const MAX_HEADER_BYTES: u32 = 256 * 1024;
/// What holds secrets: marked, so that no log shows it.
const SENSITIVE: [http::HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// The component sets it on a request whose address somebody else chose, to the [`Zone`] that one
/// is in. It is never sent on.
const REACH: &str = "strata-reach";
/// Tells the component where the peer is. What the peer says there does not count.
const ZONE: &str = "strata-zone";

/// The clients and what they may reach.
#[derive(Clone)]
pub(crate) struct Outgoing {
    /// For addresses that a person or a setting chose.
    any: Lazy,
    /// For those that a peer in this zone chose. They have connections of their own, which is
    /// what makes an address that was refused stay refused.
    chosen: [Lazy; Zone::ALL.len()],
    /// The setting lifts the rule.
    reach_is_free: bool,
    /// Which requests go through a proxy, which then resolves names by itself.
    proxies: Arc<Matcher>,
    certificates: Arc<[reqwest::Certificate]>,
    allowed: Option<Arc<[String]>>,
    /// Whom the present operation asks.
    pub(crate) peers: Peers,
}

/// A client that is made when it is first needed, since that reads the platform's certificates:
/// as much work as all else a process that asks nobody does to start. `None` if it cannot be made.
type Lazy = Arc<OnceLock<Option<reqwest::Client>>>;

impl Outgoing {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] if a certificate authority cannot be read.
    pub(crate) fn new(capabilities: &Capabilities) -> Result<Self, Error> {
        // Another crate of the embedder may have installed a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            any: Lazy::default(),
            chosen: Default::default(),
            reach_is_free: capabilities.allow_unsafe_redirects,
            proxies: Arc::new(Matcher::from_system()),
            certificates: certificates(capabilities)?.into(),
            allowed: capabilities.allowed_registries.clone().map(Into::into),
            peers: Peers::default(),
        })
    }

    /// Begins to make the client for what will ask somebody soon.
    pub(crate) fn prepare(&self) {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.client(None));
    }

    fn lazy(&self, from: Option<Zone>) -> &Lazy {
        let place = Zone::ALL.iter().position(|zone| Some(*zone) == from);
        place
            .and_then(|place| self.chosen.get(place))
            .unwrap_or(&self.any)
    }

    /// The client for any address, or for those that a peer in a zone chose. May take some 20 ms.
    fn client(&self, from: Option<Zone>) -> Result<reqwest::Client, WireError> {
        let client = self.lazy(from).get_or_init(|| {
            let builder = builder_for(&self.certificates);
            let builder = match from {
                Some(zone) => builder.no_proxy().dns_resolver(ZoneResolver::shared(zone)),
                None => builder,
            };
            let built = builder.build();
            built
                .inspect_err(|error| tracing::error!("cannot set up the HTTP client: {error}"))
                .ok()
        });
        client.clone().ok_or(WireError::InternalError(None))
    }

    /// The client, made where that stops nobody if there is none yet.
    async fn made(&self, from: Option<Zone>) -> Result<reqwest::Client, WireError> {
        if self.lazy(from).get().is_none() {
            let this = self.clone();
            let made = tokio::task::spawn_blocking(move || this.client(from));
            return made.await.map_err(|_| WireError::InternalError(None))?;
        }
        self.client(from)
    }

    /// Sends a request to a URL that somebody in `from` chose; `None` is a person or a setting.
    async fn deliver(
        &self,
        url: reqwest::Url,
        from: Option<Zone>,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<http::Response<WasiBody>, WireError> {
        let from = from.filter(|_| !self.reach_is_free);
        let written = Zone::written_in(&url);
        if let (Some(from), Some(zone)) = (from, written)
            && !from.may_name(zone)
        {
            return Err(WireError::DestinationIpProhibited);
        }
        // What a proxy reaches, its owner decides: whoever runs it knows what it is for.
        let is_proxied = self.proxies.intercept(request.uri()).is_some();
        let client = self.made(from.filter(|_| !is_proxied)).await?;
        let (mut response, peer) = send(client, url, request, options).await?;
        let peer = peer.filter(|_| !is_proxied).map(Zone::of);
        let zone = peer.or(written).unwrap_or(Zone::Public);
        let zone = http::HeaderValue::from_static(zone.name());
        response.headers_mut().insert(ZONE, zone);
        Ok(response)
    }

    fn allows(&self, authority: Option<&http::uri::Authority>) -> bool {
        let Some(allowed) = &self.allowed else {
            return true;
        };
        let Some(authority) = authority else {
            return false;
        };
        allowed.iter().any(|entry| {
            entry.eq_ignore_ascii_case(authority.as_str())
                || entry.eq_ignore_ascii_case(authority.host())
        })
    }
}

/// Authorities that are trusted besides the platform's.
fn certificates(capabilities: &Capabilities) -> Result<Vec<reqwest::Certificate>, Error> {
    let mut certificates = Vec::new();
    for path in &capabilities.certificate_authorities {
        let setting = |reason: String| Error::Setting {
            setting: "certificate authority",
            reason,
        };
        let pem = fs::read(path)
            .map_err(|error| setting(format!("cannot read {}: {error}", path.display())))?;
        let bundle = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| setting(format!("{} is not PEM: {error}", path.display())))?;
        certificates.extend(bundle);
    }
    Ok(certificates)
}

/// What all clients have in common.
fn builder_for(certificates: &[reqwest::Certificate]) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("strata/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_adaptive_window(true);
    let certificates = certificates.iter().cloned();
    certificates.fold(builder, reqwest::ClientBuilder::add_root_certificate)
}

/// In which zone the address of a request was chosen; `None` is by a person or a setting. Takes
/// the mark off it. In doubt it was chosen out there.
fn take_reach<B>(request: &mut http::Request<B>) -> Option<Zone> {
    let reach = request.headers_mut().remove(REACH)?;
    let known = Zone::ALL.into_iter().find(|zone| reach == zone.name());
    Some(known.unwrap_or(Zone::Public))
}

/// Marks what holds secrets.
fn hide_secrets(headers: &mut http::HeaderMap) {
    for name in &SENSITIVE {
        if let http::header::Entry::Occupied(mut entry) = headers.entry(name) {
            entry.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

type Io = Box<dyn Future<Output = Result<(), WireError>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Io,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Io), WireError>> + Send> {
        let allowed = self.allows(request.uri().authority());
        let from = take_reach(&mut request);
        hide_secrets(request.headers_mut());
        let this = self.clone();
        Box::new(async move {
            if !allowed {
                return Err(WireError::HttpRequestDenied);
            }
            let url = reqwest::Url::parse(&request.uri().to_string())
                .map_err(|_| WireError::HttpRequestUriInvalid)?;
            let peers = this.peers.clone();
            let asked = peers.wait();
            let response = this.deliver(url, from, request, options).await?;
            drop(asked);
            let response = response.map(|body| peers.watch(body).boxed_unsync());
            let done: Io = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}

/// The answer, and the address it is from.
async fn send(
    client: reqwest::Client,
    url: reqwest::Url,
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<(http::Response<WasiBody>, Option<IpAddr>), WireError> {
    let (parts, body) = request.into_parts();
    let mut outgoing = client.request(parts.method, url).headers(parts.headers);
    if !http_body::Body::is_end_stream(&body) {
        outgoing = outgoing.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    let answer = outgoing.send();
    let answer = match options.and_then(|options| options.first_byte_timeout) {
        Some(limit) => tokio::time::timeout(limit, answer)
            .await
            .map_err(|_| WireError::HttpResponseTimeout)?,
        None => answer.await,
    };
    let answer = answer.map_err(|error| wire(&error))?;
    let peer = answer.remote_addr().map(|address| address.ip());
    let response: http::Response<reqwest::Body> = answer.into();
    let paced = |body: reqwest::Body| Paced::new(body.map_err(|error| wire(&error)));
    Ok((response.map(|body| paced(body).boxed_unsync()), peer))
}

/// What went wrong, in `wasi:http`'s words, without the URL: its query may hold
/// a signature.
fn wire(error: &reqwest::Error) -> WireError {
    let causes = || std::iter::successors(error.source(), |&cause| cause.source());
    // The links around it say no more than that the name was not resolved.
    if causes().any(|cause| cause.is::<OutOfReach>()) {
        return WireError::DestinationIpProhibited;
    }
    if let Some(known) = causes().find_map(known) {
        return known;
    }
    if error.is_timeout() {
        return if error.is_connect() {
            WireError::ConnectionTimeout
        } else {
            WireError::ConnectionReadTimeout
        };
    }
    if error.is_connect() {
        return WireError::DestinationUnavailable;
    }
    if error.is_body() || error.is_decode() {
        return WireError::HttpResponseIncomplete;
    }
    WireError::HttpProtocolError
}

/// What one link of an error chain says, if anything.
fn known(cause: &(dyn std::error::Error + 'static)) -> Option<WireError> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(match tls {
            rustls::Error::InvalidCertificate(_) => WireError::TlsCertificateError,
            _ => WireError::TlsProtocolError,
        });
    }
    if let Some(hyper) = cause.downcast_ref::<hyper::Error>()
        && (hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled())
    {
        return Some(WireError::ConnectionTerminated);
    }
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        // `source` of an I/O error skips the error inside it.
        if let Some(known) = io.get_ref().and_then(|inner| known(inner)) {
            return Some(known);
        }
        return match io.kind() {
            io::ErrorKind::ConnectionRefused => Some(WireError::ConnectionRefused),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(WireError::ConnectionTerminated),
            io::ErrorKind::TimedOut => Some(WireError::ConnectionTimeout),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Some(WireError::DestinationUnavailable)
            }
            _ => None,
        };
    }
    // reqwest's and hyper-util's own links carry their kind in the text only.
    cause
        .to_string()
        .contains("dns error")
        .then_some(WireError::DnsError {
            rcode: None,
            info_code: None,
        })
}

#[cfg(test)]
mod tests;
