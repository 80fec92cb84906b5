//! Operations that write an archive into a stream.

use futures::{FutureExt as _, channel::oneshot, future::Either, future::select, pin_mut};
use strata_engine::{ArchiveSink, Body as _, Error, Result};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter, spawn_local};

use crate::{
    bindings::{strata::image::types, wit_future, wit_stream},
    convert,
    imports::WasiBody,
};

/// What is returned when the archive begins.
pub(super) type Begun = (StreamReader<u8>, FutureReader<Result<(), types::Error>>);

/// Runs `work`, which writes an archive: returns when that begins, or why it does not.
pub(super) async fn archive(
    work: impl AsyncFnOnce(&mut Sink) -> Result<()> + 'static,
) -> Result<Begun, types::Error> {
    let (begun, begins) = oneshot::channel::<Result<Begun, types::Error>>();
    spawn_local(async move {
        let mut sink = Sink {
            begun: Some(begun),
            open: None,
        };
        let result = work(&mut sink).await;
        sink.end(result.map_err(convert::error_to_wit)).await;
    });
    let broken = || {
        Err(types::Error::Internal(
            "the archive ended without a word".into(),
        ))
    };
    begins.await.unwrap_or_else(|_| broken())
}

/// The stream an archive goes to; opened by its first bytes.
pub(super) struct Sink {
    begun: Option<oneshot::Sender<Result<Begun, types::Error>>>,
    open: Option<Open>,
}

/// The writing ends of the stream and of its verdict.
type Open = (StreamWriter<u8>, FutureWriter<Result<(), types::Error>>);

impl Sink {
    fn writer(&mut self) -> Result<&mut StreamWriter<u8>> {
        if let Some(begun) = self.begun.take() {
            let (writer, stream) = wit_stream::new();
            let (verdict, result) = wit_future::new(|| Err(types::Error::Cancelled));
            begun
                .send(Ok((stream, result)))
                .map_err(|_| Error::Cancelled)?;
            self.open = Some((writer, verdict));
        }
        match &mut self.open {
            Some((writer, _)) => Ok(writer),
            None => Err(Error::Cancelled),
        }
    }

    /// Tells how it ended: by the verdict, or instead of the stream.
    async fn end(mut self, result: Result<(), types::Error>) {
        if let Some((writer, verdict)) = self.open.take() {
            drop(writer);
            // A reader that is gone does not want the verdict.
            let _ = verdict.write(result).await;
        } else if let (Some(begun), Err(error)) = (self.begun.take(), result) {
            let _ = begun.send(Err(error));
        }
    }
}

impl ArchiveSink<WasiBody> for Sink {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<()> {
        if self.writer()?.write_all(bytes).await.is_empty() {
            Ok(())
        } else {
            Err(Error::Cancelled)
        }
    }

    async fn copy(&mut self, body: WasiBody, length: u64) -> Result<()> {
        relay(body, length, self.writer()?).await
    }
}

/// Relays exactly `length` bytes: the next chunk is read while one is written.
pub(crate) async fn relay(
    mut body: WasiBody,
    length: u64,
    writer: &mut StreamWriter<u8>,
) -> Result<()> {
    let mut sent = 0;
    let mut next = body.chunk().await?;
    while let Some(bytes) = next {
        sent += bytes.len() as u64;
        if sent > length {
            break;
        }
        let write = writer.write_all(bytes).fuse();
        let read = body.chunk().fuse();
        pin_mut!(write, read);
        let (rest, read) = match select(write, read).await {
            Either::Left((rest, read)) => (rest, read.await),
            Either::Right((read, write)) => (write.await, read),
        };
        if !rest.is_empty() {
            return Err(Error::Cancelled);
        }
        next = read?;
    }
    if sent == length {
        return Ok(());
    }
    Err(Error::Unavailable(format!(
        "a blob has other than the {length} bytes its descriptor says; the store is damaged, pull the image again"
    )))
}
