//! The image of eleven layers in the store of every contender, for what starts from a store that has it.

use crate::daemon::Containerd;
use crate::fixture::{Debian, NAME};
use crate::peer::{Peers, measure, place};
use crate::podman::Podman;
use crate::served::Served;
use crate::workload;
use anyhow::Result;
use std::path::Path;
use strata_tests::registry::Registry;
use strata_tests::server::Server;
use tempfile::TempDir;

/// Who has the image.
pub(crate) struct Stock {
    /// Under [`NAME`].
    pub(crate) strata: Served,
    /// skopeo's: an OCI layout with the image under [`NAME`].
    layout: TempDir,
    /// Under [`Self::reference`].
    pub(crate) podman: Option<Podman>,
    /// Under [`Self::reference`].
    pub(crate) containerd: Option<Containerd>,
    /// Where podman and containerd have it from, and so its name there.
    pub(crate) reference: String,
}

/// Puts the image into strata's store, under [`NAME`].
pub(crate) async fn fill(image: &Debian, store: &Path) -> Result<()> {
    image.layout(store)?;
    // The names of a layout are adopted at the first start, which is no part of any measurement.
    Server::start(store, &[]).await?.terminate().await?;
    Ok(())
}

impl Stock {
    pub(crate) async fn new(image: &Debian, registry: &Registry, peers: &Peers) -> Result<Self> {
        eprintln!("giving the image to every contender");
        let reference = workload::debian(registry).await?.reference;
        let layout = place()?;
        image.layout(layout.path())?;
        let ours = place()?;
        fill(image, &ours.path().join("store")).await?;
        let podman = peers.podman_store()?;
        if let Some(podman) = &podman {
            measure(podman.command(&["pull", "--quiet", "--tls-verify=false", &reference])).await?;
        }
        let containerd = peers.containerd().await?;
        if let Some(containerd) = &containerd {
            measure(containerd.ctr(&["content", "fetch", "--plain-http", &reference])).await?;
        }
        Ok(Self {
            strata: Served::on(ours).await?,
            layout,
            podman,
            containerd,
            reference,
        })
    }

    /// skopeo's name of the image.
    pub(crate) fn in_layout(&self) -> String {
        format!("oci:{}:{NAME}", self.layout.path().display())
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.strata.stop().await?;
        if let Some(containerd) = self.containerd {
            containerd.stop().await?;
        }
        Ok(())
    }
}
