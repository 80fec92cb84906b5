//! Facts about layers and derived data, as the native store keeps them.

use async_trait::async_trait;

use super::Store;
use crate::backend::Facts;
use crate::sync::blocking;
use crate::{Digest, Error, LayerFacts, derived};

#[async_trait]
impl Facts for Store {
    async fn layer_facts(&self, digest: &Digest) -> Result<LayerFacts, Error> {
        self.parts.facts.on_demand(digest).await
    }

    async fn known_layer_facts(&self, digest: &Digest) -> Result<Option<LayerFacts>, Error> {
        self.parts.facts.known(digest).await
    }

    async fn expect_diff_ids(&self, layers: &[(Digest, Digest)]) -> Result<(), Error> {
        self.parts.layout.check_writable("diff-ids")?;
        let (facts, layers) = (self.parts.facts.clone(), layers.to_vec());
        blocking(move || facts.expect(&layers)).await
    }

    async fn recall(&self, subject: &Digest, kind: &str) -> Result<Option<Vec<u8>>, Error> {
        derived::check_kind(kind)?;
        let kept = &self.parts.derived;
        match kept.stored_size(subject, kind) {
            None => Ok(None),
            Some(size) if size <= derived::INLINE => Ok(kept.recall(subject, kind)),
            Some(_) => {
                let _permit = kept.permits.acquire().await;
                let (kept, subject, kind) = (kept.clone(), subject.clone(), kind.to_owned());
                blocking(move || Ok(kept.recall(&subject, &kind))).await
            }
        }
    }

    async fn remember(&self, subject: &Digest, kind: &str, data: Vec<u8>) -> Result<(), Error> {
        let kept = self.parts.derived.clone();
        let (subject, kind) = (subject.clone(), kind.to_owned());
        blocking(move || kept.remember(&subject, &kind, &data)).await
    }

    async fn recall_all(
        &self,
        subjects: &[Digest],
        kind: &str,
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let packs = self.parts.derived.packs.clone();
        let (subjects, kind) = (subjects.to_vec(), kind.to_owned());
        let known = blocking(move || packs.recall(&subjects, &kind)).await?;
        self.parts.derived.packs.look_soon();
        Ok(known)
    }

    async fn remember_all(&self, data: Vec<(Digest, Vec<u8>)>, kind: &str) -> Result<(), Error> {
        let (packs, kind) = (self.parts.derived.packs.clone(), kind.to_owned());
        blocking(move || packs.remember(data, &kind)).await?;
        self.parts.derived.packs.look_soon();
        Ok(())
    }
}
