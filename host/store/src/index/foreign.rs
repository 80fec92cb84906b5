//! What another tool wrote into `index.json`: read as leniently as tools do, and believed only where the content
//! says the same.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;

use serde_json::Value;

use crate::layout::Layout;
use crate::name::{IMAGES, UNTYPED, apply};
use crate::{Change, Digest, Error, Expectation, Target, verify};

/// Names dockerd gives to images that lost theirs. Shown, as they keep content alive, but without a
/// name nobody should use.
pub(super) const DANGLING: &str = "moby-dangling@";
/// The annotation with an image's name.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Length of a digest as text.
const MENTION: usize = "sha256:".len() + 64;
/// Largest adopted target, in bytes; registries accept manifests up to 4 MiB.
const MAX_TARGET: u64 = 16 * 1024 * 1024;

/// The digests in a text, whatever it is.
pub(super) fn mentioned(bytes: &[u8]) -> impl Iterator<Item = Digest> + '_ {
    let text = |at: usize| std::str::from_utf8(bytes.get(at..at + MENTION)?).ok();
    let starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"sha256:"));
    starts.filter_map(move |at| Digest::parse(text(at)?).ok())
}

/// What another tool's index says.
#[derive(Default)]
pub(super) struct Foreign {
    /// The entries that are worth believing.
    pub(super) changes: Vec<Change>,
    /// Why it was not read whole.
    pub(super) odd: Option<String>,
}

/// Reads an index as lenient as other tools do: keys in any case, the last of repeated ones, null as
/// absent. What has no name, or one that a later entry takes, is kept without one.
pub(super) fn foreign_names(
    layout: &Layout,
    bytes: &[u8],
    known: &HashSet<(String, String)>,
) -> Result<Foreign, Error> {
    let mut foreign = Foreign::default();
    let text = String::from_utf8_lossy(bytes);
    let document: Value = match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(document) => document,
        Err(error) => {
            foreign.odd = Some(error.to_string());
            return Ok(foreign);
        }
    };
    let entries = match member(&document, "manifests") {
        Some(Value::Array(entries)) => entries.as_slice(),
        None if document.is_object() => &[],
        _ => {
            foreign.odd = Some("it is no index".to_owned());
            return Ok(foreign);
        }
    };
    let mut named = HashMap::new();
    let mut read = Vec::with_capacity(entries.len());
    for (position, entry) in entries.iter().enumerate() {
        match Found::new(entry) {
            Some(found) => {
                if let Some(name) = found.name {
                    named.insert(name, position);
                }
                read.push((position, found));
            }
            None => drop(foreign.odd.get_or_insert_with(|| {
                format!("entry {} of its manifests names no digest", position + 1)
            })),
        }
    }
    let has_name: HashSet<&str> = known
        .iter()
        .map(|(_, digest)| digest.as_str())
        .chain(
            read.iter()
                .filter(|(_, it)| it.name.is_some())
                .map(|(_, it)| it.digest),
        )
        .collect();
    for (position, found) in &read {
        let name = match found.name {
            Some(name) if named.get(name) == Some(position) => name.to_owned(),
            None if has_name.contains(found.digest) => continue,
            _ => format!("{DANGLING}{}", found.digest),
        };
        if known.contains(&(name.clone(), found.digest.to_owned())) {
            continue;
        }
        match believe(layout, &name, found) {
            Ok(change) => foreign.changes.push(change),
            Err(error @ (Error::Io { .. } | Error::NoSpace(_))) => return Err(error),
            Err(error) => tracing::warn!(%error, name, "an entry of index.json is not adopted"),
        }
    }
    Ok(foreign)
}

/// An entry of another tool's index.
struct Found<'a> {
    media_type: &'a str,
    digest: &'a str,
    name: Option<&'a str>,
}

impl<'a> Found<'a> {
    /// `None` if it names no digest.
    fn new(entry: &'a Value) -> Option<Self> {
        let text = |of: &'a Value, name| member(of, name).and_then(Value::as_str);
        let digest = text(entry, "digest").filter(|it| Digest::parse(it).is_ok())?;
        let annotations = member(entry, "annotations");
        let annotation = |key| annotations?.get(key)?.as_str().filter(|it| !it.is_empty());
        Some(Self {
            media_type: text(entry, "mediaType")
                .filter(|it| !it.is_empty())
                .unwrap_or(UNTYPED),
            digest,
            name: annotation(REF_NAME),
        })
    }
}

/// A member of an object, unless it is null.
fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let members = object.as_object()?.iter();
    let found = members.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found
        .map(|(_, value)| value)
        .next_back()
        .filter(|value| !value.is_null())
}

fn believe(layout: &Layout, name: &str, found: &Found<'_>) -> Result<Change, Error> {
    let digest = Digest::parse(found.digest)?;
    let opened = layout.open_blob(&digest);
    let (mut file, stamp) = opened.map_err(|it| it.error(&digest))?;
    let size = stamp.size;
    // Its size is what is here: the digest says whether that is right.
    let target = Target {
        media_type: found.media_type.to_owned(),
        digest,
        size,
    };
    apply::check(layout, IMAGES, name, &target)?;
    if size > MAX_TARGET {
        return Err(Error::TooLarge {
            digest: target.digest,
            size,
            limit: MAX_TARGET,
        });
    }
    let mut bytes = Vec::new();
    // That a disk does not give one target fails no other entry.
    file.read_to_end(&mut bytes)
        .map_err(|error| Error::Invalid(format!("reading {}: {error}", target.digest)))?;
    verify::bytes(&target.digest, &bytes)?;
    Ok(Change::Set {
        namespace: IMAGES.into(),
        name: name.into(),
        target,
        labels: Vec::new(),
        expected: Expectation::Any,
    })
}
