//! Containers in full.

use std::collections::HashSet;

use strata_oci::{Platform, config::ContainerConfig};

use super::{
    list::is_about_one,
    model::{ContainerDetails, ContainerListOptions, ContainerSummary},
    record::{Record, Saved},
};
use crate::{Engine, Error, Host, Result, pace::Pace, rootfs::Root};

impl<H: Host> Engine<H> {
    /// One container in full. `size` adds that of all files, for which every layer is
    /// read.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if there is none; [`crate::Error::InvalidArgument`] if an ID prefix
    /// has several; [`crate::Error::Damaged`] if what is kept of it cannot be read.
    pub async fn container(&self, name: &str, size: bool) -> Result<ContainerDetails> {
        let read = self.reading(name, async |saved| {
            let size_total = match size {
                true => Some(self.total_size(&saved).await?),
                false => None,
            };
            Ok((saved, size_total))
        });
        let (saved, size_total) = read.await?;
        let size_changed = saved.changed_size;
        let Record {
            id,
            name,
            created,
            image,
            image_id,
            manifest,
            platform,
            config,
            host_config,
            networking_config,
        } = saved.record;
        Ok(ContainerDetails {
            id,
            name,
            image,
            image_id,
            manifest,
            platform,
            created,
            config,
            host_config,
            networking_config,
            size_changed,
            size_total,
            damaged: None,
        })
    }

    /// Every container in full, newest first. One that cannot be read says so, and hides no other.
    ///
    /// # Errors
    /// As [`Engine::containers`].
    pub async fn containers_in_full(&self) -> Result<Vec<ContainerDetails>> {
        let options = ContainerListOptions {
            all: true,
            ..ContainerListOptions::default()
        };
        let listed = self.containers(&options).await?;
        let mut all = Vec::with_capacity(listed.len());
        for mut summary in listed {
            if summary.damaged.is_none() {
                match self.container(&summary.id, false).await {
                    Ok(details) => {
                        all.push(details);
                        continue;
                    }
                    // Removed since it was listed.
                    Err(Error::NotFound(_)) => continue,
                    Err(error) if is_about_one(&error) => {
                        summary.damaged = Some(error.to_string());
                    }
                    Err(error) => return Err(error),
                }
            }
            all.push(ContainerDetails::unreadable(summary));
        }
        Ok(all)
    }

    pub(super) async fn total_size(&self, saved: &Saved) -> Result<u64> {
        let root = self.root(saved).await?;
        Ok(size_from(&root, 0).await)
    }
}

impl ContainerDetails {
    /// What is known of a container whose record cannot be read.
    fn unreadable(summary: ContainerSummary) -> Self {
        Self {
            id: summary.id,
            name: summary.name,
            image: summary.image,
            image_id: summary.image_id,
            manifest: summary.manifest,
            platform: Platform::default(),
            created: (summary.created, 0),
            config: ContainerConfig::default(),
            host_config: None,
            networking_config: None,
            size_changed: 0,
            size_total: None,
            damaged: summary.damaged,
        }
    }
}

/// Bytes of the files whose content lies in this layer or above, each file once.
pub(super) async fn size_from(root: &Root, layer: u32) -> u64 {
    let mut seen = HashSet::new();
    let mut size: u64 = 0;
    let mut pace = Pace::default();
    for node in root.tree.walk(b"") {
        pace.steps(1).await;
        if let Some((content, link)) = root.tree.content(node)
            && content.layer >= layer
            && link.is_none_or(|link| seen.insert(link))
        {
            size = size.saturating_add(content.size);
        }
    }
    size
}
