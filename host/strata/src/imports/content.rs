//! `strata:image/content` over the store of the engine.

use bytes::Bytes;
use strata_store::{Digest, IngestState, Verdict};
use tokio::sync::oneshot;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use super::{
    call::{Outcome, ask, digest, digests, store},
    ingest::{Ingest, Stage},
    leases::{Lease, held, held_by},
    read::ReadProducer,
};
use crate::{
    bindings::strata::image::content as wit,
    instance::{HasImports, Imports},
    types,
};

impl wit::Host for Imports<'_> {}

impl<T: 'static> wit::HostWithStore<T> for HasImports {
    async fn stat(
        accessor: &Accessor<T, Self>,
        name: String,
        lease: Option<Resource<Lease>>,
    ) -> Outcome<Option<u64>> {
        let (store, lease) = (store(accessor)?, held_by(accessor, lease.as_ref())?);
        ask! { store.stat(&digest(&name)?, lease.as_ref()).await? }
    }

    async fn stat_all(
        accessor: &Accessor<T, Self>,
        names: Vec<String>,
        lease: Option<Resource<Lease>>,
    ) -> Outcome<Vec<Option<u64>>> {
        let (store, lease) = (store(accessor)?, held_by(accessor, lease.as_ref())?);
        ask! { store.stat_all(&digests(&names)?, lease.as_ref()).await? }
    }

    async fn get(accessor: &Accessor<T, Self>, name: String, limit: u64) -> Outcome<Vec<u8>> {
        let store = store(accessor)?;
        ask! { store.get(&digest(&name)?, limit).await?.to_vec() }
    }

    async fn read(
        accessor: &Accessor<T, Self>,
        name: String,
        offset: u64,
        length: Option<u64>,
    ) -> Outcome<(StreamReader<u8>, FutureReader<Result<(), types::Error>>)> {
        let store = store(accessor)?;
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
        let (store, lease) = (store(accessor)?, held(accessor, &lease)?);
        ask! { store.put(&digest(&name)?, Bytes::from(data), &lease).await? }
    }

    async fn open_ingest(
        accessor: &Accessor<T, Self>,
        name: String,
        size: u64,
        lease: Resource<Lease>,
    ) -> Outcome<wit::IngestState> {
        let (store, lease) = (store(accessor)?, held(accessor, &lease)?);
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
        let (store, lease) = (store(accessor)?, held(accessor, &lease)?);
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
        let (store, lease) = (store(accessor)?, held(accessor, &lease)?);
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
        let store = store(accessor)?;
        ask! { sized(store.blobs().await?) }
    }

    async fn discard_ingests(accessor: &Accessor<T, Self>) -> Outcome<u64> {
        let store = store(accessor)?;
        ask! { store.discard_ingests().await? }
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        names: Vec<String>,
        generation: u64,
    ) -> Outcome<Vec<(String, u64)>> {
        let store = store(accessor)?;
        ask! { sized(store.delete(&digests(&names)?, generation).await?) }
    }

    async fn verify(accessor: &Accessor<T, Self>, name: String) -> Outcome<wit::Verdict> {
        let store = store(accessor)?;
        ask! {
            match store.verify(&digest(&name)?).await? {
                Verdict::Intact(size) => wit::Verdict::Intact(size),
                Verdict::Absent => wit::Verdict::Absent,
                Verdict::Damaged(reason) => wit::Verdict::Damaged(reason),
            }
        }
    }

    async fn note_missing(accessor: &Accessor<T, Self>, name: String) -> Outcome<()> {
        let store = store(accessor)?;
        ask! { store.note_missing(&digest(&name)?).await? }
    }

    async fn damaged(accessor: &Accessor<T, Self>) -> Outcome<Vec<(String, String)>> {
        let store = store(accessor)?;
        ask! {
            let damaged = store.damaged().await?.into_iter();
            damaged.map(|(digest, reason)| (digest.to_string(), reason)).collect()
        }
    }

    async fn quarantine(accessor: &Accessor<T, Self>, name: String) -> Outcome<()> {
        let store = store(accessor)?;
        ask! { store.quarantine(&digest(&name)?).await? }
    }

    async fn note_source(
        accessor: &Accessor<T, Self>,
        names: Vec<String>,
        repository: String,
    ) -> Outcome<()> {
        let store = store(accessor)?;
        ask! { store.note_source(&digests(&names)?, &repository).await? }
    }

    async fn sources(accessor: &Accessor<T, Self>, name: String) -> Outcome<Vec<String>> {
        let store = store(accessor)?;
        ask! { store.sources(&digest(&name)?).await? }
    }
}

fn sized(blobs: Vec<(Digest, u64)>) -> Vec<(String, u64)> {
    blobs
        .into_iter()
        .map(|(digest, size)| (digest.to_string(), size))
        .collect()
}
