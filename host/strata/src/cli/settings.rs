//! The settings in force: each from the option, else the environment, else the settings file,
//! else its default.
//!
//! The first two are already one when they come here: clap reads the environment.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use strata::types::Platform;
use strata::{Capabilities, Limits, Listener, TlsFiles};

use super::arguments::Options;
use super::credentials::Sources;
use super::platform;
use super::settings_file::SettingsFile;
use super::surroundings::Surroundings;

/// Everything a command needs to start.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What the engine may use.
    pub(crate) capabilities: Capabilities,
    /// Where `serve` listens.
    pub(crate) listen: Vec<Listener>,
    /// Host names `serve` answers to over TCP.
    pub(crate) allowed_hosts: Vec<String>,
    /// What makes TCP listeners TLS.
    pub(crate) tls: Option<TlsFiles>,
    /// A component to run instead of the built-in one.
    pub(crate) component: Option<PathBuf>,
    /// The platforms a command asks for by name; none for the best of what there is.
    pub(crate) exact_platforms: Vec<Platform>,
    /// Where credentials for registries are.
    pub(crate) credentials: Sources,
    /// What to log.
    pub(crate) log: String,
}

impl Settings {
    /// Resolves every setting.
    ///
    /// # Errors
    ///
    /// If the settings file is bad, or a setting has no value and no default.
    pub(crate) fn resolve(
        options: &Options,
        surroundings: &Surroundings,
    ) -> anyhow::Result<Settings> {
        let file = match (&options.config, surroundings.settings_file()) {
            (Some(path), _) => SettingsFile::read(path, true)?,
            (None, Some(path)) => SettingsFile::read(&path, false)?,
            (None, None) => SettingsFile::default(),
        };
        Self::merge(options.clone(), file, surroundings)
    }

    fn merge(
        options: Options,
        file: SettingsFile,
        surroundings: &Surroundings,
    ) -> anyhow::Result<Settings> {
        let store = options
            .store
            .or(file.store)
            .or_else(|| surroundings.store());
        let store = store.context("there is no home folder to keep images in; set --store DIR")?;
        let named = options.platform.unwrap_or_default();
        let named = named.iter().map(|text| platform::parse(text));
        let named = named.collect::<anyhow::Result<Vec<_>>>()?;
        let configured = file.platform.as_deref().map(platform::parse).transpose()?;
        // Several are a choice among what an image has, none of them the one to prefer.
        let preferred = match &named[..] {
            [one] => Some(one),
            _ => configured.as_ref(),
        };
        let defaults = Limits::default();
        let limits = Limits {
            memory: (options.memory_limit.or(file.memory_limit))
                .map_or(defaults.memory, |bytes| bytes.0),
            total_memory: (options.total_memory_limit.or(file.total_memory_limit))
                .map(|bytes| bytes.0),
            compute: (options.compute_limit.or(file.compute_limit))
                .map_or(defaults.compute, |seconds| {
                    Duration::from_secs(seconds.into())
                }),
            stall: (options.stall_limit.or(file.stall_limit)).map_or(defaults.stall, |seconds| {
                Duration::from_secs(seconds.into())
            }),
            parallel_layers: (options.parallel_layers.or(file.parallel_layers))
                .unwrap_or(defaults.parallel_layers),
            verify_diff_ids_first: (options.verify_diff_ids_first)
                .or(file.verify_diff_ids_first)
                .unwrap_or(defaults.verify_diff_ids_first),
            connections: (options.connections.or(file.connections))
                .map_or(defaults.connections, |count| count as usize),
        };
        let serve = options.serve;
        let tls = tls_files(
            serve.tls_cert.or(file.tls_cert),
            serve.tls_key.or(file.tls_key),
            serve.tls_client_ca.or(file.tls_client_ca),
        )?;
        let mirrors = options.mirror.or(file.mirror).unwrap_or_default();
        let listen = serve.listen.or(file.listen);
        let listen = listen.unwrap_or_else(|| vec![Listener::Unix(surroundings.socket(&store))]);
        Ok(Settings {
            capabilities: Capabilities {
                store,
                platform: preferred.map(platform::text),
                mirrors: mirrors.into_iter().map(|m| (m.host, m.url)).collect(),
                insecure_registries: (options.insecure_registry)
                    .or(file.insecure_registry)
                    .unwrap_or_default(),
                certificate_authorities: options.ca.or(file.ca).unwrap_or_default(),
                allowed_registries: options.allow_registry.or(file.allow_registry),
                allow_unsafe_redirects: (options.allow_unsafe_redirects)
                    .or(file.allow_unsafe_redirects)
                    .unwrap_or(false),
                limits,
            },
            listen,
            allowed_hosts: serve.allow_host.or(file.allow_host).unwrap_or_default(),
            tls,
            component: options.component.or(file.component),
            exact_platforms: match options.platform_is_typed {
                true => named,
                false => Vec::new(),
            },
            credentials: surroundings.credentials(),
            log: options.log.or(file.log).unwrap_or_else(|| "warn".into()),
        })
    }
}

/// All three, or none.
fn tls_files(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_authorities: Option<PathBuf>,
) -> anyhow::Result<Option<TlsFiles>> {
    match (certificate, key, client_authorities) {
        (None, None, None) => Ok(None),
        (Some(certificate), Some(key), Some(client_authorities)) => Ok(Some(TlsFiles {
            certificate,
            key,
            client_authorities,
        })),
        (certificate, key, authorities) => {
            let given = [
                ("--tls-cert", certificate),
                ("--tls-key", key),
                ("--tls-client-ca", authorities),
            ];
            let missing = given.iter().filter(|(_, path)| path.is_none());
            let missing: Vec<_> = missing.map(|(name, _)| *name).collect();
            anyhow::bail!(
                "TLS needs a certificate, its key and the authority of clients; give {} as well",
                missing.join(" and ")
            )
        }
    }
}

/// A registry to try before another, written `docker.io=http://127.0.0.1:5000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// Registry host as written in references.
    pub(crate) host: String,
    /// Base URL of the mirror.
    pub(crate) url: String,
}

impl FromStr for Mirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(host, url)| {
            let address = url.strip_prefix("http://").or(url.strip_prefix("https://"));
            !host.is_empty() && !host.contains('/') && address.is_some_and(|a| !a.is_empty())
        });
        let (host, url) = parts.ok_or_else(|| {
            format!("`{text}` is not REGISTRY=URL, such as docker.io=http://127.0.0.1:5000")
        })?;
        Ok(Mirror {
            host: host.into(),
            url: url.trim_end_matches('/').into(),
        })
    }
}

#[cfg(test)]
mod tests;
