//! Outgoing HTTP: one pooled client for every instance, with keep-alive, HTTP/2,
//! system proxies and the capability check.
//!
//! Follows no redirect and decodes nothing: the component does both itself,
//! because it must know when credentials would leave their host and because a
//! digest covers the bytes as they are stored.

use std::{error::Error as _, fs, io, sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use reqwest::redirect::Policy;
use wasmtime_wasi_http::{Error as WireError, RequestOptions, WasiBody, WasiHttpHooks};

use crate::{Capabilities, Error};

/// Idle connections kept per registry: enough for the largest `parallel_layers`.
const IDLE_CONNECTIONS: usize = 64;
/// A registry that accepts no connection for this long is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A body that is silent for this long is cut; the engine resumes it.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The client and what it may reach.
#[derive(Clone)]
pub(crate) struct Outgoing {
    client: reqwest::Client,
    allowed: Option<Arc<[String]>>,
}

impl Outgoing {
    /// Sets the client up.
    ///
    /// # Errors
    /// [`Error::Setting`] if a certificate authority cannot be read.
    pub(crate) fn new(capabilities: &Capabilities) -> Result<Self, Error> {
        // Another crate of the embedder may have installed a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("strata/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_adaptive_window(true);
        for path in &capabilities.certificate_authorities {
            let setting = |reason: String| Error::Setting {
                setting: "certificate authority",
                reason,
            };
            let pem = fs::read(path)
                .map_err(|error| setting(format!("cannot read {}: {error}", path.display())))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| setting(format!("{} is not PEM: {error}", path.display())))?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            client: builder
                .build()
                .map_err(|error| Error::Client(error.to_string()))?,
            allowed: capabilities.allowed_registries.clone().map(Into::into),
        })
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

type Io = Box<dyn Future<Output = Result<(), WireError>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Io,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Io), WireError>> + Send> {
        let client = self.client.clone();
        let allowed = self.allows(request.uri().authority());
        Box::new(async move {
            if !allowed {
                return Err(WireError::HttpRequestDenied);
            }
            let response = send(client, request, options).await?;
            let done: Io = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}

async fn send(
    client: reqwest::Client,
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<http::Response<WasiBody>, WireError> {
    let (parts, body) = request.into_parts();
    let url = reqwest::Url::parse(&parts.uri.to_string())
        .map_err(|_| WireError::HttpRequestUriInvalid)?;
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
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(known) = known(cause) {
            return known;
        }
        source = cause.source();
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
