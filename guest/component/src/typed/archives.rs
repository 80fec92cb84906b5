//! `archives`: save and load.

use futures::{FutureExt as _, channel::oneshot, future::Either, future::select, pin_mut};
use strata_engine::{ArchiveSink, Body as _, Error, LoadOptions, SaveOptions, Silent};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter, spawn_local};

use super::running;
use crate::{
    bindings::{
        exports::strata::image::archives,
        strata::image::{progress, types},
        wit_future, wit_stream,
    },
    convert, engine,
    lent::WasiBody,
};

/// What `save` returns when the archive begins.
type Begun = (StreamReader<u8>, FutureReader<Result<(), types::Error>>);

/// Saves: returns when the archive begins, or why it does not.
pub(super) async fn save(
    names: Vec<String>,
    platforms: Vec<types::Platform>,
) -> Result<Begun, types::Error> {
    let options = SaveOptions {
        names,
        platforms: platforms
            .into_iter()
            .map(convert::platform_from_wit)
            .collect(),
    };
    let (begun, begins) = oneshot::channel::<Result<Begun, types::Error>>();
    spawn_local(async move {
        let mut sink = Sink {
            begun: Some(begun),
            open: None,
        };
        let result = engine().save(&options, &mut sink, &Silent).await;
        sink.end(result.map_err(convert::error_to_wit)).await;
    });
    begins
        .await
        .unwrap_or_else(|_| Err(types::Error::Internal("saving ended without a word".into())))
}

/// Starts a load and returns its two ends.
pub(super) fn load(
    archive: StreamReader<u8>,
    platforms: Vec<types::Platform>,
) -> (
    StreamReader<progress::Event>,
    FutureReader<Result<Vec<archives::Loaded>, types::Error>>,
) {
    let (events, events_reader) = wit_stream::new();
    let (verdict, verdict_reader) = wit_future::new(|| Err(types::Error::Cancelled));
    spawn_local(async move {
        let options = LoadOptions {
            platforms: platforms
                .into_iter()
                .map(convert::platform_from_wit)
                .collect(),
        };
        let body = WasiBody::of_caller(archive);
        let result = running::run(events, async |progress| {
            engine().load(body, &options, progress).await
        })
        .await;
        let result = match result {
            Ok(loaded) => Ok(loaded
                .into_iter()
                .map(|image| archives::Loaded {
                    name: image.name,
                    id: image.id.to_string(),
                })
                .collect()),
            Err(error) => Err(convert::error_to_wit(error)),
        };
        // A reader that is gone does not want the verdict.
        let _ = verdict.write(result).await;
    });
    (events_reader, verdict_reader)
}

/// The stream an archive goes to; opened by its first bytes.
struct Sink {
    begun: Option<oneshot::Sender<Result<Begun, types::Error>>>,
    open: Option<Open>,
}

/// The writing ends of the stream and of its verdict.
type Open = (StreamWriter<u8>, FutureWriter<Result<(), types::Error>>);

impl Sink {
    fn writer(&mut self) -> strata_engine::Result<&mut StreamWriter<u8>> {
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
    async fn write(&mut self, bytes: Vec<u8>) -> strata_engine::Result<()> {
        if self.writer()?.write_all(bytes).await.is_empty() {
            Ok(())
        } else {
            Err(Error::Cancelled)
        }
    }

    async fn copy(&mut self, body: WasiBody, length: u64) -> strata_engine::Result<()> {
        relay(body, length, self.writer()?).await
    }
}

/// Relays exactly `length` bytes: the next chunk is read while one is written.
pub(crate) async fn relay(
    mut body: WasiBody,
    length: u64,
    writer: &mut StreamWriter<u8>,
) -> strata_engine::Result<()> {
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
