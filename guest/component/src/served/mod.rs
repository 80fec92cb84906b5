//! `wasi:http/handler`: the Docker image API over the engine.

mod output;

use std::rc::Rc;

use futures::{channel::oneshot, future::select, pin_mut};
use http::Method;
use strata_docker::{HostFacts, RequestBody, Serving, reads_body, streams_body};
use wasip3::{
    http::types::{self as wasi, ErrorCode, Request, Response},
    wit_future,
};
use wit_bindgen::{StreamReader, StreamResult, spawn_local};

use crate::{
    bindings::strata::image::settings,
    engine,
    lent::{self, WasiBody},
};
use output::{Head, WasiOutput};

/// Serves requests.
pub(crate) struct Served;

/// Largest request body read for the operations that want one whole: forms.
const MAX_BODY: usize = 1 << 20;

/// The query of a request, where a host cannot hold it in the target: many count its bytes in 16
/// bits. Only one of a target that has none counts, so that nothing a gate before this saw changes.
const LONG_QUERY: &str = "strata-query";

impl wasip3::exports::http::handler::Guest for Served {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let request = read(request).await?;
        let (head, arrived) = oneshot::channel::<Head>();
        // The task outlives this function: it goes on writing the body.
        spawn_local(async move {
            let operations = serving();
            let mut output = WasiOutput::new(head);
            let gone = output.watch().gone();
            let work = strata_docker::respond(&operations, request, &mut output);
            // A client that went away ends the operation; there is nobody to tell.
            pin_mut!(gone, work);
            let _ = select(work, gone).await;
        });
        match arrived.await {
            Ok(head) => head.into_response(),
            Err(_) => Err(ErrorCode::InternalError(Some("no response".into()))),
        }
    }
}

/// Reads a request with its bounded body.
async fn read(request: Request) -> Result<strata_docker::Request<WasiBody>, ErrorCode> {
    let method = match request.get_method() {
        wasi::Method::Get => Method::GET,
        wasi::Method::Head => Method::HEAD,
        wasi::Method::Post => Method::POST,
        wasi::Method::Put => Method::PUT,
        wasi::Method::Delete => Method::DELETE,
        wasi::Method::Patch => Method::PATCH,
        wasi::Method::Options => Method::OPTIONS,
        wasi::Method::Connect => Method::CONNECT,
        wasi::Method::Trace => Method::TRACE,
        wasi::Method::Other(name) => {
            Method::from_bytes(name.as_bytes()).map_err(|_| ErrorCode::HttpRequestMethodInvalid)?
        }
    };
    let mut path_and_query = request.get_path_with_query().unwrap_or_else(|| "/".into());
    let mut headers = lent::header_map(request.get_headers().copy_all());
    if let Some(query) = headers.remove(LONG_QUERY)
        && let Ok(query) = query.to_str()
        && !path_and_query.contains('?')
    {
        path_and_query.push('?');
        path_and_query.push_str(query);
    }
    let is_read =
        method != Method::GET && method != Method::HEAD && reads_body(&method, &path_and_query);
    let body = if !is_read {
        RequestBody::Bytes(Vec::new())
    } else {
        let (done, done_reader) = wit_future::new(|| Ok(()));
        drop(done);
        let (stream, trailers) = Request::consume_body(request, done_reader);
        if streams_body(&method, &path_and_query) {
            RequestBody::Stream(WasiBody::of_request(stream, trailers))
        } else {
            RequestBody::Bytes(read_whole(stream).await?)
        }
    };
    Ok(strata_docker::Request {
        method,
        path_and_query,
        headers,
        body,
    })
}

/// A body that is at most a form.
async fn read_whole(mut stream: StreamReader<u8>) -> Result<Vec<u8>, ErrorCode> {
    let mut body = Vec::new();
    loop {
        let (result, bytes) = stream.read(Vec::with_capacity(16 * 1024)).await;
        body.extend_from_slice(&bytes);
        if body.len() > MAX_BODY {
            return Err(ErrorCode::HttpRequestBodySize(Some(MAX_BODY as u64)));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return Ok(body);
        }
    }
}

thread_local! {
    static FACTS: std::cell::OnceCell<Rc<HostFacts>> = const { std::cell::OnceCell::new() };
}

/// The engine of this instance, as the Docker face asks it.
fn serving() -> Serving<lent::HostStore, lent::HostTransport, lent::HostClock> {
    Serving {
        engine: engine(),
        host: FACTS.with(|cell| Rc::clone(cell.get_or_init(|| Rc::new(facts())))),
    }
}

fn facts() -> HostFacts {
    let configuration = settings::get();
    HostFacts {
        id: configuration.id.clone(),
        hostname: configuration.hostname.clone(),
        processors: configuration.processors,
        memory: configuration.memory,
        kernel: configuration.kernel.clone(),
        root: configuration.root.clone(),
        version: configuration.version.clone(),
        platform: crate::convert::platform_from_wit(configuration.platform.clone()),
        insecure_registries: configuration.insecure_registries.clone(),
        mirrors: crate::convert::settings(configuration).mirrors,
    }
}
