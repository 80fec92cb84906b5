//! `wasi:http/handler`: the Docker image API over the engine.

mod output;

use std::{cell::OnceCell, rc::Rc};

use futures::{channel::oneshot, future::select, pin_mut};
use http::Method;
use strata_docker::{Call, HostFacts};
use strata_http::{Head, MAX_WHOLE_BODY, RequestBody, Taking};
use wasip3::{
    http::types::{self as wasi, ErrorCode, Request, Response},
    wit_future,
};
use wit_bindgen::{StreamReader, StreamResult, spawn_local};

use crate::{
    bindings::strata::image::settings,
    engine,
    imports::{self, WasiBody},
};
use output::{ResponseHead, WasiOutput};

/// Serves requests.
pub(crate) struct Http;

/// The query of a request, where a host cannot hold it in the target: many count its bytes in 16
/// bits. Only one of a target that has none counts, so that nothing a gate before this saw changes.
const LONG_QUERY: &str = "strata-query";

impl wasip3::exports::http::handler::Guest for Http {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (call, body) = read(request).await?;
        let (head, arrived) = oneshot::channel::<ResponseHead>();
        // The task outlives this function: it goes on writing the body.
        spawn_local(async move {
            let (engine, host) = (engine(), host_facts());
            let mut output = WasiOutput::new(head);
            let gone = output.watch().gone();
            let work = call.answer(&engine, &host, body, &mut output);
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

/// Reads a request, and its body as its route takes it.
async fn read(request: Request) -> Result<(Call, RequestBody<WasiBody>), ErrorCode> {
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
    let mut target = request.get_path_with_query().unwrap_or_else(|| "/".into());
    let mut headers = imports::header_map(request.get_headers().copy_all());
    if let Some(query) = headers.remove(LONG_QUERY)
        && let Ok(query) = query.to_str()
        && !target.contains('?')
    {
        target.push('?');
        target.push_str(query);
    }
    let call = Call::new(Head::new(method, &target, headers));
    let consume = || {
        let (done, done_reader) = wit_future::new(|| Ok(()));
        drop(done);
        Request::consume_body(request, done_reader)
    };
    let body = match call.body() {
        Taking::Nothing => RequestBody::Bytes(Vec::new()),
        Taking::Whole => RequestBody::Bytes(read_whole(consume().0).await?),
        Taking::Stream => {
            let (stream, trailers) = consume();
            RequestBody::Stream(WasiBody::of_request(stream, trailers))
        }
    };
    Ok((call, body))
}

/// A body that is at most a form.
async fn read_whole(mut stream: StreamReader<u8>) -> Result<Vec<u8>, ErrorCode> {
    let mut body = Vec::new();
    loop {
        let (result, bytes) = stream.read(Vec::with_capacity(16 * 1024)).await;
        body.extend_from_slice(&bytes);
        if body.len() > MAX_WHOLE_BODY {
            return Err(ErrorCode::HttpRequestBodySize(Some(MAX_WHOLE_BODY as u64)));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return Ok(body);
        }
    }
}

thread_local! {
    static FACTS: OnceCell<Rc<HostFacts>> = const { OnceCell::new() };
}

/// What the Docker face tells of the host.
fn host_facts() -> Rc<HostFacts> {
    let facts = || {
        let configuration = settings::get();
        Rc::new(HostFacts {
            id: configuration.id,
            hostname: configuration.hostname,
            processors: configuration.processors,
            memory: configuration.memory,
            kernel: configuration.kernel,
            root: configuration.root,
        })
    };
    FACTS.with(|cell| Rc::clone(cell.get_or_init(facts)))
}
