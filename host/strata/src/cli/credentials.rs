//! Credentials as `docker login` left them in the docker CLI's `config.json`, or as CI gives them
//! in the environment.
//!
//! <https://docs.docker.com/reference/cli/docker/#configuration-files>

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use strata::types::{RegistryAuth, Secret};

use super::credential_helper::Helpers;
use super::terminal::Terminal;
use strata_oci::reference::HUB;

/// What Docker Hub is called in `config.json`, the name that is written today first.
const HUB_NAMES: [&str; 4] = [
    "https://index.docker.io/v1/",
    "index.docker.io",
    HUB,
    "registry-1.docker.io",
];

/// Where credentials are, as the docker CLI looks for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The docker CLI's `config.json`.
    pub(crate) file: Option<PathBuf>,
    /// The same in the environment, `$DOCKER_AUTH_CONFIG`, of which only `auths` counts.
    pub(crate) environment: Option<Secret>,
}

impl Sources {
    /// The credentials for a registry: of the environment, else of the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or makes no sense, or the registry's own helper does not work.
    pub(crate) async fn credentials(
        &self,
        registry: &str,
        helpers: &Helpers,
        terminal: &Terminal,
    ) -> anyhow::Result<RegistryAuth> {
        if let Some(given) = &self.environment {
            match DockerSettings::parse(given.expose().as_bytes())
                .and_then(|settings| settings.stored(&names(registry)))
            {
                Ok(Some(auth)) => return Ok(auth),
                Ok(None) => {}
                Err(error) => terminal.notice(format_args!(
                    "strata: continuing without $DOCKER_AUTH_CONFIG: {}",
                    super::sentence(&error)
                )),
            }
        }
        let Some(path) = &self.file else {
            return Ok(RegistryAuth::Anonymous);
        };
        let settings = DockerSettings::read(path)?;
        let auth = settings.credentials(registry, helpers, terminal).await;
        auth.with_context(|| path.display().to_string())
    }
}

/// The part of `config.json` that is about credentials, read as the docker CLI reads it: names in
/// any case, `null` as nothing, and what follows the first document ignored.
#[derive(Default)]
pub(crate) struct DockerSettings {
    auths: Map<String, Value>,
    creds_store: String,
    cred_helpers: Map<String, Value>,
}

/// One entry of `auths`. No `Debug`: these are secrets.
struct Entry<'a>(&'a Map<String, Value>);

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
        let mut documents = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
        let document = documents.next().transpose().map_err(|error| {
            // The place, not serde_json's message: that could quote a secret.
            let (line, column) = (error.line(), error.column());
            anyhow::anyhow!("not the settings of the docker CLI (line {line}, column {column})")
        })?;
        let settings = match document {
            // An empty file is one without settings.
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Object(settings)) => settings,
            Some(_) => anyhow::bail!("not the settings of the docker CLI"),
        };
        Ok(Self {
            auths: object(&settings, "auths")?,
            creds_store: text_of(&settings, "credsStore")?.to_owned(),
            cred_helpers: object(&settings, "credHelpers")?,
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
        let own = own.and_then(Value::as_str);
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
        Ok(self.stored(&names)?.unwrap_or_default())
    }

    /// What `auths` has for these names.
    fn stored(&self, names: &[&str]) -> anyhow::Result<Option<RegistryAuth>> {
        let Some((name, value)) = self.entry(names) else {
            return Ok(None);
        };
        let auth = match value {
            Value::Null => return Ok(None),
            Value::Object(entry) => Entry(entry).credentials(),
            _ => Err(anyhow::anyhow!("it is no object")),
        };
        auth.map(Some).with_context(|| format!("entry `{name}`"))
    }

    /// The entry with one of these names or, as old versions wrote them, a URL of that host.
    fn entry(&self, names: &[&str]) -> Option<(&str, &Value)> {
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

impl Entry<'_> {
    fn credentials(&self) -> anyhow::Result<RegistryAuth> {
        let text = |name| text_of(self.0, name);
        let identity = text("identitytoken")?;
        if !identity.is_empty() {
            return Ok(RegistryAuth::IdentityToken(identity.into()));
        }
        let token = text("registrytoken")?;
        if !token.is_empty() {
            return Ok(RegistryAuth::RegistryToken(token.into()));
        }
        let auth = text("auth")?;
        if !auth.is_empty() {
            let decoded = BASE64_STANDARD.decode(auth.trim()).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let (user, password) = decoded
                .as_deref()
                .and_then(|text| text.split_once(':'))
                .context("`auth` is not the base64 of USER:PASSWORD; log in again")?;
            return Ok(RegistryAuth::Basic {
                username: user.into(),
                // Old versions of docker padded with zero bytes.
                password: password.trim_end_matches('\0').into(),
            });
        }
        let username = text("username")?;
        if username.is_empty() {
            // What `docker login` leaves in the file when a helper has the secret.
            return Ok(RegistryAuth::Anonymous);
        }
        Ok(RegistryAuth::Basic {
            username: username.into(),
            password: text("password")?.into(),
        })
    }
}

/// A member by its name, in any case if it is not there as it is written.
fn member<'o>(object: &'o Map<String, Value>, name: &str) -> Option<&'o Value> {
    let other = || {
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    object.get(name).or_else(|| Some(other()?.1))
}

/// A member that is text. `null` is none.
fn text_of<'o>(object: &'o Map<String, Value>, name: &str) -> anyhow::Result<&'o str> {
    match member(object, name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => anyhow::bail!("`{name}` is no text"),
    }
}

/// A member that is an object. `null` is an empty one.
fn object(settings: &Map<String, Value>, name: &str) -> anyhow::Result<Map<String, Value>> {
    match member(settings, name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => anyhow::bail!("`{name}` is no object"),
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
