//! Operations that take more memory or time than there is: they end, and the instances they run in with them.

use crate::model::State;
use crate::worker::Worker;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::json;
use strata_tests::client::Output;
use strata_tests::layout;
use strata_tests::server::escape;

impl Worker {
    /// Loads an image with a heavy config and looks at it from all sides.
    pub(crate) async fn takes_memory(&mut self) -> Result<()> {
        let name = self.fresh_name("heavy");
        let archive = layout::archive(&[(&name, &self.world.heavy)])?;
        let digest = self.world.heavy.digest().to_owned();
        let done = self
            .does("load", Method::POST, "/images/load", archive, 200)
            .await?;
        // Of a failure the last message may tell.
        self.model.may_set(&name, State::Is(digest.clone()));
        if !done {
            return Ok(());
        }
        let container = self.fresh_container();
        let body = json!({ "Image": name, "Cmd": ["sh"] }).to_string();
        let path = format!("/containers/create?name={container}");
        let created = self.ask("create", Method::POST, &path, body).await?;
        if created.is_none_or(|answer| answer.status == 201) {
            self.created(&container, digest, false);
            self.model.container(&container)?.spoiled = true;
        }
        let label = escape(r#"{"dangling":["false"],"label":["nobody=has"]}"#);
        for (what, method, path) in [
            ("inspect", Method::GET, format!("/images/{name}/json")),
            ("list", Method::GET, "/images/json".to_owned()),
            (
                "prune",
                Method::POST,
                format!("/images/prune?filters={label}"),
            ),
            ("rmi", Method::DELETE, format!("/images/{name}?force=1")),
        ] {
            let answer = self.ask(what, method, &path, "").await?;
            if let Some(answer) = answer {
                let well = answer.status < 500;
                ensure!(well, "{path}: {} {}", answer.status, answer.text());
            }
        }
        self.model.may_set(&name, State::Absent);
        Ok(())
    }

    /// Removes what takes too much, by a command that has enough.
    pub(crate) async fn removes_what_is_spoiled(&mut self) -> Result<()> {
        let gone = |output: &Output| output.status == 0 || output.stderr.contains("o such");
        for (name, container) in self.model.containers.clone() {
            if container.spoiled {
                let output = self
                    .world
                    .command("strata rm", &["rm", "--force", &name])
                    .await?;
                ensure!(gone(&output), "{output:?}");
                self.model.containers.remove(&name);
            }
        }
        for name in self.model.names() {
            if name.contains("/heavy:") {
                let output = self
                    .world
                    .command("strata rmi", &["rmi", "--force", &name])
                    .await?;
                ensure!(gone(&output), "{output:?}");
                self.model.set(&name, State::Absent);
            }
        }
        Ok(())
    }

    /// Copies something into a container that takes too long to look at.
    pub(crate) async fn takes_time(&mut self) -> Result<()> {
        let Some(name) = self.some_container().await? else {
            return Ok(());
        };
        let deep = self.world.deep.clone();
        let path = format!("/containers/{name}/archive?path=/");
        let answer = self.ask("cp in", Method::PUT, &path, deep).await?;
        // What came of it does not matter; that it does not matter does.
        let container = self.model.container(&name).context("cp in")?;
        container.spoiled = answer.is_none_or(|answer| answer.status < 400);
        container.certain = !container.spoiled;
        Ok(())
    }
}
