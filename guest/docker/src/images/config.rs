//! The `Config` of an inspected image, whose shape changed twice: with versions 1.50 and
//! 1.52 of the API, <https://docs.docker.com/reference/api/engine/version-history/>.

use serde::{Serialize, Serializer, ser::SerializeMap};
use strata_oci::config::ContainerConfig;

use crate::version::ApiVersion;

/// A container config in the shape of one API version.
pub(crate) struct Config<'a> {
    config: &'a ContainerConfig,
    version: ApiVersion,
}

impl<'a> Config<'a> {
    /// The shape `version` has.
    pub(crate) fn new(config: &'a ContainerConfig, version: ApiVersion) -> Self {
        Self { config, version }
    }
}

impl Serialize for Config<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let config = self.config;
        let mut out = Members {
            map: serializer.serialize_map(None)?,
            // Before 1.52 what is empty was written out.
            keep_empty: !self.version.at_least(52),
        };
        if !self.version.at_least(50) {
            out.container_only()?;
        }
        out.text("User", &config.user)?;
        out.some("ExposedPorts", filled(&config.exposed_ports))?;
        out.list("Env", filled(&config.env))?;
        out.list("Entrypoint", filled(&config.entrypoint))?;
        out.list("Cmd", filled(&config.cmd))?;
        out.list("Volumes", filled(&config.volumes))?;
        out.text("WorkingDir", &config.working_dir)?;
        out.list("Labels", filled(&config.labels))?;
        out.some("StopSignal", config.stop_signal.as_ref())?;
        out.some("ArgsEscaped", config.args_escaped.then_some(&true))?;
        out.some("Healthcheck", config.healthcheck.as_ref())?;
        out.list("OnBuild", filled(&config.on_build))?;
        out.some("Shell", filled(&config.shell))?;
        out.map.end()
    }
}

struct Members<M> {
    map: M,
    keep_empty: bool,
}

impl<M: SerializeMap> Members<M> {
    /// What only containers have: to 1.49, always without a value.
    fn container_only(&mut self) -> Result<(), M::Error> {
        for key in ["Hostname", "Domainname", "Image"] {
            self.map.serialize_entry(key, "")?;
        }
        for key in [
            "AttachStdin",
            "AttachStdout",
            "AttachStderr",
            "Tty",
            "OpenStdin",
            "StdinOnce",
        ] {
            self.map.serialize_entry(key, &false)?;
        }
        Ok(())
    }

    /// A member that was `""` when empty.
    fn text(&mut self, key: &str, value: &str) -> Result<(), M::Error> {
        if value.is_empty() && !self.keep_empty {
            return Ok(());
        }
        self.map.serialize_entry(key, value)
    }

    /// A member that was null when empty.
    fn list<T: Serialize>(&mut self, key: &str, value: Option<&T>) -> Result<(), M::Error> {
        if value.is_none() && !self.keep_empty {
            return Ok(());
        }
        self.map.serialize_entry(key, &value)
    }

    /// A member that is left out when empty, in every version.
    fn some<T: Serialize>(&mut self, key: &str, value: Option<&T>) -> Result<(), M::Error> {
        match value {
            Some(value) => self.map.serialize_entry(key, value),
            None => Ok(()),
        }
    }
}

/// `value` unless it holds nothing.
fn filled<T>(value: &Option<T>) -> Option<&T>
where
    for<'a> &'a T: IntoIterator,
{
    value
        .as_ref()
        .filter(|value| value.into_iter().next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(config: &str, version: &str) -> String {
        let config: ContainerConfig = serde_json::from_str(config).unwrap();
        let version = ApiVersion::negotiate(version).unwrap();
        serde_json::to_string(&Config::new(&config, version)).unwrap()
    }

    #[test]
    fn an_empty_config_has_the_shape_of_its_version() {
        let nulls = r#""User":"","Env":null,"Entrypoint":null,"Cmd":null,"Volumes":null,"WorkingDir":"","Labels":null,"OnBuild":null}"#;
        let legacy = r#"{"Hostname":"","Domainname":"","Image":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"#;
        for (version, expected) in [
            ("1.54", "{}".to_owned()),
            ("1.52", "{}".to_owned()),
            ("1.51", format!("{{{nulls}")),
            ("1.50", format!("{{{nulls}")),
            ("1.49", format!("{legacy}{nulls}")),
            ("1.24", format!("{legacy}{nulls}")),
        ] {
            assert_eq!(json("{}", version), expected, "{version}");
            assert_eq!(
                json(r#"{"Env":[],"Labels":{},"Cmd":null}"#, version),
                expected
            );
        }
    }

    #[test]
    fn container_only_members_of_the_stored_config_are_not_shown() {
        let stored =
            r#"{"Hostname":"h","Image":"sha256:x","Tty":true,"StopTimeout":3,"Cmd":["sh"]}"#;
        assert_eq!(json(stored, "1.54"), r#"{"Cmd":["sh"]}"#);
        assert!(json(stored, "1.49").contains(r#""Hostname":"","#));
    }

    #[test]
    fn every_member_is_shown_when_set() {
        let full = r#"{"User":"u","ExposedPorts":{"80/tcp":{}},"Env":["A=<b>"],"Entrypoint":["/e"],"Cmd":["c"],"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"k":"v"},"StopSignal":"TERM","ArgsEscaped":true,"Healthcheck":{"Test":["CMD","x"],"Interval":1000000000},"OnBuild":["RUN x"],"Shell":["sh"]}"#;
        assert_eq!(json(full, "1.54"), full);
        assert_eq!(json(full, "1.50"), full);
    }
}
