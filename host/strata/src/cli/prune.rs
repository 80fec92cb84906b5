//! `strata prune`.

use std::io;

use anyhow::anyhow;
use strata::Engine;
use strata::types::{Pruned, Removal};

use super::arguments::{Format, Prune};
use super::terminal::Terminal;
use super::{Outcome, Usage, age, filter, machine, size};

/// Removes unused images after asking.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Prune,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let mut filters = filter::parse(&arguments.filter, filter::PRUNING, age::now())?;
    if arguments.all && filters.dangling == Some(true) {
        let text = "--all and --filter dangling=true contradict each other";
        return Err(Usage(anyhow!(text)).into());
    }
    let dangling = *filters.dangling.get_or_insert(!arguments.all);
    if !arguments.force && !confirmed(dangling, terminal).await? {
        terminal.notice("nothing was removed");
        return Ok(Outcome::Done);
    }
    let pruned = engine.prune(filters).await?;
    match arguments.printing.format {
        Format::Json => terminal.line(format_args!("{:#}", machine::pruned(&pruned)))?,
        Format::Text => terminal.text(&text(&pruned))?,
    }
    if let Some(reason) = &pruned.kept {
        terminal.notice(format_args!("strata: content was kept: {reason}"));
    }
    Ok(Outcome::Done)
}

/// What docker prints, in which the lines are lower-case here and upper-case for `rmi`.
fn text(pruned: &Pruned) -> String {
    let mut text = String::new();
    if !pruned.removals.is_empty() {
        text.push_str("Deleted Images:\n");
        for removal in &pruned.removals {
            text.push_str(&match removal {
                Removal::Untagged(name) => format!("untagged: {name}\n"),
                Removal::Deleted(digest) => format!("deleted: {digest}\n"),
            });
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "Total reclaimed space: {}\n",
        size::total(pruned.reclaimed)
    ));
    text
}

async fn confirmed(dangling: bool, terminal: &Terminal) -> anyhow::Result<bool> {
    if !terminal.can_ask {
        let text = "prune asks before it removes images; nobody can answer here, so add --force";
        return Err(Usage(anyhow!(text)).into());
    }
    terminal.notice(match dangling {
        true => "This will remove all images without a name.",
        false => "This will remove all images that no container uses.",
    });
    terminal.ask("Continue? [y/N]");
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    Ok(is_yes(&answer.await??))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_printed_even_when_nothing_went() {
        let nothing = Pruned {
            removals: Vec::new(),
            reclaimed: 0,
            kept: None,
        };
        assert_eq!(text(&nothing), "Total reclaimed space: 0B\n");
        let something = Pruned {
            removals: vec![
                Removal::Untagged("a:1".into()),
                Removal::Deleted("sha256:00".into()),
            ],
            reclaimed: 12_345_678,
            kept: None,
        };
        let expected = "\
Deleted Images:
untagged: a:1
deleted: sha256:00

Total reclaimed space: 12.35MB
";
        assert_eq!(text(&something), expected);
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(is_yes("y\n") && is_yes(" YES \n"));
        assert!(!is_yes("\n") && !is_yes("no\n") && !is_yes("yep\n"));
    }
}
