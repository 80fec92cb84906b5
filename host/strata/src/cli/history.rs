//! `strata history`.

use strata::Engine;
use strata::types::{HistoryEntry, Platform};

use super::arguments::{Format, History};
use super::reference::short_digest;
use super::terminal::{Terminal, printable};
use super::{Outcome, age, machine, size, table};

/// What stands for the ID of a step that is not known.
const MISSING: &str = "<missing>";
/// Characters of an instruction in the table, as docker has it.
const INSTRUCTION: usize = 45;

/// Prints the steps of an image, newest first.
pub(crate) async fn run(
    engine: &Engine,
    arguments: History,
    platform: Option<Platform>,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let entries = engine.history(&arguments.name, platform).await?;
    if arguments.quiet {
        let ids = entries
            .iter()
            .map(|entry| format!("{}\n", id(entry, arguments.no_trunc)));
        terminal.text(&ids.collect::<String>())?;
    } else if arguments.printing.format == Format::Json {
        let steps: Vec<_> = entries.iter().map(machine::step).collect();
        terminal.line(format_args!("{:#}", serde_json::Value::from(steps)))?;
    } else {
        terminal.text(&text(&entries, arguments.no_trunc, age::now()))?;
    }
    Ok(Outcome::Done)
}

fn text(entries: &[HistoryEntry], full: bool, now: i64) -> String {
    let headings = ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"].map(str::to_owned);
    let steps = entries.iter().map(|entry| {
        let instruction = printable(&entry.created_by);
        [
            id(entry, full).to_owned(),
            age::since(entry.created, now),
            if full {
                instruction
            } else {
                table::shorten(&instruction, INSTRUCTION)
            },
            size::short(entry.size),
            printable(&entry.comment),
        ]
    });
    table::layout(&[headings].into_iter().chain(steps).collect::<Vec<_>>())
}

fn id(entry: &HistoryEntry, full: bool) -> &str {
    match &entry.id {
        None => MISSING,
        Some(id) if full => id,
        Some(id) => short_digest(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_dockers() {
        let entry = |id: Option<&str>, created_by: &str, size, comment: &str| HistoryEntry {
            id: id.map(Into::into),
            created: 1_800_000_000 - 7 * 86_400,
            created_by: created_by.into(),
            tags: Vec::new(),
            size,
            comment: comment.into(),
        };
        let entries = [
            entry(
                Some("sha256:4bcff63911fcb4448b"),
                "CMD [\"/bin/sh\"]",
                0,
                "buildkit",
            ),
            entry(
                None,
                "ADD\talpine-minirootfs-3.22.0-x86_64.tar.gz / # buildkit",
                8_310_000,
                "",
            ),
        ];
        let expected = "\
IMAGE          CREATED      CREATED BY                                      SIZE      COMMENT
4bcff63911fc   7 days ago   CMD [\"/bin/sh\"]                                 0B        buildkit
<missing>      7 days ago   ADD alpine-minirootfs-3.22.0-x86_64.tar.gz /…   8.31MB    \n";
        assert_eq!(text(&entries, false, 1_800_000_000), expected);
        let full = text(&entries, true, 1_800_000_000);
        assert!(full.contains("sha256:4bcff63911fcb4448b ") && full.contains("/ # buildkit "));
    }
}
