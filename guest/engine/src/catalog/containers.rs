//! Which containers use an image.
//!
//! Containers have their own name space, read with the images' into one
//! [`Snapshot`]: a record's name is the container's ID, its labels say the rest.

use strata_oci::Digest;

use super::Snapshot;
use crate::Name;

/// The name space of containers.
pub(super) const CONTAINERS: &str = "containers";
/// Characters of a container's ID that people are shown.
const SHORT_ID: usize = 12;

/// A container, as far as images care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    /// Its ID.
    pub(crate) id: String,
    /// Target of the image it was made from: label `image`.
    pub(crate) image: Digest,
    /// The reference or ID it was made by: label `name`.
    pub(crate) name: String,
    /// Label `running` is `true`.
    pub(crate) running: bool,
}

impl Container {
    /// Reads a record; `None` if it does not say which image it uses.
    pub(super) fn from_record(record: &Name) -> Option<Self> {
        let label = |key: &str| {
            let found = record.labels.iter().find(|(name, _)| name == key);
            found.map(|(_, value)| value.as_str())
        };
        Some(Self {
            id: record.name.clone(),
            image: Digest::parse(label("image")?).ok()?,
            name: label("name").unwrap_or_default().to_owned(),
            running: label("running") == Some("true"),
        })
    }

    /// The short ID that conflict texts name.
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..SHORT_ID).unwrap_or(&self.id)
    }
}

impl Snapshot {
    /// The containers made from the image with this target.
    pub(crate) fn containers_using(&self, target: &Digest) -> &[Container] {
        self.containers.get(target).map_or(&[], Vec::as_slice)
    }
}
