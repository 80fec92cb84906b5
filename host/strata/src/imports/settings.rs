//! `strata:image/settings`.

use std::fs;

use strata_store::{Digest, Store};
use wasmtime::component::Access;

use crate::{
    Capabilities, Error,
    bindings::strata::image::settings::{Configuration, Host, HostWithStore, Mirror},
    instance::{HasImports, Imports},
    types::Platform,
};

impl Host for Imports<'_> {}

impl<T: 'static> HostWithStore<T> for HasImports {
    fn get(mut access: Access<'_, T, Self>) -> wasmtime::Result<Configuration> {
        Ok(access.get().shared.configuration.clone())
    }
}

/// What the engine is told.
///
/// # Errors
/// [`Error::Setting`] if the platform or a mirror does not parse.
pub(crate) fn configuration(
    capabilities: &Capabilities,
    store: &Store,
) -> Result<Configuration, Error> {
    let limits = &capabilities.limits;
    if !(1..=64).contains(&limits.parallel_layers) {
        return Err(Error::Setting {
            setting: "parallel layers",
            reason: format!("{} is outside 1 to 64", limits.parallel_layers),
        });
    }
    let root = store.root().display().to_string();
    Ok(Configuration {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Stable for the store's place, and no secret.
        id: Digest::sha256(root.as_bytes())
            .encoded()
            .chars()
            .take(32)
            .collect(),
        platform: match &capabilities.platform {
            Some(text) => platform(text)?,
            None => this_machine(),
        },
        mirrors: capabilities
            .mirrors
            .iter()
            .map(|(host, url)| mirror(host, url))
            .collect::<Result<_, _>>()?,
        insecure_registries: capabilities.insecure_registries.clone(),
        parallel_layers: limits.parallel_layers,
        verify_diff_ids_first: limits.verify_diff_ids_first,
        allow_unsafe_redirects: capabilities.allow_unsafe_redirects,
        hostname: line("/proc/sys/kernel/hostname"),
        processors: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory: machine_memory(),
        kernel: line("/proc/sys/kernel/osrelease"),
        root,
    })
}

fn mirror(host: &str, url: &str) -> Result<Mirror, Error> {
    let refused = |reason: String| {
        Err(Error::Setting {
            setting: "mirror",
            reason,
        })
    };
    let address = url.strip_prefix("http://").or(url.strip_prefix("https://"));
    let Some(address) = address else {
        return refused(format!(
            "{url:?} is no URL; write {host}=http://HOST:PORT or https://HOST"
        ));
    };
    let authority = address.split('/').next().unwrap_or_default();
    // Not shown, since it may be a password.
    if authority.contains('@') {
        return refused(format!(
            "the one of {host} has credentials in its URL, and mirrors are asked without any; leave them out"
        ));
    }
    Ok(Mirror {
        host: host.to_owned(),
        url: url.trim_end_matches('/').to_owned(),
    })
}

/// `os/architecture[/variant]`.
fn platform(text: &str) -> Result<Platform, Error> {
    let parsed = strata_oci::Platform::parse(text, &strata_oci::Platform::default());
    match parsed.ok().filter(|_| text.contains('/')) {
        Some(platform) => Ok(Platform {
            os: platform.os,
            architecture: platform.architecture,
            variant: platform.variant,
            os_version: platform.os_version,
        }),
        None => Err(Error::Setting {
            setting: "platform",
            reason: format!("{text:?} is not os/architecture[/variant], for example linux/arm64"),
        }),
    }
}

/// Images run in Linux containers whatever this host is; Go names the
/// architectures.
fn this_machine() -> Platform {
    let (architecture, variant) = match std::env::consts::ARCH {
        "x86_64" => ("amd64", None),
        "x86" => ("386", None),
        "aarch64" => ("arm64", Some("v8")),
        "arm" => ("arm", Some("v7")),
        "powerpc64" => ("ppc64le", None),
        "loongarch64" => ("loong64", None),
        other => (other, None),
    };
    Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.map(str::to_owned),
        os_version: None,
    }
}

/// The one line of a kernel file; empty where there is none.
fn line(path: &str) -> String {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Physical memory in bytes; 0 where the kernel does not say.
pub(crate) fn machine_memory() -> u64 {
    fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let kibibytes = text
                .lines()
                .find_map(|line| line.strip_prefix("MemTotal:"))?;
            kibibytes
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()
        })
        .map_or(0, |kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_url_without_credentials() {
        let found = mirror("docker.io", "http://127.0.0.1:5000/base@1/").unwrap();
        assert_eq!(
            (&*found.host, &*found.url),
            ("docker.io", "http://127.0.0.1:5000/base@1")
        );
        for url in ["127.0.0.1:5000", "ftp://a", "https://me:secret@mirror.lan"] {
            let error = mirror("docker.io", url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
