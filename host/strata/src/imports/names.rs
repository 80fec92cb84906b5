//! `strata:image/names` over the store of the engine.

use strata_store::{Change, Expectation, Name, Target};
use wasmtime::component::{Access, Accessor};

use super::call::{Outcome, ask, digest, store};
use crate::{
    bindings::strata::image::names as wit,
    instance::{HasImports, Imports},
    types,
};

impl wit::Host for Imports<'_> {}

impl<T: 'static> wit::HostWithStore<T> for HasImports {
    async fn namespaces(accessor: &Accessor<T, Self>) -> Outcome<Vec<String>> {
        let store = store(accessor)?;
        ask! { store.namespaces().await? }
    }

    fn generation(mut access: Access<'_, T, Self>) -> Outcome<u64> {
        Ok(access.get().shared.store.generation().map_err(Into::into))
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        namespace: String,
    ) -> Outcome<(u64, Vec<wit::Name>)> {
        let store = store(accessor)?;
        ask! {
            let (generation, names) = store.names(&namespace).await?;
            (generation, names.iter().map(name).collect())
        }
    }

    async fn apply(
        accessor: &Accessor<T, Self>,
        changes: Vec<wit::Change>,
        generation: Option<u64>,
    ) -> Outcome<u64> {
        let store = store(accessor)?;
        ask! {
            let changes = changes
                .into_iter()
                .map(change)
                .collect::<Result<Vec<_>, types::Error>>()?;
            store.apply(changes, generation).await?
        }
    }
}

fn name(name: &Name) -> wit::Name {
    wit::Name {
        name: name.name.clone(),
        target: types::Descriptor {
            media_type: name.target.media_type.clone(),
            digest: name.target.digest.to_string(),
            size: name.target.size,
        },
        labels: name.labels.clone(),
        created: name.created,
        updated: name.updated,
    }
}

fn expectation(expected: wit::Expectation) -> Result<Expectation, types::Error> {
    Ok(match expected {
        wit::Expectation::Any => Expectation::Any,
        wit::Expectation::Absent => Expectation::Absent,
        wit::Expectation::Target(target) => Expectation::Target(digest(&target)?),
    })
}

fn change(change: wit::Change) -> Result<Change, types::Error> {
    Ok(match change {
        wit::Change::Set(set) => Change::Set {
            namespace: set.namespace,
            name: set.name,
            target: Target {
                digest: digest(&set.target.digest)?,
                media_type: set.target.media_type,
                size: set.target.size,
            },
            labels: set.labels,
            expected: expectation(set.expected)?,
        },
        wit::Change::Remove(remove) => Change::Remove {
            namespace: remove.namespace,
            name: remove.name,
            expected: expectation(remove.expected)?,
        },
    })
}
