//! What a worker does to containers.

use crate::model::{Container, content};
use crate::worker::Worker;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read as _;
use strata_tests::debian::{Content, Entry};
use strata_tests::layer::tar;
use strata_tests::server::escape;

impl Worker {
    pub(crate) async fn create(&mut self) -> Result<()> {
        let Some((image, digest)) = self.some_image().await? else {
            return Ok(());
        };
        let name = self.fresh_container();
        let body = json!({ "Image": image, "Cmd": ["sh"] }).to_string();
        let path = format!("/containers/create?name={name}");
        let done = self.does("create", Method::POST, &path, body, 201).await?;
        self.created(&name, digest, done);
        Ok(())
    }

    /// A container was made, or may have been.
    pub(crate) fn created(&mut self, name: &str, image: String, done: bool) {
        let container = Container {
            certain: done,
            doubtful: !done,
            image,
            ..Container::default()
        };
        self.model.containers.insert(name.to_owned(), container);
    }

    pub(crate) async fn copy_in(&mut self) -> Result<()> {
        let Some(name) = self.some_container().await? else {
            return Ok(());
        };
        let (file, seed) = self.some_file(&name);
        let path = format!("/containers/{name}/archive?path=/");
        let body = copied(&file, seed)?;
        let done = self.does("cp in", Method::PUT, &path, body, 200).await?;
        self.copied_in(&name, file, seed, done)
    }

    /// A name of a file, and what it will be made of. No image has one of that name but those made of the container.
    pub(crate) fn some_file(&mut self, container: &str) -> (String, u64) {
        let number = self.dice.below(4);
        (format!("{container}-{number}"), self.dice.below(1 << 20))
    }

    /// A file was copied into a container, or may have been.
    pub(crate) fn copied_in(
        &mut self,
        name: &str,
        file: String,
        seed: u64,
        done: bool,
    ) -> Result<()> {
        let container = self.model.container(name)?;
        if done {
            container.files.insert(file, vec![Some(seed)]);
        } else {
            container.certain = false;
            let seeds = container.files.entry(file).or_insert_with(|| vec![None]);
            seeds.push(Some(seed));
        }
        Ok(())
    }

    pub(crate) async fn copy_out(&mut self) -> Result<()> {
        let Some(name) = self.some_container().await? else {
            return Ok(());
        };
        for file in self.files(&name) {
            let path = format!("/containers/{name}/archive?path=/{file}");
            if let Some(answer) = self.ask("stat", Method::HEAD, &path, "").await? {
                let stat = answer.expect_status(&[200])?;
                let stat = stat.header("x-docker-container-path-stat").to_owned();
                ensure!(!stat.is_empty(), "{path}: no stat");
            }
            if let Some(answer) = self.ask("cp out", Method::GET, &path, "").await? {
                let files = unpacked(&answer.expect_status(&[200])?.body)?;
                let seen = files.get(&file).map(Vec::as_slice);
                self.model.sees_file(&name, &file, seen).context("cp out")?;
            }
        }
        Ok(())
    }

    /// The files that were copied into a container.
    pub(crate) fn files(&self, name: &str) -> Vec<String> {
        let files = self
            .model
            .containers
            .get(name)
            .map(|container| &container.files);
        files
            .into_iter()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect()
    }

    pub(crate) async fn export(&mut self) -> Result<()> {
        let Some(name) = self.some_container().await? else {
            return Ok(());
        };
        let path = format!("/containers/{name}/export");
        if let Some(answer) = self.ask("export", Method::GET, &path, "").await? {
            let files = unpacked(&answer.expect_status(&[200])?.body)?;
            for file in self.files(&name) {
                let seen = files.get(&file).map(Vec::as_slice);
                self.model.sees_file(&name, &file, seen).context("export")?;
            }
        }
        Ok(())
    }

    pub(crate) async fn changes(&mut self) -> Result<()> {
        let Some(name) = self.some_container().await? else {
            return Ok(());
        };
        let path = format!("/containers/{name}/changes");
        if let Some(answer) = self.ask("diff", Method::GET, &path, "").await? {
            let text = answer.expect_status(&[200])?.text();
            for file in self.files(&name) {
                ensure!(text.contains(&format!("\"/{file}\"")), "{file}: {text}");
            }
        }
        if let Some(names) = self.listed_containers().await? {
            for (name, container) in &self.model.containers {
                let there = names.contains(name);
                ensure!(there || container.doubtful, "{name} is not in the list");
            }
            for name in names {
                ensure!(
                    self.model.containers.contains_key(&name),
                    "{name}: nobody's"
                );
            }
        }
        Ok(())
    }

    /// This worker's containers in the list.
    pub(crate) async fn listed_containers(&self) -> Result<Option<Vec<String>>> {
        let answer = self
            .ask("ps", Method::GET, "/containers/json?all=1", "")
            .await?;
        let Some(answer) = answer else {
            return Ok(None);
        };
        let list = answer.expect_status(&[200])?.json()?;
        let own = format!("w{}-", self.number);
        let names = list.as_array().context("the list is no array")?.iter();
        let names = names.filter_map(|one| one["Names"][0].as_str()?.strip_prefix('/'));
        let names = names.filter(|name| name.starts_with(&own));
        Ok(Some(names.map(str::to_owned).collect()))
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        let Some(container) = self.some_container().await? else {
            return Ok(());
        };
        let name = self.fresh_name("committed");
        let path = commit_path(&container, &name);
        let answer = self.ask("commit", Method::POST, &path, "{}").await?;
        let digest = match answer {
            Some(answer) => {
                let id = answer.expect_status(&[201])?.json()?["Id"].take();
                Some(id.as_str().context("no Id")?.to_owned())
            }
            None => None,
        };
        self.made(&name, digest);
        Ok(())
    }

    pub(crate) async fn remove_container(&mut self) -> Result<()> {
        let Some(name) = self.some_container().await? else {
            return Ok(());
        };
        let path = format!("/containers/{name}?force=1");
        if self.does("rm", Method::DELETE, &path, "", 204).await? {
            self.model.containers.remove(&name);
        } else {
            let container = self.model.container(&name)?;
            (container.certain, container.doubtful) = (false, true);
        }
        Ok(())
    }
}

/// The path of the request that makes an image of a container.
pub(crate) fn commit_path(container: &str, name: &str) -> String {
    let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
    format!(
        "/commit?container={container}&repo={}&tag={tag}",
        escape(repository)
    )
}

/// A tar of one file.
pub(crate) fn copied(file: &str, seed: u64) -> Result<Vec<u8>> {
    tar(&[Entry {
        path: file.to_owned(),
        mode: 0o644,
        content: Content::File(content(seed).into()),
    }])
}

/// The files of a tar.
pub(crate) fn unpacked(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for member in tar::Archive::new(bytes).entries()? {
        let mut member = member?;
        let path = member
            .path()?
            .to_string_lossy()
            .trim_start_matches("./")
            .to_owned();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes)?;
        files.insert(path, bytes);
    }
    Ok(files)
}
