//! A connection of a client that reads the answer even if the server takes no more of its request.
//!
//! hyper gives up at the first write that fails. curl reads on, and Go's clients mostly do: what a server says before
//! it closes is why it does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that takes every byte, whether or not anybody reads it.
pub(crate) struct Patient(pub(crate) TcpStream);

/// What a write is to a client that only wants the answer.
fn taken<T>(written: Poll<io::Result<T>>, all: T) -> Poll<io::Result<T>> {
    match written {
        Poll::Ready(Err(error))
            if matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Poll::Ready(Ok(all))
        }
        written => written,
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        taken(
            Pin::new(&mut self.0).poll_write(context, bytes),
            bytes.len(),
        )
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        taken(Pin::new(&mut self.0).poll_flush(context), ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        taken(Pin::new(&mut self.0).poll_shutdown(context), ())
    }
}
