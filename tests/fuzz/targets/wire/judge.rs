//! hyper, as the host runs it: who says what a body is.

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use http::{Request, Response};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::service_fn,
};

use crate::framing::Framing;

/// As large as the host's.
const BUFFER: usize = 64 * 1024;

/// What became of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More of it is to come.
    Waiting,
    /// It was read to its end.
    Ended,
    /// It is none, or the request is none.
    Refused,
}

/// One request on a connection of its own.
pub(crate) struct Judge {
    wire: Rc<RefCell<Wire>>,
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>>>>>,
}

struct Wire {
    bytes: Vec<u8>,
    /// How many of them have arrived, and were read.
    arrived: usize,
    read: usize,
    framing: Option<Framing>,
    verdict: Verdict,
}

impl Judge {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let wire = Rc::new(RefCell::new(Wire {
            bytes: bytes.to_vec(),
            arrived: 0,
            read: 0,
            framing: None,
            verdict: Verdict::Waiting,
        }));
        let seen = Rc::clone(&wire);
        let service = service_fn(move |request: Request<Incoming>| {
            let seen = Rc::clone(&seen);
            async move {
                let body = request.into_body();
                seen.borrow_mut().framing = Some(Framing::of(&body));
                let verdict = read(body).await;
                seen.borrow_mut().verdict = verdict;
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        });
        let connection = http1::Builder::new()
            .max_buf_size(BUFFER)
            .serve_connection(End(Rc::clone(&wire)), service);
        Self {
            wire,
            connection: Some(Box::pin(connection)),
        }
    }

    /// How many bytes there are in all.
    pub(crate) fn len(&self) -> usize {
        self.wire.borrow().bytes.len()
    }

    /// Lets so many bytes arrive. What is to be read after the head, if the head was just taken.
    pub(crate) fn read(&mut self, arrived: usize) -> Option<Framing> {
        self.wire.borrow_mut().arrived = arrived;
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        while woken.0.swap(false, Ordering::Relaxed) {
            let Some(connection) = &mut self.connection else {
                break;
            };
            if let Poll::Ready(ended) = connection.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.connection = None;
                let verdict = &mut self.wire.borrow_mut().verdict;
                if ended.is_err() && *verdict == Verdict::Waiting {
                    *verdict = Verdict::Refused;
                }
            }
        }
        self.wire.borrow_mut().framing.take()
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.wire.borrow().verdict
    }
}

async fn read(mut body: Incoming) -> Verdict {
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(_)) => {}
            Some(Err(_)) => return Verdict::Refused,
            None => return Verdict::Ended,
        }
    }
}

/// Notes that it is to be polled again.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// hyper's end of the connection.
struct End(Rc<RefCell<Wire>>);

impl Read for End {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &mut *self.0.borrow_mut();
        let fresh = &wire.bytes[wire.read..wire.arrived];
        if fresh.is_empty() {
            // The driver polls again when more has arrived.
            return Poll::Pending;
        }
        let fits = fresh.len().min(buffer.remaining());
        buffer.put_slice(&fresh[..fits]);
        wire.read += fits;
        Poll::Ready(Ok(()))
    }
}

impl Write for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
