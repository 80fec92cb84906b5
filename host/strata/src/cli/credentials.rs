//! Credentials as `docker login` left them in the docker CLI's `config.json`.
//!
//! <https://docs.docker.com/reference/cli/docker/#configuration-files>

use std::collections::HashMap;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use strata::types::RegistryAuth;

use super::credential_helper::Helpers;
use super::reference::HUB;
use super::terminal::Terminal;

/// What Docker Hub is called in `config.json`, the name that is written today first.
const HUB_NAMES: [&str; 4] = [
    "https://index.docker.io/v1/",
    "index.docker.io",
    HUB,
    "registry-1.docker.io",
];

/// The part of `config.json` that is about credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DockerSettings {
    auths: HashMap<String, Entry>,
    creds_store: String,
    cred_helpers: HashMap<String, String>,
}

/// One entry of `auths`. No `Debug`: these are secrets.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl DockerSettings {
    /// Reads the file; without one there are no credentials.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is not what the docker CLI writes.
    pub(crate) fn read(path: &Path) -> anyhow::Result<DockerSettings> {
        match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
            Ok(text) => Self::parse(&text).with_context(|| format!("{}", path.display())),
        }
    }

    fn parse(text: &[u8]) -> anyhow::Result<DockerSettings> {
        serde_json::from_slice(text).map_err(|error| {
            // The place, not serde_json's message: that could quote a secret.
            let (line, column) = (error.line(), error.column());
            anyhow::anyhow!("not the settings of the docker CLI (line {line}, column {column})")
        })
    }

    /// The credentials for a registry: of its own helper, of the general one, of `auths`.
    ///
    /// A general helper that does not work is only remarked on, because most pulls need no
    /// credentials and the file may come from a machine that has it.
    ///
    /// # Errors
    ///
    /// If the registry's own helper does not work, or its entry makes no sense.
    pub(crate) async fn credentials(
        &self,
        registry: &str,
        helpers: &Helpers,
        terminal: &Terminal,
    ) -> anyhow::Result<RegistryAuth> {
        let names = names(registry);
        let own = names.iter().find_map(|name| self.cred_helpers.get(*name));
        if let Some(own) = own.filter(|helper| !helper.is_empty()) {
            let auth = helpers.get(own, names[0]).await;
            let auth = auth.with_context(|| format!("no credentials for {registry}"))?;
            return Ok(auth.unwrap_or(RegistryAuth::Anonymous));
        }
        if !self.creds_store.is_empty() {
            match helpers.get(&self.creds_store, names[0]).await {
                Ok(Some(auth)) => return Ok(auth),
                Ok(None) => {}
                Err(error) => terminal.notice(format_args!(
                    "strata: continuing without the credential store: {}",
                    super::sentence(&error)
                )),
            }
        }
        match self.entry(&names) {
            Some((name, entry)) => entry
                .credentials()
                .with_context(|| format!("entry `{name}`")),
            None => Ok(RegistryAuth::Anonymous),
        }
    }

    /// The entry with one of these names or, as old versions wrote them, a URL of that host.
    fn entry(&self, names: &[&str]) -> Option<(&str, &Entry)> {
        let written = names
            .iter()
            .find_map(|name| self.auths.get_key_value(*name));
        let found = written.or_else(|| {
            let urls = self
                .auths
                .iter()
                .filter(|(key, _)| names.contains(&host(key)));
            // The same one on each run, should there be several.
            urls.min_by_key(|(key, _)| *key)
        });
        found.map(|(key, entry)| (key.as_str(), entry))
    }
}

impl Entry {
    fn credentials(&self) -> anyhow::Result<RegistryAuth> {
        if !self.identitytoken.is_empty() {
            return Ok(RegistryAuth::IdentityToken(self.identitytoken.clone()));
        }
        if !self.registrytoken.is_empty() {
            return Ok(RegistryAuth::RegistryToken(self.registrytoken.clone()));
        }
        if !self.auth.is_empty() {
            let decoded = BASE64_STANDARD.decode(self.auth.trim()).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let (user, password) = decoded
                .as_deref()
                .and_then(|text| text.split_once(':'))
                .context("`auth` is not the base64 of USER:PASSWORD; log in again")?;
            // Old versions of docker padded with zero bytes.
            let password = password.trim_end_matches('\0');
            return Ok(RegistryAuth::Basic((user.into(), password.into())));
        }
        if self.username.is_empty() {
            // What `docker login` leaves in the file when a helper has the secret.
            return Ok(RegistryAuth::Anonymous);
        }
        Ok(RegistryAuth::Basic((
            self.username.clone(),
            self.password.clone(),
        )))
    }
}

/// The names a registry may have in the file, the one helpers know it by first.
fn names(registry: &str) -> Vec<&str> {
    if registry == HUB {
        HUB_NAMES.to_vec()
    } else {
        vec![registry]
    }
}

fn host(url: &str) -> &str {
    let bare = url.strip_prefix("https://").or(url.strip_prefix("http://"));
    let bare = bare.unwrap_or(url);
    bare.split_once('/').map_or(bare, |(host, _)| host)
}

#[cfg(test)]
mod tests;
