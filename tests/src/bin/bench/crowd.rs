//! A thousand idle connections and thirty-two pulls of different images at once.

use crate::peer::{peak_memory, place};
use crate::table::{Table, mib, time};
use crate::wire::KeepAlive;
use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Instant;
use strata_tests::image::{Image, Schema};
use strata_tests::layer::Layer;
use strata_tests::registry::Registry;
use strata_tests::server::Server;

const IDLE: usize = 1000;
const PULLS: u64 = 32;
const LAYER: usize = 8 << 20;

/// Lets this process have as many connections as it may. Called when the server has started: what that needs it must ask for
/// itself.
pub(crate) fn all_connections() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?;
    Ok(())
}

pub(crate) async fn idle_connections_and_pulls(table: &mut Table) -> Result<()> {
    let registry = Registry::start().await?;
    let mut references = Vec::new();
    for seed in 0..PULLS {
        let image = Image::builder(Schema::Oci)
            .layer(Layer::noise(seed, LAYER)?, "COPY noise /")
            .build();
        references.push(registry.push(&format!("crowd/{seed}"), "1", &image).await?);
    }
    let folder = place()?;
    let server = Server::start(&folder.path().join("store"), &[]).await?;
    all_connections()?;
    let mut idle = Vec::new();
    for number in 0..IDLE {
        let mut connection = KeepAlive::open(&server.host)?;
        connection
            .request("GET", "/_ping")
            .with_context(|| format!("connection {number}"))?;
        idle.push(connection);
    }
    let start = Instant::now();
    let pulls = references
        .iter()
        .map(|reference| async { server.pull(reference).await?.ok() });
    futures::future::try_join_all(pulls).await?;
    let wall = start.elapsed();
    for (number, connection) in idle.iter_mut().enumerate() {
        connection
            .request("GET", "/_ping")
            .with_context(|| format!("connection {number}, after the pulls"))?;
    }
    let what = format!(
        "{PULLS} pulls of {} each beside {IDLE} idle connections",
        mib(LAYER as u64)
    );
    let peak = mib(peak_memory(server.pid())?);
    table.row(
        &what,
        format!("all succeed in {}", time(wall)),
        format!("peak memory {peak}"),
        "all succeed",
    );
    server.kill().await
}
