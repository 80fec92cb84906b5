//! `strata serve` as a contender: one request at a time, with its time and the peak memory of the server.

use crate::peer::{Run, peak_memory, place, reset_peak_memory};
use crate::wire::{Answer, Body, KeepAlive};
use anyhow::Result;
use std::path::PathBuf;
use std::time::Instant;
use strata_tests::server::Server;
use tempfile::TempDir;

/// The answer of an operation this build does not have.
const NOT_IMPLEMENTED: u16 = 501;

/// A server and its store.
pub(crate) struct Served {
    server: Server,
    place: TempDir,
}

impl Served {
    /// On an empty store.
    pub(crate) async fn start() -> Result<Self> {
        Self::on(place()?).await
    }

    /// On the store in the folder `store` of `place`.
    pub(crate) async fn on(place: TempDir) -> Result<Self> {
        let server = Server::start(&place.path().join("store"), &[]).await?;
        server.answers().await?;
        Ok(Self { server, place })
    }

    /// Where its store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.place.path().join("store")
    }

    /// Whether this build has the operation: asked with an empty request.
    pub(crate) fn serves(&self, method: &str, path: &str) -> Result<bool> {
        Ok(self.ask(method, path, Body::Empty)?.status != NOT_IMPLEMENTED)
    }

    /// A request that is not measured.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Body<'_>) -> Result<Answer> {
        KeepAlive::open(&self.server.host)?.send(method, path, body)
    }

    /// Measures one exchange over a new connection.
    pub(crate) fn timed(
        &self,
        exchange: impl FnOnce(&mut KeepAlive) -> Result<Answer>,
    ) -> Result<(Run, Answer)> {
        let mut connection = KeepAlive::open(&self.server.host)?;
        reset_peak_memory(self.server.pid())?;
        let start = Instant::now();
        let answer = exchange(&mut connection)?;
        let wall = start.elapsed();
        let peak = peak_memory(self.server.pid())?;
        Ok((Run { wall, peak }, answer))
    }

    /// Where it listens.
    pub(crate) fn host(&self) -> &str {
        &self.server.host
    }

    /// Another server on the same store.
    pub(crate) async fn restarted(self) -> Result<Self> {
        self.server.terminate().await?;
        Self::on(self.place).await
    }

    /// Ends it and removes its store.
    pub(crate) async fn stop(self) -> Result<()> {
        self.server.kill().await
    }
}
