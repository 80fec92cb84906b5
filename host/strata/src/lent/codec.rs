//! `strata:image/codec`: decompression on a native thread.

use std::{
    future::Future,
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use tokio::sync::{
    mpsc::{self, OwnedPermit, error::SendError},
    oneshot,
};
use wasmtime::{
    StoreContextMut,
    component::{Access, FutureReader, Source, StreamConsumer, StreamReader, StreamResult},
};

use super::read::ReadProducer;
use crate::{
    bindings::strata::image::codec as wit,
    instance::{HasLent, Lent},
    types,
};

/// Bytes taken from the guest at once, and how many such chunks wait: 1 MiB.
const CHUNK: usize = 256 * 1024;
const WAITING: usize = 4;

impl wit::Host for Lent<'_> {}

impl<T: 'static> wit::HostWithStore<T> for HasLent {
    fn decompress(
        mut access: Access<'_, T, Self>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), types::Error>>)> {
        let (sender, receiver) = mpsc::channel(WAITING);
        data.pipe(
            &mut access,
            Feeder {
                sender,
                reserving: None,
            },
        )?;
        let (verdict, result) = oneshot::channel();
        let input = Input {
            chunks: receiver,
            current: Bytes::new(),
        };
        let stream = StreamReader::new(
            &mut access,
            ReadProducer::new(
                move || Ok(strata_store::decompress(input)?),
                |error| types::Error::InvalidArgument(format!("cannot decompress: {error}")),
                verdict,
            ),
        )?;
        let result = FutureReader::new(&mut access, async move {
            wasmtime::error::Ok(result.await.unwrap_or(Err(types::Error::Cancelled)))
        })?;
        Ok((stream, result))
    }
}

type Reserving = Pin<Box<dyn Future<Output = Result<OwnedPermit<Bytes>, SendError<()>>> + Send>>;

/// Takes the guest's stream to the decompressing thread.
struct Feeder {
    sender: mpsc::Sender<Bytes>,
    reserving: Option<Reserving>,
}

impl<D> StreamConsumer<D> for Feeder {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let sender = self.sender.clone();
        let reserving = self
            .reserving
            .get_or_insert_with(|| Box::pin(sender.reserve_owned()));
        match reserving.as_mut().poll(cx) {
            Poll::Ready(Ok(permit)) => {
                self.reserving = None;
                let mut source = source.as_direct(store);
                let bytes = source.remaining();
                let count = bytes.len().min(CHUNK);
                permit.send(Bytes::copy_from_slice(&bytes[..count]));
                source.mark_read(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            // The decompressor stopped: its verdict says why.
            Poll::Ready(Err(_)) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The decompressor's end of it.
struct Input {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current
            .split_to(count)
            .copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
