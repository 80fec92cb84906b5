//! `strata:image/facts` over the store of the engine.

use wasmtime::component::Accessor;

use super::call::{Outcome, ask, digest, digests, store};
use crate::{
    bindings::strata::image::facts as wit,
    bounds::Ended,
    instance::{HasImports, Imports},
    types,
};

impl wit::Host for Imports<'_> {}

impl<T: 'static> wit::HostWithStore<T> for HasImports {
    async fn learn_layer(accessor: &Accessor<T, Self>, name: String) -> Outcome<wit::LayerFacts> {
        let store = store(accessor)?;
        let learned = async { Ok::<_, types::Error>(store.layer_facts(&digest(&name)?).await) };
        let facts = match learned.await {
            Ok(Ok(facts)) => facts,
            Ok(Err(strata_store::Error::Busy(_))) => return Err(wasmtime::Error::new(Ended::Busy)),
            Ok(Err(error)) => return Ok(Err(error.into())),
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(layer_facts(&facts)))
    }

    async fn known_layer(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> Outcome<Option<wit::LayerFacts>> {
        let store = store(accessor)?;
        ask! {
            let known = store.known_layer_facts(&digest(&name)?).await?;
            known.as_ref().map(layer_facts)
        }
    }

    async fn expect_diff_ids(
        accessor: &Accessor<T, Self>,
        layers: Vec<(String, String)>,
    ) -> Outcome<()> {
        let store = store(accessor)?;
        ask! {
            let layers = layers
                .iter()
                .map(|(layer, diff_id)| Ok((digest(layer)?, digest(diff_id)?)))
                .collect::<Result<Vec<_>, types::Error>>()?;
            store.expect_diff_ids(&layers).await?
        }
    }

    async fn recall(
        accessor: &Accessor<T, Self>,
        name: String,
        kind: String,
    ) -> Outcome<Option<Vec<u8>>> {
        let store = store(accessor)?;
        ask! { store.recall(&digest(&name)?, &kind).await? }
    }

    async fn remember(
        accessor: &Accessor<T, Self>,
        name: String,
        kind: String,
        data: Vec<u8>,
    ) -> Outcome<()> {
        let store = store(accessor)?;
        ask! { store.remember(&digest(&name)?, &kind, data).await? }
    }

    async fn recall_all(
        accessor: &Accessor<T, Self>,
        names: Vec<String>,
        kind: String,
    ) -> Outcome<Vec<Option<Vec<u8>>>> {
        let store = store(accessor)?;
        ask! { store.recall_all(&digests(&names)?, &kind).await? }
    }

    async fn remember_all(
        accessor: &Accessor<T, Self>,
        data: Vec<(String, Vec<u8>)>,
        kind: String,
    ) -> Outcome<()> {
        let store = store(accessor)?;
        ask! {
            let data = data.into_iter().map(|(name, data)| Ok((digest(&name)?, data)));
            let data = data.collect::<Result<Vec<_>, types::Error>>()?;
            store.remember_all(data, &kind).await?
        }
    }
}

fn layer_facts(facts: &strata_store::LayerFacts) -> wit::LayerFacts {
    wit::LayerFacts {
        diff_id: facts.diff_id.to_string(),
        size: facts.size,
    }
}
