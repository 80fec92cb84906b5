//! Blobs being written: the resources of `strata:image/content`.

use std::sync::{Arc, atomic::AtomicBool};

use bytes::Bytes;
use strata_store::{Digest, IngestState};
use tokio::sync::oneshot;
use wasmtime::component::{Access, Accessor, Resource, StreamReader};

use super::{
    append::{Appender, CancelOnDrop},
    call::{Outcome, ask},
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
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Kept, as the guest's own may be dropped first and `reset` needs one.
    pub(super) lease: strata_store::Lease,
    /// Beside any other of the same blob.
    pub(super) is_own: bool,
    /// `None` once committed or failed.
    pub(super) open: Option<Box<dyn strata_store::Ingest>>,
}

/// A blob whose digest is not known yet, behind the guest's `content.stage`.
#[allow(
    unreachable_pub,
    reason = "the generated bindings re-export it, so it must be pub"
)]
pub struct Stage(
    /// `None` while a write is under way, and once finished.
    pub(super) Option<Box<dyn strata_store::Stage>>,
);

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
