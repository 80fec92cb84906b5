//! The host's store.

use strata_engine::{
    Change, Expectation, Ingest, IngestState, LayerFacts, Lease, Name, Result, Stage, Store,
    Target, Verdict,
};
use strata_oci::Digest;

use super::WasiBody;
use crate::{
    bindings::strata::image::{content, facts, leases, names, types},
    convert::{digest_from_wit, error_from_wit},
};

/// The engine's store.
pub(crate) struct HostStore;

/// A blob being written by the host.
pub(crate) struct HostIngest(content::Ingest);

impl Ingest for HostIngest {
    type Body = WasiBody;

    fn offset(&self) -> u64 {
        self.0.offset()
    }

    async fn append(&self, body: WasiBody) -> Result<u64> {
        body.pass(async |stream| self.0.append(stream).await.map_err(error_from_wit))
            .await
    }

    async fn write(&self, bytes: Vec<u8>) -> Result<u64> {
        let mut offset = self.0.offset();
        for part in parts(bytes) {
            offset = self.0.write(part).await.map_err(error_from_wit)?;
        }
        Ok(offset)
    }

    async fn commit(&self) -> Result<()> {
        self.0.commit().await.map_err(error_from_wit)
    }

    async fn reset(&self) -> Result<()> {
        self.0.reset().await.map_err(error_from_wit)
    }
}

/// A blob the host is writing whose digest is not known yet.
pub(crate) struct HostStage(content::Stage);

impl Stage for HostStage {
    async fn write(&self, bytes: Vec<u8>) -> Result<()> {
        for part in parts(bytes) {
            self.0.write(part).await.map_err(error_from_wit)?;
        }
        Ok(())
    }

    async fn finish(&self) -> Result<(Digest, u64)> {
        let (digest, size) = self.0.finish().await.map_err(error_from_wit)?;
        Ok((digest_from_wit(&digest)?, size))
    }
}

/// A lease of the host.
pub(crate) struct HostLease(leases::Lease);

impl Lease for HostLease {
    async fn lock(&self, name: &str) -> Result<bool> {
        self.0.lock(name.to_owned()).await.map_err(error_from_wit)
    }
}

fn layer_facts_from_wit(facts: &facts::LayerFacts) -> Result<LayerFacts> {
    Ok(LayerFacts {
        diff_id: digest_from_wit(&facts.diff_id)?,
        size: facts.size,
    })
}

/// Bytes in parts of at most what the store takes at once.
fn parts(bytes: Vec<u8>) -> impl Iterator<Item = Vec<u8>> {
    const MOST: usize = 1 << 20;
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let mut part = rest.take()?;
        if part.len() > MOST {
            rest = Some(part.split_off(MOST));
        }
        Some(part)
    })
}

impl Store for HostStore {
    type Body = WasiBody;
    type Ingest = HostIngest;
    type Stage = HostStage;
    type Lease = HostLease;

    async fn stat(&self, digest: &Digest, lease: Option<&HostLease>) -> Result<Option<u64>> {
        content::stat(digest.to_string(), lease.map(|lease| &lease.0))
            .await
            .map_err(error_from_wit)
    }

    async fn stat_all(
        &self,
        digests: &[Digest],
        lease: Option<&HostLease>,
    ) -> Result<Vec<Option<u64>>> {
        content::stat_all(strings(digests), lease.map(|lease| &lease.0))
            .await
            .map_err(error_from_wit)
    }

    async fn get(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        content::get(digest.to_string(), limit)
            .await
            .map_err(error_from_wit)
    }

    async fn read(&self, digest: &Digest, offset: u64, length: Option<u64>) -> Result<WasiBody> {
        let (stream, result) = content::read(digest.to_string(), offset, length)
            .await
            .map_err(error_from_wit)?;
        Ok(WasiBody::of_host(stream, result))
    }

    async fn put(&self, digest: &Digest, data: Vec<u8>, lease: &HostLease) -> Result<()> {
        content::put(digest.to_string(), data, &lease.0)
            .await
            .map_err(error_from_wit)
    }

    async fn open_ingest(
        &self,
        digest: &Digest,
        size: u64,
        lease: &HostLease,
    ) -> Result<IngestState<HostIngest>> {
        let state = content::open_ingest(digest.to_string(), size, &lease.0)
            .await
            .map_err(error_from_wit)?;
        Ok(match state {
            content::IngestState::Present => IngestState::Present,
            content::IngestState::Busy(current) => IngestState::Busy(current),
            content::IngestState::Open(ingest) => IngestState::Open(HostIngest(ingest)),
        })
    }

    async fn open_own_ingest(
        &self,
        digest: &Digest,
        size: u64,
        continues: bool,
        lease: &HostLease,
    ) -> Result<HostIngest> {
        content::open_own_ingest(digest.to_string(), size, continues, &lease.0)
            .await
            .map(HostIngest)
            .map_err(error_from_wit)
    }

    async fn stage(&self, lease: &HostLease) -> Result<HostStage> {
        content::open_stage(&lease.0, None)
            .await
            .map(HostStage)
            .map_err(error_from_wit)
    }

    async fn stage_like(&self, lease: &HostLease, like: &Digest) -> Result<HostStage> {
        content::open_stage(&lease.0, Some(like.to_string()))
            .await
            .map(HostStage)
            .map_err(error_from_wit)
    }

    async fn decompress(&self, body: WasiBody) -> Result<WasiBody> {
        body.decompressed().await
    }

    async fn layer_facts(&self, digest: &Digest) -> Result<LayerFacts> {
        let facts = facts::learn_layer(digest.to_string())
            .await
            .map_err(error_from_wit)?;
        layer_facts_from_wit(&facts)
    }

    async fn known_layer(&self, digest: &Digest) -> Result<Option<LayerFacts>> {
        let known = facts::known_layer(digest.to_string())
            .await
            .map_err(error_from_wit)?;
        known.as_ref().map(layer_facts_from_wit).transpose()
    }

    async fn expect_diff_ids(&self, layers: &[(Digest, Digest)]) -> Result<()> {
        let layers = layers
            .iter()
            .map(|(layer, diff_id)| (layer.to_string(), diff_id.to_string()))
            .collect();
        facts::expect_diff_ids(layers).await.map_err(error_from_wit)
    }

    async fn blobs(&self) -> Result<Vec<(Digest, u64)>> {
        sized(content::blobs().await.map_err(error_from_wit)?)
    }

    async fn discard_ingests(&self) -> Result<u64> {
        content::discard_ingests().await.map_err(error_from_wit)
    }

    async fn delete(&self, digests: &[Digest], generation: u64) -> Result<Vec<(Digest, u64)>> {
        sized(
            content::delete(strings(digests), generation)
                .await
                .map_err(error_from_wit)?,
        )
    }

    async fn verify(&self, digest: &Digest) -> Result<Verdict> {
        let verdict = content::verify(digest.to_string()).await;
        Ok(match verdict.map_err(error_from_wit)? {
            content::Verdict::Intact(size) => Verdict::Intact(size),
            content::Verdict::Absent => Verdict::Absent,
            content::Verdict::Damaged(reason) => Verdict::Damaged(reason),
        })
    }

    async fn note_missing(&self, digest: &Digest) -> Result<()> {
        content::note_missing(digest.to_string())
            .await
            .map_err(error_from_wit)
    }

    async fn damaged(&self) -> Result<Vec<(Digest, String)>> {
        let damaged = content::damaged().await.map_err(error_from_wit)?;
        let damaged = damaged.into_iter();
        damaged
            .map(|(digest, reason)| Ok((digest_from_wit(&digest)?, reason)))
            .collect()
    }

    async fn quarantine(&self, digest: &Digest) -> Result<()> {
        content::quarantine(digest.to_string())
            .await
            .map_err(error_from_wit)
    }

    async fn note_source(&self, digests: &[Digest], repository: &str) -> Result<()> {
        content::note_source(strings(digests), repository.to_owned())
            .await
            .map_err(error_from_wit)
    }

    async fn sources(&self, digest: &Digest) -> Result<Vec<String>> {
        content::sources(digest.to_string())
            .await
            .map_err(error_from_wit)
    }

    async fn recall(&self, subject: &Digest, kind: &str) -> Result<Option<Vec<u8>>> {
        facts::recall(subject.to_string(), kind.to_owned())
            .await
            .map_err(error_from_wit)
    }

    async fn remember(&self, subject: &Digest, kind: &str, data: Vec<u8>) -> Result<()> {
        facts::remember(subject.to_string(), kind.to_owned(), data)
            .await
            .map_err(error_from_wit)
    }

    async fn recall_all(&self, subjects: &[Digest], kind: &str) -> Result<Vec<Option<Vec<u8>>>> {
        facts::recall_all(strings(subjects), kind.to_owned())
            .await
            .map_err(error_from_wit)
    }

    async fn remember_all(&self, data: Vec<(Digest, Vec<u8>)>, kind: &str) -> Result<()> {
        let data = data.into_iter();
        let data = data.map(|(subject, data)| (subject.to_string(), data));
        facts::remember_all(data.collect(), kind.to_owned())
            .await
            .map_err(error_from_wit)
    }

    async fn namespaces(&self) -> Result<Vec<String>> {
        names::namespaces().await.map_err(error_from_wit)
    }

    fn generation(&self) -> Result<u64> {
        names::generation().map_err(error_from_wit)
    }

    async fn names(&self, namespace: &str) -> Result<(u64, Vec<Name>)> {
        let (generation, found) = names::list(namespace.to_owned())
            .await
            .map_err(error_from_wit)?;
        let names = found
            .into_iter()
            .map(|name| {
                Ok(Name {
                    name: name.name,
                    target: target_from_wit(name.target)?,
                    labels: name.labels,
                    created: name.created,
                    updated: name.updated,
                })
            })
            .collect::<Result<_>>()?;
        Ok((generation, names))
    }

    async fn apply(&self, changes: Vec<Change>, generation: Option<u64>) -> Result<u64> {
        names::apply(changes.into_iter().map(change).collect(), generation)
            .await
            .map_err(error_from_wit)
    }

    async fn acquire_lease(&self) -> Result<HostLease> {
        leases::acquire()
            .await
            .map(HostLease)
            .map_err(error_from_wit)
    }
}

fn strings(digests: &[Digest]) -> Vec<String> {
    digests.iter().map(Digest::to_string).collect()
}

fn sized(blobs: Vec<(String, u64)>) -> Result<Vec<(Digest, u64)>> {
    blobs
        .into_iter()
        .map(|(digest, size)| Ok((digest_from_wit(&digest)?, size)))
        .collect()
}

fn target_from_wit(target: types::Descriptor) -> Result<Target> {
    Ok(Target {
        digest: digest_from_wit(&target.digest)?,
        media_type: target.media_type,
        size: target.size,
    })
}

fn expectation(expected: Expectation) -> names::Expectation {
    match expected {
        Expectation::Any => names::Expectation::Any,
        Expectation::Absent => names::Expectation::Absent,
        Expectation::Target(digest) => names::Expectation::Target(digest.to_string()),
    }
}

fn change(change: Change) -> names::Change {
    match change {
        Change::Set {
            namespace,
            name,
            target,
            labels,
            expected,
        } => names::Change::Set(names::SetName {
            namespace,
            name,
            target: types::Descriptor {
                media_type: target.media_type,
                digest: target.digest.to_string(),
                size: target.size,
            },
            labels,
            expected: expectation(expected),
        }),
        Change::Remove {
            namespace,
            name,
            expected,
        } => names::Change::Remove(names::RemoveName {
            namespace,
            name,
            expected: expectation(expected),
        }),
    }
}
