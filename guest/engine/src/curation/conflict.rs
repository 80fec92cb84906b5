//! Why an image may not be removed; the texts are dockerd's.

use strata_oci::Digest;

use crate::{Error, catalog::Container};

/// The ID stands for names in several repositories or with several tags.
pub(super) fn several_repositories(id: &Digest) -> Error {
    forcible(id.short(), "image is referenced in multiple repositories")
}

/// A name is the image's last one and a container uses the image.
pub(super) fn name_in_use(familiar: &str, container: &Container, id: &Digest) -> Error {
    let container = container.short_id();
    let reason = format!(
        "container {container} is using its referenced image {}",
        id.short()
    );
    forcible(familiar, &reason)
}

/// Why `containers` keep the image with this ID from going: a running one always,
/// a stopped one unless forced.
pub(super) fn in_use(id: &Digest, containers: &[Container], force: bool) -> Option<Error> {
    if let Some(container) = containers.iter().find(|container| container.running) {
        return Some(Error::Conflict(format!(
            "conflict: unable to delete {} (cannot be forced) - image is being used by running container {}",
            id.short(),
            container.short_id()
        )));
    }
    let stopped = containers.first().filter(|_| !force)?;
    let reason = format!(
        "image is being used by stopped container {}",
        stopped.short_id()
    );
    Some(forcible(id.short(), &reason))
}

fn forcible(what: &str, reason: &str) -> Error {
    Error::Conflict(format!(
        "conflict: unable to delete {what} (must be forced) - {reason}"
    ))
}
