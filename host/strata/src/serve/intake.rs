//! What a client sends, on its way to hyper.
//!
//! Heads of requests are read here ([`super::head`]) and replaced by what hyper has to know; bodies
//! pass as they are. Here also ends the patience with a client that sends or takes nothing, and here
//! it is noticed that one has left while its request is worked on.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    answer::Refusal,
    desk::{Desk, Wanted},
    framing::Framing,
    head,
    patience::Patience,
    socket::Socket,
};

/// Read at a time where a head is expected: most are smaller.
pub(super) const READ: usize = 4096;
/// A head up to this size costs nothing.
const LIGHT: usize = 16 * 1024;
/// Unit in which what is beyond [`LIGHT`] is weighed.
const WEIGHT_UNIT: usize = 64 * 1024;
/// How often a client that has sent all it wanted to is looked at: does it still take an answer?
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long, and for how many bytes, a client is listened to that was refused while it sends: one
/// that is cut off then may not read the answer that tells it why.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 16 << 20;

/// What hyper is given for a head that was refused: a request that is the last one.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// What all long heads together may weigh, so that thousands of clients that send slowly do not use
/// up the memory: 64 MiB beyond what each may have anyway.
pub(super) fn scale() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(64 * 1024 * 1024 / WEIGHT_UNIT))
}

/// A connection as hyper reads and writes it.
pub(super) struct Intake {
    socket: Socket,
    desk: Arc<Desk>,
    phase: Phase,
    /// Was read, and was not passed on yet.
    held: BytesMut,
    /// How many bytes of `held` have no end of a head in them.
    seen: usize,
    /// Share of `scale` for a long head.
    weight: Option<OwnedSemaphorePermit>,
    scale: Arc<Semaphore>,
    /// The client has sent all it wanted to.
    is_ended: bool,
    /// A head was refused; the client may be sending still.
    lingering: Option<Patience>,
    lingered: usize,
    reading: Patience,
    writing: Patience,
    looking: Patience,
}

/// What is read next.
enum Phase {
    /// A head.
    Head,
    /// A head's substitute, on its way to hyper.
    Substitute(Bytes),
    /// Nothing, until hyper has said where the body ends.
    Judged,
    /// A body.
    Body(Framing),
}

impl Intake {
    /// A new connection; nothing is waited for longer than `patience`.
    pub(super) fn new(
        socket: Socket,
        desk: Arc<Desk>,
        scale: Arc<Semaphore>,
        patience: Duration,
    ) -> Self {
        Self {
            socket,
            desk,
            phase: Phase::Head,
            held: BytesMut::new(),
            seen: 0,
            weight: None,
            scale,
            is_ended: false,
            lingering: None,
            lingered: 0,
            reading: Patience::new(patience),
            writing: Patience::new(patience),
            looking: Patience::new(LOOK_AGAIN),
        }
    }

    /// The substitute of the next head; `None` at the end of the connection.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.desk.is_busy(cx) {
            return self.poll_left(cx).map_ok(|()| None);
        }
        self.desk.idle();
        loop {
            let blank = self.held.iter().take_while(|byte| b"\r\n".contains(byte));
            let blank = blank.count();
            if blank > 0 && self.seen <= blank {
                self.held.advance(blank);
                self.seen = 0;
            }
            if let Some(end) = head::end(&self.held, self.seen) {
                return Poll::Ready(Ok(Some(self.take_head(end))));
            }
            // Once the first line has ended it is not looked for again, however slowly the rest comes.
            let fault = match self.seen > head::MAX_LINE {
                true => head::excess(self.held.len()),
                false => head::early_fault(&self.held),
            };
            self.seen = self.held.len();
            let fault = fault.or_else(|| self.weigh());
            if let Some(refusal) = fault {
                return Poll::Ready(Ok(Some(self.refuse(refusal))));
            }
            if self.is_ended {
                return Poll::Ready(Ok(None));
            }
            match self.poll_more(cx) {
                Poll::Ready(read) => {
                    // A head that begins has the whole time to come.
                    if read? > 0 && self.seen == 0 {
                        self.reading.renew();
                    }
                }
                Poll::Pending if self.reading.poll_end(cx).is_ready() => {
                    if self.held.is_empty() {
                        return Poll::Ready(Ok(None));
                    }
                    let late = Refusal::new(
                        StatusCode::REQUEST_TIMEOUT,
                        "the head of the request took too long: send it at once",
                    );
                    return Poll::Ready(Ok(Some(self.refuse(late))));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Ready when a client has left whose request is worked on. One that is quiet, has sent all it
    /// wanted to, or sends the next request already has not.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() && !self.is_ended {
            ready!(self.poll_more(cx))?;
        }
        match self.is_ended {
            true => self.poll_hung_up(cx).map(Ok),
            false => Poll::Pending,
        }
    }

    /// Ready when the client takes no answer any more.
    fn poll_hung_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.socket.has_hung_up() {
            ready!(self.looking.poll_end(cx));
            self.looking.renew();
        }
        Poll::Ready(())
    }

    /// Reads on, and says how much came.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        let read = buffer.filled();
        self.is_ended = read.is_empty();
        self.held.extend_from_slice(read);
        Poll::Ready(Ok(read.len()))
    }

    /// Refuses a long head where there are too many of them.
    fn weigh(&mut self) -> Option<Refusal> {
        let size = self.held.capacity();
        let units = size.saturating_sub(LIGHT).div_ceil(WEIGHT_UNIT);
        let has = self
            .weight
            .as_ref()
            .map_or(0, |weight| weight.num_permits());
        let missing = u32::try_from(units.saturating_sub(has)).unwrap_or(u32::MAX);
        if missing == 0 {
            return None;
        }
        match Arc::clone(&self.scale).try_acquire_many_owned(missing) {
            Ok(more) => {
                match &mut self.weight {
                    Some(weight) => weight.merge(more),
                    None => self.weight = Some(more),
                }
                None
            }
            Err(_) => Some(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests with long heads arrive at once: try again",
            )),
        }
    }

    fn take_head(&mut self, end: usize) -> Bytes {
        let raw = self.held.split_to(end);
        // What follows a long head would keep all of its memory for as long as the connection lasts.
        self.held = BytesMut::from(&*self.held);
        self.seen = 0;
        match head::parse(&raw) {
            Ok((mut head, substitute)) => {
                head.weight = self.weight.take();
                self.desk.put(Ok(head));
                substitute.into()
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Has `refusal` answered, after which nothing is read.
    fn refuse(&mut self, refusal: Refusal) -> Bytes {
        self.held = BytesMut::new();
        self.seen = 0;
        self.weight = None;
        self.lingering = Some(Patience::new(LINGER));
        self.desk.put(Err(refusal));
        Bytes::from_static(REFUSED)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.desk.wanted(cx) {
            _ if !self.held.is_empty() => {}
            Wanted::Everything => {}
            Wanted::Nothing => {
                self.reading.renew();
                return self.poll_hung_up(cx).map(Ok);
            }
            // In small pieces, as the buffers behind grow with large ones.
            Wanted::Beginning => match self.poll_more(cx) {
                // Passed on below.
                Poll::Ready(Ok(1..)) => self.reading.renew(),
                Poll::Ready(read) => return Poll::Ready(read.map(drop)),
                Poll::Pending => return self.poll_late(cx),
            },
        }
        let Phase::Body(framing) = &mut self.phase else {
            return Poll::Pending;
        };
        if !self.held.is_empty() {
            let fits = self.held.len().min(out.remaining());
            let taken = framing.take(self.held.get(..fits).unwrap_or_default());
            out.put_slice(&self.held.split_to(taken));
            return Poll::Ready(Ok(()));
        }
        let before = out.filled().len();
        match Pin::new(&mut self.socket).poll_read(cx, out) {
            Poll::Ready(read) => read?,
            Poll::Pending => return self.poll_late(cx),
        }
        self.reading.renew();
        let read = out.filled().get(before..).unwrap_or_default();
        self.is_ended = read.is_empty();
        let taken = framing.take(read);
        if let Some(next) = read.get(taken..) {
            self.held.extend_from_slice(next);
            out.set_filled(before + taken);
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when a body was waited for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.reading.poll_end(cx));
        Poll::Ready(Err(timed_out("the client sent nothing for too long")))
    }

    /// What became of a write: its result, or the end of the patience.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.writing.renew();
            return write;
        }
        ready!(self.writing.poll_end(cx));
        Poll::Ready(Err(timed_out("the client took nothing for too long")))
    }

    /// Reads what a refused client still sends.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(patience) = &mut self.lingering else {
            return Poll::Ready(());
        };
        if patience.poll_end(cx).is_ready() {
            return Poll::Ready(());
        }
        while !self.is_ended && self.lingered < LINGER_BYTES {
            match ready!(self.poll_more(cx)) {
                Ok(read) => self.lingered += read,
                Err(_) => break,
            }
            self.held.clear();
        }
        Poll::Ready(())
    }
}

fn timed_out(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl AsyncRead for Intake {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.phase {
                Phase::Head => match ready!(this.poll_head(cx))? {
                    Some(substitute) => this.phase = Phase::Substitute(substitute),
                    None => return Poll::Ready(Ok(())),
                },
                Phase::Substitute(bytes) => {
                    let fits = bytes.len().min(out.remaining());
                    out.put_slice(&bytes.split_to(fits));
                    if bytes.is_empty() {
                        this.phase = Phase::Judged;
                    }
                    return Poll::Ready(Ok(()));
                }
                Phase::Judged => {
                    let Some(framing) = this.desk.framing() else {
                        // A substitute is a whole head; hyper cannot want more of it.
                        return Poll::Ready(Err(io::Error::other("a head was not understood")));
                    };
                    this.reading.renew();
                    this.phase = Phase::Body(framing);
                }
                Phase::Body(framing) if framing.is_over() => {
                    this.reading.renew();
                    this.phase = Phase::Head;
                }
                Phase::Body(_) => return this.poll_body(cx, out),
            }
        }
    }
}

impl AsyncWrite for Intake {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.written(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.written(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let write = Pin::new(&mut self.socket).poll_flush(cx);
        self.written(cx, write)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let write = Pin::new(&mut self.socket).poll_shutdown(cx);
        ready!(self.written(cx, write))?;
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}
