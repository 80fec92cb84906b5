//! Pipes between the engine and a thread that works on files.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::io::{DuplexStream, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// An asynchronous reader or writer for a thread that may block.
pub(super) struct Blocking<T> {
    inner: T,
    runtime: Handle,
}

impl<T> Blocking<T> {
    /// Must be called on a task of the runtime that drives `inner`.
    pub(super) fn new(inner: T) -> Blocking<T> {
        Blocking {
            inner,
            runtime: Handle::current(),
        }
    }
}

impl<T: AsyncRead + Unpin> Read for Blocking<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.inner.read(buffer))
    }
}

impl<T: AsyncWrite + Unpin> Write for Blocking<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.inner.flush())
    }
}

/// A pipe from a thread, whose end is only an end if the thread says that it went well.
pub(super) fn checked_pipe(capacity: usize) -> (Checked, Filler) {
    let (reader, writer) = tokio::io::duplex(capacity);
    let (done, verdict) = oneshot::channel();
    let filler = Filler {
        pipe: Blocking::new(writer),
        done,
    };
    (Checked { reader, verdict }, filler)
}

/// The thread's end.
pub(super) struct Filler {
    pipe: Blocking<DuplexStream>,
    done: oneshot::Sender<io::Result<()>>,
}

impl Filler {
    /// Fills the pipe; what goes wrong is for the other end to say.
    pub(super) fn run(mut self, fill: impl FnOnce(&mut Blocking<DuplexStream>) -> io::Result<()>) {
        let filled = fill(&mut self.pipe);
        // Before the pipe is dropped, so that whoever sees its end can know why.
        let _ = self.done.send(filled);
    }
}

/// The other end.
pub(super) struct Checked {
    reader: DuplexStream,
    verdict: oneshot::Receiver<io::Result<()>>,
}

impl AsyncRead for Checked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(cx, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match self.verdict.try_recv() {
            Ok(verdict) => Poll::Ready(verdict),
            Err(_) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> io::Result<usize> {
        let (mut tar, filler) = checked_pipe(4);
        let filling = tokio::task::spawn_blocking(move || filler.run(|pipe| fill(pipe)));
        let mut all = Vec::new();
        let read = tar.read_to_end(&mut all).await;
        filling.await.unwrap();
        read
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_end_after_a_failure_is_no_end() {
        assert_eq!(
            read(|pipe| pipe.write_all(b"0123456789")).await.unwrap(),
            10
        );
        let failed = read(|pipe| {
            pipe.write_all(b"0123456789")?;
            Err(io::Error::other("gone"))
        });
        assert_eq!(failed.await.unwrap_err().to_string(), "gone");
    }
}
