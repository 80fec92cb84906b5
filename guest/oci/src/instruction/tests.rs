use super::*;

mod bounds;
mod changes;
mod faults;
mod text;
mod variables;

/// What instructions make of an empty config.
fn applied(text: &str) -> ContainerConfig {
    changed(ContainerConfig::default(), text)
}

/// What instructions make of a config.
fn changed(mut config: ContainerConfig, text: &str) -> ContainerConfig {
    apply(&[text.to_owned()], &mut config).unwrap_or_else(|error| panic!("{text}: {error}"));
    config
}

/// Why instructions are refused.
fn refused(text: &str) -> String {
    let error = apply(&[text.to_owned()], &mut ContainerConfig::default());
    error.expect_err(text).to_string()
}

/// A config as JSON, short.
fn json(config: &ContainerConfig) -> String {
    serde_json::to_string(config).unwrap()
}
