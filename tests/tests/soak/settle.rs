//! What must hold when nothing is under way: between rounds, and at the end.

use crate::worker::Worker;
use crate::world::{Seat, World};
use anyhow::{Context, Result, ensure};
use hyper::Method;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use strata_tests::http::Answer;
use strata_tests::poll::until;
use strata_tests::server::escape;
use strata_tests::store;

/// Everything is as it must be, and from now on nothing is in doubt.
pub(crate) async fn settle(
    world: &World,
    workers: &mut [Worker],
    seat: &Arc<Seat>,
    last: bool,
) -> Result<()> {
    for worker in &mut *workers {
        worker.seat = Arc::clone(seat);
        worker.removes_what_is_spoiled().await?;
    }
    // What is spoiled may have lost its name and be there all the same. Another prune may just be ending.
    let mut refused = String::new();
    let pruned = until("a prune to be possible", async || {
        let output = world.command("strata prune", &["prune", "--force"]).await;
        let output = output.and_then(strata_tests::client::Output::ok);
        output.map_err(|error| refused = format!("{error:#}")).ok()
    });
    pruned.await.context(refused)?;
    for worker in &mut *workers {
        let what = format!("worker {}", worker.number);
        worker.settles(last).await.context(what)?;
    }
    store::settles(world.store()).await
}

impl Worker {
    /// The answer, however often one must ask for it.
    async fn sure(&self, what: &'static str, method: Method, path: &str) -> Result<Answer> {
        let asked = until(what, async || {
            self.ask(what, method.clone(), path, "").await.transpose()
        });
        asked.await?.with_context(|| format!("{what} {path}"))
    }

    async fn settles(&mut self, last: bool) -> Result<()> {
        self.mends().await?;
        let listed = until("a list", async || self.listed().await.transpose()).await??;
        let names: BTreeSet<String> = self
            .model
            .names()
            .into_iter()
            .chain(listed.keys().cloned())
            .collect();
        for name in names {
            self.model
                .settle(&name, listed.get(&name).map(String::as_str))?;
        }
        self.containers_settle().await?;
        for (name, digest) in self.model.images() {
            let path = format!("/images/{name}/json");
            let inspected = self.sure("inspect", Method::GET, &path).await?;
            let id = &inspected.expect_status(&[200])?.json()?["Id"];
            ensure!(id == digest.as_str(), "{name} is {id}, not {digest}");
            if last || self.dice.below(4) == 0 {
                let path = format!("/images/get?names={}", escape(&name));
                let saved = self.sure("save", Method::GET, &path).await?;
                let saved = saved.expect_status(&[200])?;
                self.is_saved(&digest, &saved.body)
                    .with_context(|| format!("save {name}"))?;
            }
        }
        Ok(())
    }

    async fn containers_settle(&mut self) -> Result<()> {
        let listed = until("a list", async || {
            self.listed_containers().await.transpose()
        });
        let listed = listed.await??;
        for name in &listed {
            ensure!(self.model.containers.contains_key(name), "{name}: nobody's");
        }
        for (name, container) in self.model.containers.clone() {
            if !listed.contains(&name) {
                ensure!(container.doubtful, "{name} is not in the list");
                self.model.containers.remove(&name);
                continue;
            }
            for (file, seeds) in container.files {
                let path = format!("/containers/{name}/archive?path=/{file}");
                let answer = self.sure("cp out", Method::GET, &path).await?;
                let answer = answer.expect_status(&[200, 404])?;
                let mut files = match answer.status {
                    200 => crate::containers::unpacked(&answer.body)?,
                    _ => Default::default(),
                };
                let seen = files.remove(&file);
                self.model.sees_file(&name, &file, seen.as_deref())?;
                let is_it = |seed: &u64| seen.as_deref() == Some(&crate::model::content(*seed));
                let seed = seeds.into_iter().flatten().find(is_it);
                let files = &mut self.model.container(&name)?.files;
                match seed {
                    Some(seed) => drop(files.insert(file, vec![Some(seed)])),
                    None => drop(files.remove(&file)),
                }
            }
            let container = self.model.container(&name)?;
            (container.certain, container.doubtful) = (true, false);
        }
        Ok(())
    }

    /// Nothing of its own is locked.
    async fn removes_all(&mut self) -> Result<()> {
        for name in self.model.certain_containers() {
            let path = format!("/containers/{name}?force=1");
            let removed = self.sure("rm", Method::DELETE, &path).await?;
            removed.expect_status(&[204]).context(path)?;
        }
        for (name, _) in self.model.images() {
            let path = format!("/images/{name}?force=1");
            let removed = self.sure("rmi", Method::DELETE, &path).await?;
            removed.expect_status(&[200]).context(path)?;
        }
        Ok(())
    }
}

/// All can be removed, and then nothing is left, on the server that met the last faults.
pub(crate) async fn empties(world: &World, workers: &mut [Worker], seat: &Seat) -> Result<()> {
    let checked = world.command("strata check", &["check", "--quiet"]).await?;
    ensure!(checked.status == 0, "{checked:?}");
    for worker in &mut *workers {
        worker.removes_all().await?;
    }
    let large = seat
        .http
        .delete(&format!("/images/{}?force=1", world.large))
        .await?;
    large.expect_status(&[200])?;
    let mut last = String::new();
    // What was under way when its client left still ends.
    let emptied = until("everything to go", async || {
        let empty = is_empty(world, seat).await;
        empty.map_err(|error| last = format!("{error:#}")).ok()
    });
    emptied.await.context(last)
}

async fn is_empty(world: &World, seat: &Seat) -> Result<()> {
    let filters = escape(r#"{"dangling":["false"]}"#);
    let pruned = seat
        .http
        .post(&format!("/images/prune?filters={filters}"))
        .await?;
    pruned.expect_status(&[200])?;
    let blobs = store::blobs(world.store())?;
    ensure!(blobs.is_empty(), "left after prune: {blobs:?}");
    for folder in ["ingest", "quarantine", "trash"] {
        let files = fs::read_dir(world.store().join(".strata").join(folder));
        let left = files.map_or(0, Iterator::count);
        ensure!(left == 0, "{left} files in {folder}");
    }
    Ok(())
}
