//! `strata ps`.

use serde::Deserialize;
use serde_json::Value;
use strata::Engine;
use strata::types::Container;

use super::arguments::{Containers, Format};
use super::terminal::{Terminal, printable};
use super::{Outcome, age, machine, size, table};

/// Digits of an ID in the table.
const ID: usize = 12;
/// Characters of a command in the table, as docker has it.
const COMMAND: usize = 20;

/// Lists every container, newest first.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Containers,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let containers = engine.containers().await?;
    let full = arguments.no_trunc;
    if arguments.quiet {
        let ids = containers.iter();
        let ids = ids.map(|container| format!("{}\n", id(container, full)));
        terminal.text(&ids.collect::<String>())?;
    } else if arguments.printing.format == Format::Json {
        let containers: Vec<_> = containers.iter().map(machine::container).collect();
        terminal.line(format_args!("{:#}", Value::from(containers)))?;
    } else {
        terminal.text(&text(&containers, full, age::now()))?;
        for line in damaged(&containers) {
            terminal.notice(line);
        }
    }
    Ok(Outcome::Done)
}

/// What the table has no column for.
fn damaged(containers: &[Container]) -> Vec<String> {
    let damaged = containers.iter().filter_map(|container| {
        let reason = printable(container.damaged.as_ref()?);
        let name = match container.name.as_str() {
            "" => id(container, false).to_owned(),
            name => printable(name),
        };
        Some(format!(
            "strata: container {name} is damaged: {reason}; remove it with `strata rm {name}`"
        ))
    });
    damaged.collect()
}

fn text(containers: &[Container], full: bool, now: i64) -> String {
    let headings = [
        "CONTAINER ID",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "SIZE",
        "NAMES",
    ];
    let rows = containers.iter().map(|container| {
        let command = command(&container.config);
        let command = match full {
            true => command,
            false => table::shorten(&command, COMMAND),
        };
        [
            id(container, full).to_owned(),
            printable(&container.image),
            format!("\"{}\"", printable(&command)),
            age::since(container.created, now),
            size::short(container.changed_size),
            printable(&container.name),
        ]
    });
    let rows: Vec<_> = [headings.map(str::to_owned)]
        .into_iter()
        .chain(rows)
        .collect();
    table::layout(&rows)
}

fn id(container: &Container, full: bool) -> &str {
    match full {
        true => &container.id,
        false => container.id.get(..ID).unwrap_or(&container.id),
    }
}

/// What it would run: entrypoint and command in one line.
fn command(config: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Config {
        entrypoint: Option<Vec<String>>,
        cmd: Option<Vec<String>>,
    }
    let config: Config = serde_json::from_slice(config).unwrap_or_default();
    let words = config.entrypoint.into_iter().chain(config.cmd).flatten();
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::platform;

    const NOW: i64 = 1_800_000_000;

    fn container(config: &str) -> Container {
        Container {
            id: "4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1".into(),
            name: "box".into(),
            image: "alpine:3\x1b".into(),
            image_id: "sha256:00".into(),
            platform: platform::parse("linux/arm/v7").unwrap(),
            created: NOW - 21 * 86_400,
            config: config.into(),
            changed_size: 12_830_000,
            damaged: None,
        }
    }

    #[test]
    fn damaged_containers_are_told_apart_from_the_table() {
        let mut containers = [container("{}"), container(""), container("")];
        assert_eq!(damaged(&containers), [""; 0]);
        containers[1].damaged = Some("blob x has changed\u{1b}[2J".to_owned());
        containers[2].damaged = Some("blob y is missing".to_owned());
        containers[2].name = String::new();
        let [named, unnamed] = &damaged(&containers)[..] else {
            panic!("two are damaged");
        };
        assert!(
            named.starts_with("strata: container box is damaged: blob x has changed")
                && named.ends_with("; remove it with `strata rm box`")
                && !named.contains('\u{1b}'),
            "{named}"
        );
        assert_eq!(
            unnamed,
            "strata: container 4bcff63911fc is damaged: blob y is missing; remove it with `strata rm 4bcff63911fc`"
        );
        assert_eq!(text(&containers, false, NOW).lines().count(), 4);
        let object = machine::container(&containers[1]);
        assert_eq!(object["platform"], Value::Null);
        assert_eq!(object["config"], Value::Null);
    }

    #[test]
    fn the_table_is_dockers() {
        let config = r#"{"Entrypoint":["/bin/sh","-c"],"Cmd":["echo a\n; true"]}"#;
        let rows = [container(config), container(r#"{"Cmd":null}"#)];
        let expected = "\
CONTAINER ID   IMAGE       COMMAND                  CREATED       SIZE      NAMES
4bcff63911fc   alpine:3    \"/bin/sh -c echo a ;…\"   3 weeks ago   12.8MB    box
4bcff63911fc   alpine:3    \"\"                       3 weeks ago   12.8MB    box
";
        assert_eq!(text(&rows, false, NOW), expected);
        assert!(text(&rows, true, NOW).contains("\"/bin/sh -c echo a ; true\""));
    }

    #[test]
    fn programs_get_the_config_as_a_document() {
        let object = machine::container(&container(r#"{"Cmd":["sh"]}"#));
        assert_eq!(object["config"]["Cmd"][0], "sh");
        assert_eq!(object["image-id"], "sha256:00");
        assert_eq!(object["changed-size"], 12_830_000);
        assert_eq!(object["platform"], "linux/arm/v7");
    }
}
