//! `strata create`.

use serde_json::{Map, Value, json};
use strata::Engine;
use strata::types::{CreateOptions, Platform};

use super::Outcome;
use super::arguments::{Create, Format};
use super::terminal::Terminal;

/// Creates a container and prints its ID.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Create,
    platform: Option<Platform>,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let config = config(&arguments, |name| std::env::var(name).ok());
    let options = CreateOptions {
        image: arguments.image,
        name: arguments.name,
        platform,
        config: (!config.is_empty()).then(|| Value::Object(config).to_string().into_bytes()),
    };
    let id = engine.create_container(options).await?;
    match arguments.printing.format {
        Format::Text => terminal.line(id)?,
        Format::Json => terminal.line(json!({ "id": id }))?,
    }
    Ok(Outcome::Done)
}

/// A container config with what was asked for and nothing else: the rest is the image's.
fn config(arguments: &Create, variable: impl Fn(&str) -> Option<String>) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    let environment = arguments.env.iter().filter_map(|entry| {
        if entry.contains('=') {
            return Some(entry.clone());
        }
        // As docker does, what is not set here is not set there.
        variable(entry).map(|value| format!("{entry}={value}"))
    });
    let environment: Vec<_> = environment.collect();
    if !environment.is_empty() {
        set("Env", json!(environment));
    }
    if let Some(folder) = &arguments.workdir {
        set("WorkingDir", json!(folder));
    }
    if let Some(user) = &arguments.user {
        set("User", json!(user));
    }
    if !arguments.label.is_empty() {
        let labels = arguments.label.iter();
        let labels = labels.map(|label| label.split_once('=').unwrap_or((label, "")));
        let labels: Map<_, _> = labels.map(|(k, v)| (k.to_owned(), json!(v))).collect();
        set("Labels", labels.into());
    }
    if let Some(program) = &arguments.entrypoint {
        // An empty program is how docker's clients say that there is none.
        set("Entrypoint", json!([program]));
    }
    if !arguments.command.is_empty() {
        set("Cmd", json!(arguments.command));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::{Arguments, Command};

    fn of(words: &[&str]) -> Value {
        let words = ["strata", "create"].iter().chain(words);
        match Arguments::parse_from_words(words).unwrap().command {
            Command::Create(create) => {
                let variable = |name: &str| (name == "HERE").then(|| "1".to_owned());
                config(&create, variable).into()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_was_asked_for_is_in_the_config() {
        for (words, expected) in [
            (&["alpine"][..], json!({})),
            (
                &["-e", "A=b=c", "-e", "HERE", "-e", "GONE", "alpine"],
                json!({ "Env": ["A=b=c", "HERE=1"] }),
            ),
            (&["-e", "GONE", "alpine"], json!({})),
            (
                &["-l", "a=b", "-l", "c", "-w", "/w", "-u", "1:2", "alpine"],
                json!({ "Labels": {"a": "b", "c": ""}, "WorkingDir": "/w", "User": "1:2" }),
            ),
            (
                &["--entrypoint", "", "alpine", "sh", "-c", "--store"],
                json!({ "Entrypoint": [""], "Cmd": ["sh", "-c", "--store"] }),
            ),
        ] {
            assert_eq!(of(words), expected, "{words:?}");
        }
    }
}
