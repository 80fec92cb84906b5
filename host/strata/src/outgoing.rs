//! Outgoing HTTP: one pooled client for every instance, with keep-alive, HTTP/2,
//! system proxies and the capability check.
//!
//! Follows no redirect and decodes nothing: the component does both itself,
//! because it must know when credentials would leave their host and because a
//! digest covers the bytes as they are stored.

mod public;

use std::{
    error::Error as _,
    fs, io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http_body_util::BodyExt as _;
use reqwest::redirect::Policy;
use wasmtime_wasi_http::{Error as WireError, RequestOptions, WasiBody, WasiHttpHooks};

use crate::{Capabilities, Error};
use public::{NothingPublic, PublicResolver, is_private_literal};

/// Idle connections kept per registry: enough for the largest `parallel_layers`.
const IDLE_CONNECTIONS: usize = 64;
/// A registry that accepts no connection for this long is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A body that is silent for this long is cut; the engine resumes it.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The component sets it to [`REACH_PUBLIC`] on a request that may go to public addresses only.
/// It is never sent on.
const REACH: &str = "strata-reach";
/// See [`REACH`].
const REACH_PUBLIC: &str = "public";

/// The clients and what they may reach.
#[derive(Clone)]
pub(crate) struct Outgoing {
    any: Lazy,
    /// Reaches public addresses only, and without a proxy, which would resolve names by itself.
    public: Lazy,
    certificates: Arc<[reqwest::Certificate]>,
    allowed: Option<Arc<[String]>>,
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
            public: Lazy::default(),
            certificates: certificates(capabilities)?.into(),
            allowed: capabilities.allowed_registries.clone().map(Into::into),
        })
    }

    /// Begins to make the client for what will ask somebody soon.
    pub(crate) fn prepare(&self) {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.client(false));
    }

    /// The client for any address, or for public ones only. May take some 20 ms.
    fn client(&self, public: bool) -> Result<reqwest::Client, WireError> {
        let (lazy, builder): (_, fn(_) -> _) = match public {
            true => (&self.public, for_public_addresses),
            false => (&self.any, |builder| builder),
        };
        let client = lazy.get_or_init(|| {
            let built = builder(builder_for(&self.certificates)).build();
            built
                .inspect_err(|error| tracing::error!("cannot set up the HTTP client: {error}"))
                .ok()
        });
        client.clone().ok_or(WireError::InternalError(None))
    }

    /// The client, made where that stops nobody if there is none yet.
    async fn made(&self, public: bool) -> Result<reqwest::Client, WireError> {
        let lazy = if public { &self.public } else { &self.any };
        if lazy.get().is_none() {
            let this = self.clone();
            let made = tokio::task::spawn_blocking(move || this.client(public));
            return made.await.map_err(|_| WireError::InternalError(None))?;
        }
        self.client(public)
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

fn for_public_addresses(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    let resolver = PublicResolver::shared();
    builder.no_proxy().dns_resolver(resolver)
}

/// What both clients have in common.
fn builder_for(certificates: &[reqwest::Certificate]) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("strata/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http2_adaptive_window(true);
    let certificates = certificates.iter().cloned();
    certificates.fold(builder, reqwest::ClientBuilder::add_root_certificate)
}

/// Whether a request may go to public addresses only. Takes the mark off it.
fn take_reach<B>(request: &mut http::Request<B>) -> bool {
    let reach = request.headers_mut().remove(REACH);
    reach.is_some_and(|reach| reach.as_bytes() == REACH_PUBLIC.as_bytes())
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
        let public = take_reach(&mut request);
        let this = self.clone();
        Box::new(async move {
            if !allowed {
                return Err(WireError::HttpRequestDenied);
            }
            let url = reqwest::Url::parse(&request.uri().to_string())
                .map_err(|_| WireError::HttpRequestUriInvalid)?;
            if public && is_private_literal(&url) {
                return Err(WireError::DestinationIpProhibited);
            }
            let client = this.made(public).await?;
            let response = send(client, url, request, options).await?;
            let done: Io = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}

async fn send(
    client: reqwest::Client,
    url: reqwest::Url,
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<http::Response<WasiBody>, WireError> {
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
    let response: http::Response<reqwest::Body> = answer.map_err(|error| wire(&error))?.into();
    Ok(response.map(|body| body.map_err(|error| wire(&error)).boxed_unsync()))
}

/// What went wrong, in `wasi:http`'s words, without the URL: its query may hold
/// a signature.
fn wire(error: &reqwest::Error) -> WireError {
    let causes = || std::iter::successors(error.source(), |&cause| cause.source());
    // The links around it say no more than that the name was not resolved.
    if causes().any(|cause| cause.is::<NothingPublic>()) {
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
