//! Outgoing HTTP through `wasi:http/client`.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use strata_engine::{Error, Reach, Request, RequestBody, Response, Result, Transport, Zone};
use wasip3::{
    http::{
        client,
        types::{self as wasi, Fields, Method, RequestOptions, Scheme},
    },
    wit_future, wit_stream,
};

use super::WasiBody;
use crate::convert;

/// Nanoseconds to wait for a connection, a first byte and between two bytes.
/// A registry that is silent for longer is as good as gone; the engine retries.
const CONNECT_TIMEOUT: u64 = 30_000_000_000;
const FIRST_BYTE_TIMEOUT: u64 = 60_000_000_000;
const BETWEEN_BYTES_TIMEOUT: u64 = 30_000_000_000;

/// Tells the host where it may connect to ([`Reach::From`]): `wasi:http` has no word for
/// that. Hosts strip it; one that does not know it sends it along, which does no harm.
const REACH: HeaderName = HeaderName::from_static("strata-reach");
/// Tells where the peer is ([`Response::zone`]). The host sets it, whatever the peer sent; one
/// that does not know it may pass on what a peer says, but it does not heed [`REACH`] either.
const ZONE: HeaderName = HeaderName::from_static("strata-zone");
/// The zones in those headers.
const ZONES: [(Zone, &str); 4] = [
    (Zone::Public, "public"),
    (Zone::Private, "private"),
    (Zone::LinkLocal, "link-local"),
    (Zone::Loopback, "loopback"),
];

/// The engine's transport.
pub(crate) struct HostTransport;

impl Transport for HostTransport {
    type Body = WasiBody;
    type Error = Error;

    async fn send(&self, request: Request<WasiBody>) -> Result<Response<WasiBody>> {
        let (contents, writer) = match request.body {
            RequestBody::Empty => (None, None),
            RequestBody::Bytes(bytes) => {
                let (writer, reader) = wit_stream::new();
                (Some(reader), Some((writer, bytes)))
            }
            // Its length is in `Content-Length`, which the host enforces.
            RequestBody::Stream(body, _) => (Some(body.into_stream()?), None),
        };
        let mut headers = request.headers;
        if let Reach::From(zone) = request.reach {
            headers.insert(REACH, reach(zone));
        }
        let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
        drop(trailers);
        let (outgoing, _sent) = wasi::Request::new(
            fields(&headers)?,
            contents,
            trailers_reader,
            Some(options()),
        );
        let invalid =
            |()| Error::InvalidArgument(format!("invalid URL host {:?}", request.uri.host()));
        outgoing
            .set_method(&method(&request.method))
            .map_err(invalid)?;
        outgoing
            .set_scheme(Some(&match request.uri.scheme_str() {
                Some("http") => Scheme::Http,
                _ => Scheme::Https,
            }))
            .map_err(invalid)?;
        outgoing
            .set_authority(request.uri.authority().map(|authority| authority.as_str()))
            .map_err(invalid)?;
        outgoing
            .set_path_with_query(request.uri.path_and_query().map(|path| path.as_str()))
            .map_err(invalid)?;

        let write = async {
            if let Some((mut writer, bytes)) = writer {
                writer.write_all(bytes).await;
            }
        };
        let (answer, ()) = futures::join!(client::send(outgoing), write);
        let response = answer.map_err(|code| convert::http_error(&code))?;

        let status = StatusCode::from_u16(response.get_status_code()).map_err(|_| {
            Error::Unavailable("the registry answered with an invalid status".into())
        })?;
        let mut headers = header_map(response.get_headers().copy_all());
        let zone = headers.remove(ZONE);
        let (done, done_reader) = wit_future::new(|| Ok(()));
        drop(done);
        let (stream, trailers) = wasi::Response::consume_body(response, done_reader);
        Ok(Response {
            status,
            headers,
            body: WasiBody::of_answer(stream, trailers),
            zone: zone.map(|zone| zone_of(&zone)).unwrap_or_default(),
        })
    }
}

fn reach(zone: Zone) -> HeaderValue {
    let found = ZONES.iter().find(|(known, _)| *known == zone);
    HeaderValue::from_static(found.map_or("public", |(_, name)| name))
}

fn zone_of(value: &HeaderValue) -> Zone {
    let found = ZONES.iter().find(|(_, name)| value == name);
    found.map_or_else(Zone::default, |(zone, _)| *zone)
}

fn options() -> RequestOptions {
    let options = RequestOptions::new();
    // A host that does not support timeouts has its own.
    let _ = options.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let _ = options.set_first_byte_timeout(Some(FIRST_BYTE_TIMEOUT));
    let _ = options.set_between_bytes_timeout(Some(BETWEEN_BYTES_TIMEOUT));
    options
}

fn method(method: &http::Method) -> Method {
    match method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        other => Method::Other(other.into()),
    }
}

fn fields(headers: &HeaderMap) -> Result<Fields> {
    let entries: Vec<(String, Vec<u8>)> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Fields::from_list(&entries)
        .map_err(|error| Error::InvalidArgument(format!("a request header was refused: {error}")))
}

/// Headers as the `http` crate has them; what it does not accept is dropped.
pub(crate) fn header_map(entries: Vec<(String, Vec<u8>)>) -> HeaderMap {
    entries
        .into_iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = HeaderValue::from_bytes(&value).ok()?;
            Some((name, value))
        })
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            // A map has room for thousands; more are as good as none.
            let _ = headers.try_append(name, value);
            headers
        })
}
