//! `strata:image/content` over the store that is lent.

use std::sync::{Arc, atomic::AtomicBool};

use bytes::Bytes;
use strata_store::{Digest, IngestState, Verdict};
use tokio::sync::oneshot;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};

use super::{
    append::{Appender, CancelOnDrop},
    call::{Outcome, ask, digest, digests, native},
    leases::{Lease, held, held_by},
    read::ReadProducer,
};
use crate::{
    bindings::strata::image::content as wit,
    instance::{HasImports, Imports},
    types,
};

/// A blob being written, behind the guest's `content.ingest`.
#[allow(
    unreachable_pub,
    reason = "the generated bindings re-export it, so it must be pub"
)]
pub struct Ingest {
    digest: Digest,
    size: u64,
    /// Kept, as the guest's own may be dropped first and `reset` needs one.
    lease: strata_store::Lease,
    /// Beside any other of the same blob.
    is_own: bool,
    /// `None` once committed or failed.
    open: Option<Box<dyn strata_store::Ingest>>,
}

/// A blob whose digest is not known yet, behind the guest's `content.stage`.
#[allow(
    unreachable_pub,
    reason = "the generated bindings re-export it, so it must be pub"
)]
pub struct Stage(
    /// `None` while a write is under way, and once finished.
    Option<Box<dyn strata_store::Stage>>,
);

impl wit::Host for Imports<'_> {}
impl wit::HostIngest for Imports<'_> {}

impl<T: 'static> wit::HostIngestWithStore<T> for HasImports {
    fn offset(mut access: Access<'_, T, Self>, this: Resource<Ingest>) -> wasmtime::Result<u64> {
        let ingest = access.get().table.get(&this)?;
        Ok(ingest.open.as_ref().map_or(0, |open| open.offset()))
    }

    async fn append(
        accessor: &Accessor<T, Self>,
        this: Resource<Ingest>,
        data: StreamReader<u8>,
    ) -> Outcome<u64> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let started = accessor.with(|mut access| {
            let sinks = access
                .get()
                .entered()?
                .table
                .get(&this)?
                .open
                .as_ref()
                .map(|open| (open.sink(), open.sink()));
            let mut data = data;
            let Some((sink, flush)) = sinks else {
                data.close(&mut access)?;
                return wasmtime::error::Ok(None);
            };
            let (done, finished) = oneshot::channel();
            data.pipe(
                &mut access,
                Appender::new(sink, Arc::clone(&cancelled), done),
            )?;
            Ok(Some((flush, finished)))
        })?;
        let Some((mut flush, finished)) = started else {
            return Ok(Err(spent()));
        };
        let _cancel = CancelOnDrop(cancelled);
        // A consumer dropped without a word ended like any stream.
        let result = finished.await.unwrap_or(Ok(()));
        if let Err(error) = result {
            return Ok(Err(error.into()));
        }
        match flush.flush().await {
            Ok(()) => Ok(Ok(flush.offset())),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn write(
        accessor: &Accessor<T, Self>,
        this: Resource<Ingest>,
        data: Vec<u8>,
    ) -> Outcome<u64> {
        let sink = accessor.with(|mut access| {
            let ingest = access.get().entered()?.table.get(&this)?;
            wasmtime::error::Ok(ingest.open.as_ref().map(|open| open.sink()))
        })?;
        let Some(mut sink) = sink else {
            return Ok(Err(spent()));
        };
        ask! {
            sink.write(Bytes::from(data)).await?;
            sink.offset()
        }
    }

    async fn commit(accessor: &Accessor<T, Self>, this: Resource<Ingest>) -> Outcome<()> {
        let open = accessor.with(|mut access| {
            wasmtime::error::Ok(access.get().entered()?.table.get_mut(&this)?.open.take())
        })?;
        match open {
            Some(open) => Ok(open.commit().await.map_err(Into::into)),
            None => Ok(Err(spent())),
        }
    }

    async fn reset(accessor: &Accessor<T, Self>, this: Resource<Ingest>) -> Outcome<()> {
        let (store, open, is_own, digest, size, lease) = accessor.with(|mut access| {
            let imports = access.get().entered()?;
            let store = imports.shared.store.clone();
            let ingest = imports.table.get_mut(&this)?;
            wasmtime::error::Ok((
                store,
                ingest.open.take(),
                ingest.is_own,
                ingest.digest.clone(),
                ingest.size,
                ingest.lease.clone(),
            ))
        })?;
        let outcome = async {
            let mut open = match open {
                Some(open) => open,
                // A failed commit spent it: open it once more.
                None if is_own => store.open_own_ingest(&digest, size, false, &lease).await?,
                None => match store.open_ingest(&digest, size, &lease).await? {
                    IngestState::Open(open) => open,
                    IngestState::Present | IngestState::Busy(_) => {
                        return Err(types::Error::Conflict(format!(
                            "{digest} is being written by another operation, try again"
                        )));
                    }
                },
            };
            open.reset().await?;
            Ok(open)
        }
        .await;
        match outcome {
            Ok(open) => {
                accessor.with(|mut access| {
                    access.get().table.get_mut(&this)?.open = Some(open);
                    wasmtime::error::Ok(())
                })?;
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    fn drop(mut access: Access<'_, T, Self>, this: Resource<Ingest>) -> wasmtime::Result<()> {
        access.get().table.delete(this)?;
        Ok(())
    }
}

impl wit::HostStage for Imports<'_> {}

impl<T: 'static> wit::HostStageWithStore<T> for HasImports {
    async fn write(
        accessor: &Accessor<T, Self>,
        this: Resource<Stage>,
        data: Vec<u8>,
    ) -> Outcome<()> {
        let taken = accessor.with(|mut access| {
            wasmtime::error::Ok(access.get().entered()?.table.get_mut(&this)?.0.take())
        })?;
        let Some(mut stage) = taken else {
            return Ok(Err(spent()));
        };
        let written = stage.write(Bytes::from(data)).await;
        accessor.with(|mut access| {
            access.get().table.get_mut(&this)?.0 = Some(stage);
            wasmtime::error::Ok(())
        })?;
        Ok(written.map_err(Into::into))
    }

    async fn finish(accessor: &Accessor<T, Self>, this: Resource<Stage>) -> Outcome<(String, u64)> {
        let taken = accessor.with(|mut access| {
            wasmtime::error::Ok(access.get().entered()?.table.get_mut(&this)?.0.take())
        })?;
        let Some(stage) = taken else {
            return Ok(Err(spent()));
        };
        ask! {
            let (digest, size) = stage.finish().await?;
            (digest.to_string(), size)
        }
    }

    fn drop(mut access: Access<'_, T, Self>, this: Resource<Stage>) -> wasmtime::Result<()> {
        access.get().table.delete(this)?;
        Ok(())
    }
}

/// What a spent ingest or stage answers.
fn spent() -> types::Error {
    types::Error::Conflict("this blob was finished or has failed, open it again".to_owned())
}

impl<T: 'static> wit::HostWithStore<T> for HasImports {
    async fn stat(
        accessor: &Accessor<T, Self>,
        name: String,
        lease: Option<Resource<Lease>>,
    ) -> Outcome<Option<u64>> {
        let (store, lease) = (native(accessor)?, held_by(accessor, lease.as_ref())?);
        ask! { store.stat(&digest(&name)?, lease.as_ref()).await? }
    }

    async fn stat_all(
        accessor: &Accessor<T, Self>,
        names: Vec<String>,
        lease: Option<Resource<Lease>>,
    ) -> Outcome<Vec<Option<u64>>> {
        let (store, lease) = (native(accessor)?, held_by(accessor, lease.as_ref())?);
        ask! { store.stat_all(&digests(&names)?, lease.as_ref()).await? }
    }

    async fn get(accessor: &Accessor<T, Self>, name: String, limit: u64) -> Outcome<Vec<u8>> {
        let store = native(accessor)?;
        ask! { store.get(&digest(&name)?, limit).await?.to_vec() }
    }

    async fn read(
        accessor: &Accessor<T, Self>,
        name: String,
        offset: u64,
        length: Option<u64>,
    ) -> Outcome<(StreamReader<u8>, FutureReader<Result<(), types::Error>>)> {
        let store = native(accessor)?;
        let digest = match digest(&name) {
            Ok(digest) => digest,
            Err(error) => return Ok(Err(error)),
        };
        let blob = match store.read(&digest, offset, length).await {
            Ok(blob) => blob,
            Err(error) => return Ok(Err(error.into())),
        };
        let failed = move |error: std::io::Error| {
            types::Error::Internal(format!("cannot read {digest}: {error}"))
        };
        accessor.with(|mut access| {
            let (verdict, result) = oneshot::channel();
            let stream = StreamReader::new(&mut access, ReadProducer::new(blob, failed, verdict))?;
            let result = FutureReader::new(&mut access, async move {
                wasmtime::error::Ok(result.await.unwrap_or(Ok(())))
            })?;
            Ok(Ok((stream, result)))
        })
    }

    async fn put(
        accessor: &Accessor<T, Self>,
        name: String,
        data: Vec<u8>,
        lease: Resource<Lease>,
    ) -> Outcome<()> {
        let (store, lease) = (native(accessor)?, held(accessor, &lease)?);
        ask! { store.put(&digest(&name)?, Bytes::from(data), &lease).await? }
    }

    async fn open_ingest(
        accessor: &Accessor<T, Self>,
        name: String,
        size: u64,
        lease: Resource<Lease>,
    ) -> Outcome<wit::IngestState> {
        let (store, lease) = (native(accessor)?, held(accessor, &lease)?);
        let digest = match digest(&name) {
            Ok(digest) => digest,
            Err(error) => return Ok(Err(error)),
        };
        match store.open_ingest(&digest, size, &lease).await {
            Ok(IngestState::Present) => Ok(Ok(wit::IngestState::Present)),
            Ok(IngestState::Busy(current)) => Ok(Ok(wit::IngestState::Busy(current))),
            Ok(IngestState::Open(open)) => accessor.with(|mut access| {
                let ingest = access.get().table.push(Ingest {
                    digest,
                    size,
                    lease,
                    is_own: false,
                    open: Some(open),
                })?;
                Ok(Ok(wit::IngestState::Open(ingest)))
            }),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn open_own_ingest(
        accessor: &Accessor<T, Self>,
        name: String,
        size: u64,
        continues: bool,
        lease: Resource<Lease>,
    ) -> Outcome<Resource<Ingest>> {
        let (store, lease) = (native(accessor)?, held(accessor, &lease)?);
        let digest = match digest(&name) {
            Ok(digest) => digest,
            Err(error) => return Ok(Err(error)),
        };
        let opened = store.open_own_ingest(&digest, size, continues, &lease);
        match opened.await {
            Ok(open) => accessor.with(|mut access| {
                let ingest = access.get().table.push(Ingest {
                    digest,
                    size,
                    lease,
                    is_own: true,
                    open: Some(open),
                })?;
                Ok(Ok(ingest))
            }),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn open_stage(
        accessor: &Accessor<T, Self>,
        lease: Resource<Lease>,
        like: Option<String>,
    ) -> Outcome<Resource<Stage>> {
        let (store, lease) = (native(accessor)?, held(accessor, &lease)?);
        let like = match like.as_deref().map(digest).transpose() {
            Ok(like) => like,
            Err(error) => return Ok(Err(error)),
        };
        match store.stage(&lease, like).await {
            Ok(stage) => {
                accessor.with(|mut access| Ok(Ok(access.get().table.push(Stage(Some(stage)))?)))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn blobs(accessor: &Accessor<T, Self>) -> Outcome<Vec<(String, u64)>> {
        let store = native(accessor)?;
        ask! { sized(store.blobs().await?) }
    }

    async fn discard_ingests(accessor: &Accessor<T, Self>) -> Outcome<u64> {
        let store = native(accessor)?;
        ask! { store.discard_ingests().await? }
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        names: Vec<String>,
        generation: u64,
    ) -> Outcome<Vec<(String, u64)>> {
        let store = native(accessor)?;
        ask! { sized(store.delete(&digests(&names)?, generation).await?) }
    }

    async fn verify(accessor: &Accessor<T, Self>, name: String) -> Outcome<wit::Verdict> {
        let store = native(accessor)?;
        ask! {
            match store.verify(&digest(&name)?).await? {
                Verdict::Intact(size) => wit::Verdict::Intact(size),
                Verdict::Absent => wit::Verdict::Absent,
                Verdict::Damaged(reason) => wit::Verdict::Damaged(reason),
            }
        }
    }

    async fn note_missing(accessor: &Accessor<T, Self>, name: String) -> Outcome<()> {
        let store = native(accessor)?;
        ask! { store.note_missing(&digest(&name)?).await? }
    }

    async fn damaged(accessor: &Accessor<T, Self>) -> Outcome<Vec<(String, String)>> {
        let store = native(accessor)?;
        ask! {
            let damaged = store.damaged().await?.into_iter();
            damaged.map(|(digest, reason)| (digest.to_string(), reason)).collect()
        }
    }

    async fn quarantine(accessor: &Accessor<T, Self>, name: String) -> Outcome<()> {
        let store = native(accessor)?;
        ask! { store.quarantine(&digest(&name)?).await? }
    }

    async fn note_source(
        accessor: &Accessor<T, Self>,
        names: Vec<String>,
        repository: String,
    ) -> Outcome<()> {
        let store = native(accessor)?;
        ask! { store.note_source(&digests(&names)?, &repository).await? }
    }

    async fn sources(accessor: &Accessor<T, Self>, name: String) -> Outcome<Vec<String>> {
        let store = native(accessor)?;
        ask! { store.sources(&digest(&name)?).await? }
    }
}

fn sized(blobs: Vec<(Digest, u64)>) -> Vec<(String, u64)> {
    blobs
        .into_iter()
        .map(|(digest, size)| (digest.to_string(), size))
        .collect()
}
