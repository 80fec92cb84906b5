//! Commands beside the server, on the same store, some of them killed in the middle.

use crate::containers::{copied, unpacked};
use crate::model::State;
use crate::worker::Worker;
use anyhow::{Context, Result, ensure};
use std::process::Stdio;
use std::time::Duration;
use strata_tests::client::{Output, home};
use strata_tests::server::command;
use strata_tests::workspace;
use tokio::io::AsyncWriteExt as _;

/// Longer than any of the commands takes when nothing else runs, in microseconds.
const LONGEST: u64 = 120_000;

impl Worker {
    pub(crate) async fn command(&mut self) -> Result<()> {
        let world = std::sync::Arc::clone(&self.world);
        let image = self.some_image().await?;
        let container = self.some_container().await?;
        match (self.dice.below(9), image, container) {
            (0, Some((name, digest)), _) => {
                let output = world.command("strata inspect", &["inspect", &name]).await?;
                let text = output.ok()?;
                ensure!(text.contains(&digest), "{name}: {text}");
            }
            (1, Some((name, digest)), _) => {
                let target = format!("{}tag:{}", self.prefix, self.dice.below(4));
                world
                    .command("strata tag", &["tag", &name, &target])
                    .await?
                    .ok()?;
                self.model.set(&target, State::Is(digest));
            }
            (2, Some((name, digest)), _) => {
                let output = world.command("strata save", &["save", &name]).await?;
                self.is_saved(&digest, &output.archive()?)?;
            }
            (3, Some((name, _)), _) => {
                world
                    .command("strata rmi", &["rmi", "--force", &name])
                    .await?
                    .ok()?;
                self.model.set(&name, State::Absent);
            }
            (4, _, Some(container)) => {
                for file in self.files(&container) {
                    let from = format!("{container}:/{file}");
                    let output = world.command("strata cp", &["cp", &from, "-"]).await?;
                    let files = unpacked(&output.archive()?)?;
                    let seen = files.get(&file).map(Vec::as_slice);
                    self.model.sees_file(&container, &file, seen)?;
                }
            }
            (5, _, Some(container)) => {
                let name = self.fresh_name("committed");
                let args = ["commit", &container, &name];
                world.command("strata commit", &args).await?.ok()?;
                let output = world.command("strata inspect", &["inspect", &name]).await?;
                let text = output.ok()?;
                let inspected: serde_json::Value = serde_json::from_str(&text)?;
                let id = inspected[0]["Id"].as_str().context(text.clone())?;
                self.model.set(&name, State::Is(id.to_owned()));
            }
            (6, ..) => {
                let known = self.some_known();
                let known = &self.known[known];
                let args = ["pull", "--quiet", &known.reference];
                world.command("strata pull", &args).await?.ok()?;
                let state = State::Is(known.image.digest().to_owned());
                self.model.set(&known.reference, state);
            }
            _ => self.checks(&["--quick"]).await.map(drop)?,
        }
        Ok(())
    }

    /// `strata check`. Others may have damaged something, so it may say so.
    pub(crate) async fn checks(&self, args: &[&str]) -> Result<Output> {
        let args = [&["check", "--quiet"], args].concat();
        let output = self.world.command("strata check", &args).await?;
        ensure!([0, 3, 4].contains(&output.status), "{output:?}");
        Ok(output)
    }

    pub(crate) async fn killed_command(&mut self) -> Result<()> {
        let image = self.some_image().await?;
        let container = self.some_container().await?;
        match (self.dice.below(6), image, container) {
            (0, _, Some(container)) => {
                let (file, seed) = self.some_file(&container);
                let input = copied(&file, seed)?;
                let done = self
                    .killed(&["cp", "-", &format!("{container}:/")], &input)
                    .await?;
                self.copied_in(&container, file, seed, done)
            }
            (1, _, Some(container)) => {
                let name = self.fresh_name("committed");
                self.killed(&["commit", &container, &name], &[]).await?;
                self.made(&name, None);
                Ok(())
            }
            (2, Some((image, digest)), _) => {
                let name = self.fresh_name("tagged");
                let done = self.killed(&["tag", &image, &name], &[]).await?;
                self.model.did(done, &name, State::Is(digest));
                Ok(())
            }
            (3, Some((image, _)), _) => {
                let done = self.killed(&["rmi", "--force", &image], &[]).await?;
                self.model.did(done, &image, State::Absent);
                Ok(())
            }
            (4, ..) => {
                let known = self.some_known();
                let (input, name) = (&self.known[known].archive, self.known[known].loaded.clone());
                let done = self.killed(&["load"], &input.clone()).await?;
                let digest = self.known[known].image.digest().to_owned();
                self.model.did(done, &name, State::Is(digest));
                Ok(())
            }
            _ => {
                let known = self.some_known();
                let name = self.known[known].reference.clone();
                let done = self.killed(&["pull", &name], &[]).await?;
                let digest = self.known[known].image.digest().to_owned();
                self.model.did(done, &name, State::Is(digest));
                Ok(())
            }
        }
    }

    /// Runs a command and kills it at some moment. Whether it came to its end before.
    async fn killed(&mut self, args: &[&str], input: &[u8]) -> Result<bool> {
        let mut process = command(&workspace::strata()?, &home()?)
            .args(args)
            .arg("--store")
            .arg(self.world.store())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut pipe = process.stdin.take().context("no pipe")?;
        let feed = async {
            // It ends when it is killed, if not before.
            let _ = pipe.write_all(input).await;
            drop(pipe);
            std::future::pending::<()>().await;
        };
        let moment = Duration::from_micros(self.dice.below(LONGEST));
        // The moment is the point here, not a condition to wait for: any of them must be survived.
        tokio::select! {
            () = feed => {}
            () = tokio::time::sleep(moment) => {}
        }
        process.start_kill()?;
        let output = process.wait_with_output().await?;
        self.world.said(&String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            None => {
                self.world.tally.fault("commands killed");
                Ok(false)
            }
            Some(status) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                ensure!(status == 0, "{args:?} ended with {status}: {said}");
                Ok(true)
            }
        }
    }
}
