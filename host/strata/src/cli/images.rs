//! `strata images`.

use std::collections::HashSet;

use strata::Engine;
use strata::types::ImageSummary;

use super::arguments::{Format, Images};
use super::reference::short_digest;
use super::terminal::{Terminal, printable};
use super::{Outcome, age, filter, machine, size, table};

/// What stands where a name, tag or digest is missing.
const NONE: &str = "<none>";

/// Lists images.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Images,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let now = age::now();
    let mut filters = filter::parse(&arguments.filter, filter::LISTING, now)?;
    filters.references.extend(arguments.pattern.clone());
    let images = engine.list(filters, false).await?;
    if arguments.printing.format == Format::Json && !arguments.quiet {
        let images: Vec<_> = images.iter().map(machine::image).collect();
        terminal.line(format_args!("{:#}", serde_json::Value::from(images)))?;
    } else if arguments.quiet {
        terminal.text(&ids(&images, arguments.no_trunc))?;
    } else {
        terminal.text(&text(&images, &arguments, now))?;
        for line in damaged(&images) {
            terminal.notice(line);
        }
    }
    Ok(Outcome::Done)
}

/// What the table has no column for.
fn damaged(images: &[ImageSummary]) -> Vec<String> {
    let damaged = images.iter().filter_map(|image| {
        let name = image.tags.first().map_or(image.id.as_str(), String::as_str);
        let (name, reason) = (printable(name), printable(image.damaged.as_ref()?));
        Some(format!(
            "strata: image {name} is damaged: {reason}; pull or load it again, or run `strata check --repair`"
        ))
    });
    damaged.collect()
}

/// One ID per line; an image with several names has several lines in the table but one here, so
/// that the list can be given to `rmi`.
fn ids(images: &[ImageSummary], full: bool) -> String {
    let mut seen = HashSet::new();
    let ids = images.iter().map(|image| image.id.as_str());
    ids.filter(|id| seen.insert(*id))
        .map(|id| format!("{}\n", cut(id, full)))
        .collect()
}

fn text(images: &[ImageSummary], arguments: &Images, now: i64) -> String {
    let names = images.iter().flat_map(|image| {
        let rows = Row::of(image, arguments.digests).into_iter();
        rows.map(move |row| (image, row))
    });
    let columns = names.map(|(image, row)| {
        let id = cut(&image.id, arguments.no_trunc).to_owned();
        let created = age::since(image.created, now);
        [
            row.repository,
            row.tag,
            row.digest,
            id,
            created,
            size::short(image.size),
        ]
    });
    let headings = ["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"];
    let rows: Vec<_> = [headings.map(str::to_owned)]
        .into_iter()
        .chain(columns)
        .collect();
    if arguments.digests {
        return table::layout(&rows);
    }
    let without =
        |[repository, tag, _, id, created, size]: [String; 6]| [repository, tag, id, created, size];
    table::layout(&rows.into_iter().map(without).collect::<Vec<_>>())
}

fn cut(id: &str, full: bool) -> &str {
    if full { id } else { short_digest(id) }
}

/// What distinguishes the lines of one image.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    repository: String,
    tag: String,
    digest: String,
}

impl Row {
    fn new(repository: &str, tag: &str, digest: &str) -> Row {
        // Names come from the store, which other tools may have written.
        let [repository, tag, digest] = [repository, tag, digest].map(printable);
        Row {
            repository,
            tag,
            digest,
        }
    }

    /// One line per tag, and per digest if these are shown. A digest of a repository without a
    /// tag has a line of its own in any case, since it is the image's only name.
    fn of(image: &ImageSummary, with_digests: bool) -> Vec<Row> {
        let (tags, names): (Vec<_>, Vec<_>) =
            image.tags.iter().partition(|name| !name.contains('@'));
        // A name can be `repository@digest` itself, and is then among the digests as well.
        let mut digests: Vec<(&str, &str)> = Vec::new();
        for name in names.iter().copied().chain(&image.digests) {
            if let Some(pair) = name.split_once('@').filter(|pair| !digests.contains(pair)) {
                digests.push(pair);
            }
        }
        let of_repository = |wanted: &str| -> Vec<&str> {
            let found: Vec<_> = digests
                .iter()
                .filter(|(name, _)| *name == wanted)
                .map(|(_, d)| *d)
                .collect();
            if found.is_empty() { vec![NONE] } else { found }
        };
        let mut rows = Vec::new();
        let mut tagged = HashSet::new();
        for name in tags {
            let (repository, tag) = match name.rsplit_once(':') {
                Some((repository, tag)) if !tag.contains('/') => (repository, tag),
                _ => (name.as_str(), NONE),
            };
            tagged.insert(repository);
            if with_digests {
                let digests = of_repository(repository).into_iter();
                rows.extend(digests.map(|digest| Row::new(repository, tag, digest)));
            } else {
                rows.push(Row::new(repository, tag, NONE));
            }
        }
        let mut alone = HashSet::new();
        for (repository, digest) in digests.iter().filter(|(name, _)| !tagged.contains(name)) {
            if with_digests || alone.insert(*repository) {
                rows.push(Row::new(repository, NONE, digest));
            }
        }
        if rows.is_empty() {
            rows.push(Row::new(NONE, NONE, NONE));
        }
        rows
    }
}

#[cfg(test)]
mod tests;
