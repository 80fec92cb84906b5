//! What a worker does to images.

use crate::model::State;
use crate::worker::Worker;
use crate::world::messages;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use std::collections::BTreeMap;
use strata_tests::debian::{Content, Entry};
use strata_tests::layer::{noise, tar};
use strata_tests::push;
use strata_tests::server::{escape, pull_path};

impl Worker {
    pub(crate) async fn pull(&mut self) -> Result<()> {
        let known = self.some_known();
        self.pulls(known).await.map(drop)
    }

    /// Whether it was pulled.
    pub(crate) async fn pulls(&mut self, known: usize) -> Result<bool> {
        let known = &self.known[known];
        let path = pull_path(&known.reference);
        let answer = self.ask("pull", Method::POST, &path, "").await?;
        if let Some(answer) = &answer {
            let last = messages(answer)?.pop().context("no messages")?;
            let status = last["status"].as_str().unwrap_or_default();
            ensure!(status.starts_with("Status: "), "{}", answer.text());
        }
        let state = State::Is(known.image.digest().to_owned());
        self.model.did(answer.is_some(), &known.reference, state);
        Ok(answer.is_some())
    }

    pub(crate) async fn push(&mut self) -> Result<()> {
        let Some((name, digest)) = self.some_image().await? else {
            return Ok(());
        };
        let path = push::path(&name);
        let Some(answer) = self.ask("push", Method::POST, &path, "{}").await? else {
            return Ok(());
        };
        messages(&answer).with_context(|| format!("push {name}"))?;
        let (repository, tag) = self.in_registry(&name)?;
        let path = format!("/v2/{repository}/manifests/{tag}");
        let accept = [("accept", "application/vnd.oci.image.manifest.v1+json")];
        let http = &self.world.registry.http;
        let there = http.send(Method::HEAD, &path, &accept, "").await?;
        let there = there.expect_status(&[200])?;
        let there = there.header("docker-content-digest").to_owned();
        ensure!(there == digest, "pushed {digest}, {there} is there");
        Ok(())
    }

    fn in_registry<'a>(&self, name: &'a str) -> Result<(&'a str, &'a str)> {
        let path = name.strip_prefix(&self.world.registry.host);
        let path = path.and_then(|path| path.strip_prefix('/'));
        path.and_then(|path| path.rsplit_once(':'))
            .context("a name of another form")
    }

    pub(crate) async fn save(&mut self) -> Result<()> {
        let Some((name, digest)) = self.some_image().await? else {
            return Ok(());
        };
        let path = format!("/images/get?names={}", escape(&name));
        if let Some(answer) = self.ask("save", Method::GET, &path, "").await? {
            let answer = answer.expect_status(&[200])?;
            self.is_saved(&digest, &answer.body)
                .with_context(|| format!("save {name}"))?;
        }
        Ok(())
    }

    pub(crate) async fn load(&mut self) -> Result<()> {
        let known = self.some_known();
        self.loads(known).await.map(drop)
    }

    /// Whether it was loaded.
    pub(crate) async fn loads(&mut self, known: usize) -> Result<bool> {
        let known = &self.known[known];
        let archive = known.archive.clone();
        let answer = self
            .ask("load", Method::POST, "/images/load", archive)
            .await?;
        if let Some(answer) = &answer {
            messages(answer)?;
            ensure!(answer.text().contains("Loaded image"), "{}", answer.text());
        }
        let state = State::Is(known.image.digest().to_owned());
        self.model.did(answer.is_some(), &known.loaded, state);
        Ok(answer.is_some())
    }

    pub(crate) async fn import(&mut self) -> Result<()> {
        let name = self.fresh_name("imported");
        let path = self.import_path(&name);
        let body = root(self.dice.below(1 << 20))?;
        let answer = self.ask("import", Method::POST, &path, body).await?;
        let digest = match &answer {
            Some(answer) => {
                let last = messages(answer)?.pop().context("no messages")?;
                let status = last["status"].as_str().context("no status")?;
                Some(status.to_owned())
            }
            None => None,
        };
        self.made(&name, digest);
        Ok(())
    }

    pub(crate) fn import_path(&self, name: &str) -> String {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let change = escape(&format!("LABEL soak=w{}", self.number));
        let repository = escape(repository);
        format!("/images/create?fromSrc=-&repo={repository}&tag={tag}&changes={change}")
    }

    /// An image was made under this name, or may have been.
    pub(crate) fn made(&mut self, name: &str, digest: Option<String>) {
        match digest {
            Some(digest) => self.model.set(name, State::Is(digest)),
            None => self.model.may_set(name, State::Made),
        }
    }

    pub(crate) async fn tag(&mut self) -> Result<()> {
        let Some((name, digest)) = self.some_image().await? else {
            return Ok(());
        };
        let target = format!("{}tag:{}", self.prefix, self.dice.below(4));
        let path = tag_path(&name, &target);
        let done = self.does("tag", Method::POST, &path, "", 201).await?;
        self.model.did(done, &target, State::Is(digest));
        Ok(())
    }

    pub(crate) async fn list(&mut self) -> Result<()> {
        if let Some(names) = self.listed().await? {
            self.model.sees_all(&names).context("list")?;
        }
        Ok(())
    }

    /// This worker's names in the list of images, with their digests.
    pub(crate) async fn listed(&self) -> Result<Option<BTreeMap<String, String>>> {
        let answer = self
            .ask("list", Method::GET, "/images/json?all=1", "")
            .await?;
        let Some(answer) = answer else {
            return Ok(None);
        };
        let list = answer.expect_status(&[200])?.json()?;
        let mut names = BTreeMap::new();
        for image in list.as_array().context("the list is no array")? {
            let id = image["Id"].as_str().context("an image without an Id")?;
            let tags = image["RepoTags"].as_array().into_iter().flatten();
            for name in tags.filter_map(|tag| tag.as_str()) {
                if name.starts_with(&self.prefix) {
                    names.insert(name.to_owned(), id.to_owned());
                }
            }
        }
        Ok(Some(names))
    }

    pub(crate) async fn inspect(&mut self) -> Result<()> {
        let Some((name, digest)) = self.some_image().await? else {
            return Ok(());
        };
        let path = format!("/images/{name}/json");
        if let Some(answer) = self.ask("inspect", Method::GET, &path, "").await? {
            let id = &answer.expect_status(&[200])?.json()?["Id"];
            ensure!(id == digest.as_str(), "{name} is {id}, not {digest}");
        }
        let path = format!("/images/{name}/history");
        if let Some(answer) = self.ask("history", Method::GET, &path, "").await? {
            let history = answer.expect_status(&[200])?.json()?;
            ensure!(history[0].is_object(), "{name}: {history}");
        }
        Ok(())
    }

    pub(crate) async fn remove_image(&mut self) -> Result<()> {
        let Some((name, _)) = self.some_image().await? else {
            return Ok(());
        };
        let path = format!("/images/{name}?force=1");
        let done = self.does("rmi", Method::DELETE, &path, "", 200).await?;
        self.model.did(done, &name, State::Absent);
        Ok(())
    }

    /// Everybody's images without a name, or all of this worker's that no container is of.
    pub(crate) async fn prune(&mut self) -> Result<()> {
        let all = self.dice.below(3) == 0;
        let label = format!(
            r#"{{"dangling":["false"],"label":["soak=w{}"]}}"#,
            self.number
        );
        let path = match all {
            true => format!("/images/prune?filters={}", escape(&label)),
            false => "/images/prune".to_owned(),
        };
        let done = match self.ask("prune", Method::POST, &path, "").await? {
            // One at a time.
            Some(answer) if answer.status == 409 => return Ok(()),
            Some(answer) => answer.expect_status(&[200]).map(|_| true)?,
            None => false,
        };
        for name in self.model.names().into_iter().filter(|_| all) {
            let used = |digest: &str| self.model.is_used(digest);
            match self.model.image(&name).map(used) {
                // Whether something is under way in which it is used, nobody knows.
                Some(false) if done => self.model.set(&name, State::Absent),
                _ => self.model.may_set(&name, State::Absent),
            }
        }
        Ok(())
    }
}

/// The path of the request that gives an image another name.
pub(crate) fn tag_path(name: &str, target: &str) -> String {
    let (repository, tag) = target.rsplit_once(':').unwrap_or((target, "latest"));
    format!("/images/{name}/tag?repo={}&tag={tag}", escape(repository))
}

/// A root file system of one file.
pub(crate) fn root(seed: u64) -> Result<Vec<u8>> {
    tar(&[Entry {
        path: format!("root-{seed}"),
        mode: 0o644,
        content: Content::File(noise(seed, 300_000).into()),
    }])
}
