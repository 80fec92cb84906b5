//! One connection: its handshake, its rules, its requests.

use std::{convert::Infallible, future::poll_fn, io, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::Watcher};
use tokio::{net::TcpStream, sync::Semaphore};
use wasmtime_wasi_http::WasiBody;

use super::{
    answer::Refusal,
    desk::{Attended, Desk},
    framing::Framing,
    gather, guard,
    guard::Door,
    head::Head,
    intake::{self, Intake},
    slots::Seat,
    socket::Socket,
    tls::Tls,
};
use crate::rounds::Rounds;

/// Bytes hyper reads and writes at a time, and holds of an answer that the client does not take: a
/// thousand clients that stand still together hold 64 MiB. Heads do not pass through it.
const BUFFER: usize = 64 * 1024;

/// What is accepted by a listener.
pub(super) enum Accepted {
    /// Ready.
    Plain(Socket),
    /// Has to show a certificate first.
    Tls(TcpStream, Tls),
}

/// What holds for every connection.
pub(super) struct Rules {
    /// Host names that are answered to over TCP, besides the machine's own.
    pub(super) allowed_hosts: Vec<String>,
    /// How long a client that sends or takes nothing is waited for.
    pub(super) patience: Duration,
    /// What long heads weigh together.
    scale: Arc<Semaphore>,
}

impl Rules {
    pub(super) fn new(allowed_hosts: Vec<String>, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            allowed_hosts,
            patience,
            scale: intake::scale(),
        })
    }
}

/// Serves one connection to its end: what `respond` says to each request that may be asked.
pub(super) async fn serve<F, R>(
    accepted: Accepted,
    seat: Seat,
    rules: Arc<Rules>,
    watcher: Watcher,
    respond: F,
) where
    F: Fn(Request<Incoming>) -> R + Clone,
    R: Future<Output = Response<WasiBody>>,
{
    let seat = Arc::new(seat);
    seat.idle();
    let serving = async {
        let socket = handshake(accepted).await?;
        let door = socket.door();
        let desk = Desk::new(Arc::clone(&seat));
        let (scale, patience) = (Arc::clone(&rules.scale), rules.patience);
        let intake = Intake::new(socket, Arc::clone(&desk), scale, patience);
        let service = service_fn(move |request: Request<Incoming>| {
            // At once, before anything of the body is read.
            let taken = desk.take(Framing::of(request.body()));
            let admitted = admit(taken, request, door, &rules.allowed_hosts, &desk);
            let (desk, respond) = (Arc::clone(&desk), respond.clone());
            async move {
                let response = match admitted {
                    Ok(request) => respond(request).await,
                    Err(response) => *response,
                };
                Ok::<Response<Attended<WasiBody>>, Infallible>(
                    response.map(|body| desk.attend(body)),
                )
            }
        });
        let connection = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(intake), service);
        let mut connection = pin!(watcher.watch(connection));
        let rounds = Rounds::new();
        poll_fn(|cx| rounds.poll(cx, |cx| connection.as_mut().poll(cx), || false))
            .await
            .map_err(io::Error::other)
    };
    tokio::select! {
        ended = serving => if let Err(error) = ended {
            tracing::debug!("connection ended: {error}");
        },
        () = seat.closing() => tracing::debug!("a connection was closed for a new one"),
    }
}

async fn handshake(accepted: Accepted) -> io::Result<Socket> {
    match accepted {
        Accepted::Plain(socket) => Ok(socket),
        Accepted::Tls(stream, tls) => Ok(Socket::Tls(Box::new(tls.accept(stream).await?))),
    }
}

/// The request a client made, or what it is refused with.
fn admit(
    taken: Option<Result<Head, Refusal>>,
    request: Request<Incoming>,
    door: Door,
    allowed_hosts: &[String],
    desk: &Arc<Desk>,
) -> Result<Request<Incoming>, Box<Response<WasiBody>>> {
    let head = match taken {
        Some(Ok(head)) => head,
        Some(Err(refusal)) => return Err(Box::new(refusal.response(true))),
        None => {
            let status = http::StatusCode::BAD_REQUEST;
            let refusal = Refusal::new(status, "this is no request that can be read");
            return Err(Box::new(refusal.response(true)));
        }
    };
    let authority = head.authority.as_deref();
    let judged = guard::judge(door, allowed_hosts, head.version, authority, &head.headers);
    if let Err(refusal) = judged {
        // One that asks first whether to send is told by the answer.
        if !head.headers.contains_key(http::header::EXPECT) {
            gather::unwanted(request.into_body(), desk);
        }
        return Err(Box::new(refusal.response(false)));
    }
    let (mut parts, body) = request.into_parts();
    parts.method = head.method;
    parts.uri = head.uri;
    parts.headers = head.headers;
    parts.extensions.insert(Arc::clone(desk));
    if let Some(weight) = head.weight {
        parts.extensions.insert(Arc::new(weight));
    }
    Ok(Request::from_parts(parts, body))
}

#[cfg(test)]
mod tests;
