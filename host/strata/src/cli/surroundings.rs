//! What the command learns from the environment beyond its own variables, in one value so that
//! tests can bring their own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use strata::types::Secret;

use super::credentials::Sources;

/// Folders of the user, as the XDG base directory specification names them.
///
/// <https://specifications.freedesktop.org/basedir-spec/latest/>
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    home: Option<PathBuf>,
    data_home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    runtime: Option<PathBuf>,
    docker_config: Option<PathBuf>,
    is_root: bool,
    docker_auth: Option<Secret>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Surroundings {
        let names = [
            "HOME",
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "XDG_RUNTIME_DIR",
        ]
        .into_iter()
        .chain(["DOCKER_CONFIG", "DOCKER_AUTH_CONFIG"]);
        let names = names.filter_map(|name| Some((name, std::env::var_os(name)?.into())));
        Surroundings {
            is_root: rustix::process::geteuid().is_root(),
            ..Surroundings::of(&names.collect())
        }
    }

    /// Those that these variables describe. The specification says to ignore relative folders.
    pub(crate) fn of(variables: &HashMap<&str, PathBuf>) -> Surroundings {
        let absolute = |name| {
            variables
                .get(name)
                .filter(|path| path.is_absolute())
                .cloned()
        };
        Surroundings {
            home: absolute("HOME"),
            data_home: absolute("XDG_DATA_HOME"),
            config_home: absolute("XDG_CONFIG_HOME"),
            runtime: absolute("XDG_RUNTIME_DIR"),
            docker_config: variables
                .get("DOCKER_CONFIG")
                .filter(|path| !path.as_os_str().is_empty())
                .cloned(),
            is_root: false,
            docker_auth: variables
                .get("DOCKER_AUTH_CONFIG")
                .map(|text| text.to_string_lossy().into_owned().into()),
        }
    }

    /// The store people get who name none.
    pub(crate) fn store(&self) -> Option<PathBuf> {
        let data = self.data_home.clone();
        let data = data.or_else(|| Some(self.home.as_ref()?.join(".local/share")))?;
        Some(data.join("strata"))
    }

    /// The settings file that is read when it exists.
    pub(crate) fn settings_file(&self) -> Option<PathBuf> {
        let config = self.config_home.clone();
        let config = config.or_else(|| Some(self.home.as_ref()?.join(".config")))?;
        Some(config.join("strata/config.toml"))
    }

    /// The socket to listen on: where the session or the system has a place for sockets, else
    /// beside the store.
    pub(crate) fn socket(&self, store: &Path) -> PathBuf {
        match &self.runtime {
            Some(runtime) => runtime.join("strata.sock"),
            None if self.is_root => PathBuf::from("/run/strata.sock"),
            None => {
                // Absolute, as it stands in what is printed for others.
                let store = std::path::absolute(store).unwrap_or_else(|_| store.to_path_buf());
                // Written from its parts, it does not end with a slash.
                let store: PathBuf = store.components().collect();
                let mut name = store.into_os_string();
                name.push(".sock");
                name.into()
            }
        }
    }

    /// Where the docker CLI would find the credentials of registries.
    pub(crate) fn credentials(&self) -> Sources {
        Sources {
            file: self.docker_settings(),
            environment: self.docker_auth.clone(),
        }
    }

    /// The docker CLI's own settings.
    fn docker_settings(&self) -> Option<PathBuf> {
        let folder = self.docker_config.clone();
        let folder = folder.or_else(|| Some(self.home.as_ref()?.join(".docker")))?;
        Some(folder.join("config.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xdg_folders_win_over_home_and_relative_ones_are_ignored() {
        let mut variables = HashMap::from([("HOME", PathBuf::from("/home/u"))]);
        let plain = Surroundings::of(&variables);
        assert_eq!(plain.store(), Some("/home/u/.local/share/strata".into()));
        assert_eq!(
            plain.settings_file(),
            Some("/home/u/.config/strata/config.toml".into())
        );
        assert_eq!(
            plain.socket(Path::new("/srv/images/")),
            PathBuf::from("/srv/images.sock")
        );
        let root = Surroundings {
            is_root: true,
            ..plain.clone()
        };
        assert_eq!(
            root.socket(Path::new("/srv/images")),
            PathBuf::from("/run/strata.sock")
        );
        assert_eq!(
            plain.docker_settings(),
            Some("/home/u/.docker/config.json".into())
        );

        variables.insert("XDG_DATA_HOME", "/data".into());
        variables.insert("XDG_CONFIG_HOME", "relative".into());
        variables.insert("XDG_RUNTIME_DIR", "/run/user/1".into());
        variables.insert("DOCKER_CONFIG", "/ci/docker".into());
        let set = Surroundings::of(&variables);
        assert_eq!(set.store(), Some("/data/strata".into()));
        assert_eq!(
            set.settings_file(),
            Some("/home/u/.config/strata/config.toml".into())
        );
        assert_eq!(
            set.socket(Path::new("/srv/images")),
            PathBuf::from("/run/user/1/strata.sock")
        );
        assert_eq!(set.docker_settings(), Some("/ci/docker/config.json".into()));
        assert!(set.credentials().environment.is_none());
        variables.insert("DOCKER_AUTH_CONFIG", "{\"hunter2\":1}".into());
        let set = Surroundings::of(&variables);
        assert!(set.credentials().environment.is_some());
        assert!(!format!("{set:?} {:?}", set.credentials()).contains("hunter2"));
    }

    #[test]
    fn without_a_home_there_are_no_default_places() {
        let none = Surroundings::default();
        assert_eq!(none.store(), None);
        assert_eq!(none.settings_file(), None);
    }
}
