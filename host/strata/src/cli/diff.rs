//! `strata diff`.

use serde_json::Value;
use strata::Engine;
use strata::types::{ChangeKind, ChangedPath};

use super::arguments::{Diff, Format};
use super::terminal::{Terminal, printable};
use super::{Outcome, machine};

/// Prints what differs between a container and its image, in path order.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Diff,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let changes = engine.changes(&arguments.container).await?;
    match arguments.printing.format {
        Format::Text => terminal.text(&text(&changes))?,
        Format::Json => {
            let changes: Vec<_> = changes.iter().map(machine::change).collect();
            terminal.line(format_args!("{:#}", Value::from(changes)))?;
        }
    }
    Ok(Outcome::Done)
}

/// Docker's letters.
fn text(changes: &[ChangedPath]) -> String {
    let lines = changes.iter().map(|change| {
        let letter = match change.kind {
            ChangeKind::Modified => 'C',
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
        };
        format!("{letter} {}\n", printable(&change.path))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_dockers_letters_and_the_names_of_the_contract() {
        let change = |path: &str, kind| ChangedPath {
            path: path.into(),
            kind,
        };
        let changes = [
            change("/etc", ChangeKind::Modified),
            change("/etc/a\n", ChangeKind::Added),
            change("/gone", ChangeKind::Deleted),
        ];
        assert_eq!(text(&changes), "C /etc\nA /etc/a \nD /gone\n");
        let kinds = changes.map(|change| machine::change(&change)["kind"].clone());
        assert_eq!(kinds, ["modified", "added", "deleted"]);
    }
}
