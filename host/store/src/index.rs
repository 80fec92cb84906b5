//! `index.json`: the projection of name space `images` that other tools read, and the door through
//! which names they add come in.
//!
//! Two rules keep adoption from resurrecting what was removed:
//!
//! - Content we wrote ourselves is never adopted. Its hash is in the database before the file is
//!   renamed into place, beside the hash of what was there before.
//! - If a tool changed a projection that was out of date, the entries we had withdrawn meanwhile
//!   (`withdrawn` in the database, until the next projection) are not adopted either.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>

pub(crate) mod projector;

use std::collections::{HashMap, HashSet};
use std::io::Read as _;

use rusqlite::{Transaction, params};
use serde::Serialize;
use serde_json::Value;

use crate::layout::Layout;
use crate::name::table::NameTable;
use crate::name::{IMAGES, UNTYPED, apply, withdrawn};
use crate::{
    Change, Descriptor, Digest, Error, Expectation, aside, database, digest, reached, rebuild,
};

/// Names dockerd gives to images that lost theirs. Shown, as they keep content alive, but without a
/// name nobody should use.
const DANGLING: &str = "moby-dangling@";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";
const MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Largest `index.json` read and written, in bytes: some 400,000 names of the longest. Foreign input is
/// bounded.
const MAX_INDEX: u64 = 256 * 1024 * 1024;
/// Length of a digest as text.
const MENTION: usize = "sha256:".len() + 64;
/// Largest adopted target, in bytes; registries accept manifests up to 4 MiB.
const MAX_TARGET: u64 = 16 * 1024 * 1024;

#[derive(Serialize)]
struct Document {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "mediaType")]
    media_type: String,
    manifests: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Adopts what another tool added, then writes the projection if it differs.
pub(crate) fn synchronize(names: &NameTable) -> Result<(), Error> {
    let layout = &names.layout;
    // One process at a time, from reading the names to the rename: an older projection must not
    // replace a newer one.
    let _locked = layout.lock("index.lock")?;
    names.projection.begin();

    let current = match read(layout) {
        Ok(current) => current,
        Err(Unread::Odd(why)) => {
            let path = layout.root().join("index.json");
            let moved = aside::set_aside(layout.place(), &path, &[])?;
            tracing::warn!(
                why,
                "index.json could not be read and is written anew; what it was is {}",
                moved.display()
            );
            None
        }
        Err(Unread::Failed(error)) => return Err(error),
    };
    let current_hash = current
        .as_deref()
        .map(|bytes| Digest::of(bytes).to_string());
    // What cannot be read of it is not the hash of anything: then names are compared one by one.
    let (before, after) = names.database.read(|connection, _| {
        Ok(
            connection.query_row("SELECT index_before, index_after FROM head", [], |row| {
                Ok((database::text(row, 0)?, database::text(row, 1)?))
            })?,
        )
    })?;
    let own = current_hash
        .as_ref()
        .is_none_or(|hash| *hash == before || *hash == after);
    if let (false, Some(bytes)) = (own, &current) {
        adopt(names, bytes)?;
    }

    // Before the names: who is withdrawn later is not taken for settled.
    let withdrawn = names.read(|connection, _| withdrawn::all(connection))?;
    let (_, images) = names.load(IMAGES)?;
    let projection = project(&images)?;
    let hash = Digest::of(&projection).to_string();
    if projection.len() as u64 > MAX_INDEX {
        // Written, it could not be read again.
        tracing::warn!(
            "there are more names than index.json may have, which stays as it is: remove some"
        );
    } else if current_hash.as_ref() != Some(&hash) {
        names.database.write(|transaction, _| {
            transaction.execute(
                "UPDATE head SET index_before = ?, index_after = ?",
                params![current_hash.unwrap_or_default(), hash],
            )?;
            Ok(())
        })?;
        layout.replace("index.json", &projection)?;
    }
    if !withdrawn.is_empty() {
        // Now nothing on disk shows them any more. Those withdrawn since are left.
        names.write(|transaction, _| withdrawn::forget(transaction, &withdrawn))?;
    }
    reached::note(layout.place(), &names.database)?;
    names.projection.done(layout);
    Ok(())
}

/// Reads the names of a read-only layout that has no readable database.
pub(crate) fn names_from_layout(
    layout: &Layout,
    transaction: &Transaction<'_>,
) -> Result<(), Error> {
    let bytes = match read(layout) {
        Ok(bytes) => bytes,
        Err(Unread::Odd(why)) => {
            tracing::warn!(why, "index.json cannot be read");
            None
        }
        Err(Unread::Failed(error)) => return Err(error),
    };
    if let Some(bytes) = bytes {
        let foreign = foreign_names(layout, &bytes, &HashSet::new())?;
        if let Some(why) = foreign.odd {
            tracing::warn!(why, "index.json cannot be read whole");
        }
        apply::apply(transaction, layout, &foreign.changes)?;
    }
    Ok(())
}

fn adopt(names: &NameTable, bytes: &[u8]) -> Result<(), Error> {
    // Also spares hashing the targets of our own names, which the other tool left in place.
    let withdrawn = names.read(|connection, _| withdrawn::all(connection))?;
    let mut known: HashSet<(String, String)> = withdrawn.into_iter().collect();
    let (_, images) = names.load(IMAGES)?;
    let own = images.iter();
    known.extend(own.map(|it| (it.name.clone(), it.target.digest.to_string())));
    let Foreign { changes, odd } = foreign_names(&names.layout, bytes, &known)?;
    if let Some(why) = odd {
        let adopted = changes.iter().filter_map(|change| match change {
            Change::Set { target, .. } => Some(target.digest.as_str()),
            Change::Remove { .. } => None,
        });
        let known = known.iter().map(|(_, digest)| digest.as_str());
        keep_unread(names, bytes, &known.chain(adopted).collect(), &why)?;
    }
    if changes.is_empty() {
        return Ok(());
    }
    let adopted = names.write(|transaction, _| {
        if apply::apply(transaction, &names.layout, &changes)?.any {
            database::advance(transaction, true)?;
        }
        Ok(changes.len())
    })?;
    tracing::info!(adopted, "adopted names another tool added to index.json");
    Ok(())
}

/// Sets an index aside of which not all can be read, if it mentions content that has no name here. What it
/// named is not known then, so everything is kept as long as people have not looked.
fn keep_unread(
    names: &NameTable,
    bytes: &[u8],
    known: &HashSet<&str>,
    why: &str,
) -> Result<(), Error> {
    let layout = &names.layout;
    let is_news =
        |digest: &Digest| !known.contains(digest.as_str()) && layout.open_blob(digest).is_ok();
    if !mentioned(bytes).any(|digest| is_news(&digest)) {
        tracing::warn!(
            why,
            "index.json was broken and is written anew; it mentioned no content without a name here"
        );
        return Ok(());
    }
    let path = layout.root().join("index.json");
    let moved = aside::set_aside(layout.place(), &path, &[])?;
    names.database.write(|transaction, _| {
        rebuild::add_lost(transaction, &moved, "application/json")?;
        database::advance(transaction, true)
    })?;
    tracing::warn!(
        why,
        "index.json, as another tool left it, cannot be read whole and is written anew; prune keeps all \
         content until you delete what it was: {}",
        moved.display()
    );
    Ok(())
}

/// The digests in a text, whatever it is.
fn mentioned(bytes: &[u8]) -> impl Iterator<Item = Digest> + '_ {
    let text = |at: usize| std::str::from_utf8(bytes.get(at..at + MENTION)?).ok();
    let starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"sha256:"));
    starts.filter_map(move |at| Digest::parse(text(at)?).ok())
}

/// What another tool's index says.
#[derive(Default)]
struct Foreign {
    /// The entries that are worth believing.
    changes: Vec<Change>,
    /// Why it was not read whole.
    odd: Option<String>,
}

/// Reads an index as lenient as other tools do: keys in any case, the last of repeated ones, null as
/// absent. What has no name, or one that a later entry takes, is kept without one.
fn foreign_names(
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
    let target = Descriptor {
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
    digest::verify(&target.digest, &bytes)?;
    Ok(Change::Set {
        namespace: IMAGES.into(),
        name: name.into(),
        target,
        labels: Vec::new(),
        expected: Expectation::Any,
    })
}

fn project(names: &[crate::Name]) -> Result<Vec<u8>, Error> {
    let manifests = names
        .iter()
        .map(|name| Entry {
            media_type: name.target.media_type.clone(),
            digest: name.target.digest.to_string(),
            size: name.target.size,
            annotations: (!name.name.starts_with(DANGLING)).then(|| {
                [IMAGE_NAME, REF_NAME]
                    .into_iter()
                    .map(|key| (key.into(), name.name.clone().into()))
                    .collect()
            }),
        })
        .collect();
    let document = Document {
        schema_version: 2,
        media_type: MEDIA_TYPE.into(),
        manifests,
    };
    serde_json::to_vec(&document).map_err(|error| Error::Invalid(format!("index.json: {error}")))
}

/// Why there are no bytes.
enum Unread {
    Failed(Error),
    /// What is there is no file, or nobody can read it.
    Odd(String),
}

fn read(layout: &Layout) -> Result<Option<Vec<u8>>, Unread> {
    let path = layout.root().join("index.json");
    let bytes = aside::read(&path, MAX_INDEX).map_err(|error| {
        if aside::is_unreadable(&error) {
            return Unread::Odd(error.to_string());
        }
        Unread::Failed(Error::io(format!("reading {}", path.display()), error))
    })?;
    if bytes.as_ref().is_some_and(|it| it.len() as u64 > MAX_INDEX) {
        return Err(Unread::Failed(Error::Invalid(format!(
            "{} has more than {MAX_INDEX} bytes; remove it, and it is written anew",
            path.display()
        ))));
    }
    Ok(bytes)
}
