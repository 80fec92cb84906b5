//! `strata:image/leases` over the store of the engine.

use wasmtime::component::{Access, Accessor, Resource};

use super::call::{Outcome, ask, store};
use crate::{
    bindings::strata::image::leases as wit,
    instance::{HasImports, Imports},
};

/// Content kept and locks held, behind the guest's `leases.lease`: given back when the guest
/// drops it, or when its instance is gone.
#[allow(
    unreachable_pub,
    reason = "the generated bindings re-export it, so it must be pub"
)]
pub struct Lease(strata_store::Lease);

/// The lease behind a handle. A clone, as nothing in the table may be held across an await.
pub(super) fn held<T: 'static>(
    accessor: &Accessor<T, HasImports>,
    lease: &Resource<Lease>,
) -> wasmtime::Result<strata_store::Lease> {
    accessor.with(|mut access| Ok(access.get().entered()?.table.get(lease)?.0.clone()))
}

/// [`held`], if there is a handle.
pub(super) fn held_by<T: 'static>(
    accessor: &Accessor<T, HasImports>,
    lease: Option<&Resource<Lease>>,
) -> wasmtime::Result<Option<strata_store::Lease>> {
    lease.map(|lease| held(accessor, lease)).transpose()
}

impl wit::Host for Imports<'_> {}
impl wit::HostLease for Imports<'_> {}

impl<T: 'static> wit::HostLeaseWithStore<T> for HasImports {
    async fn lock(
        accessor: &Accessor<T, Self>,
        this: Resource<Lease>,
        name: String,
    ) -> Outcome<bool> {
        let lease = held(accessor, &this)?;
        ask! { lease.lock(&name).await? }
    }

    fn drop(mut access: Access<'_, T, Self>, this: Resource<Lease>) -> wasmtime::Result<()> {
        access.get().table.delete(this)?;
        Ok(())
    }
}

impl<T: 'static> wit::HostWithStore<T> for HasImports {
    async fn acquire(accessor: &Accessor<T, Self>) -> Outcome<Resource<Lease>> {
        match store(accessor)?.acquire_lease().await {
            Ok(lease) => {
                accessor.with(|mut access| Ok(Ok(access.get().table.push(Lease(lease))?)))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }
}
