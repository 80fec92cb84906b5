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

mod projector;

use std::collections::HashSet;
use std::io::Read as _;

use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::open::Inner;
use crate::{Change, Descriptor, Digest, Error, Expectation, aside, database, digest, name};

pub(crate) use projector::{Signal, run};

/// The name space `index.json` shows.
pub const IMAGES: &str = "images";

/// Names dockerd gives to images that lost theirs. Shown, as they keep content alive, but without a
/// name nobody should use.
const DANGLING: &str = "moby-dangling@";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";
const MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Largest `index.json` read, in bytes: some 100,000 names. Foreign input is bounded.
const MAX_INDEX: u64 = 64 * 1024 * 1024;
/// Largest adopted target, in bytes; registries accept manifests up to 4 MiB.
const MAX_TARGET: u64 = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "mediaType", default)]
    media_type: String,
    #[serde(default)]
    manifests: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Adopts what another tool added, then writes the projection if it differs.
pub(crate) fn synchronize(inner: &Inner) -> Result<(), Error> {
    let layout = &inner.layout;
    // One process at a time, from reading the names to the rename: an older projection must not
    // replace a newer one.
    let _locked = layout.lock("index.lock")?;
    inner.index.begin();

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
    let (before, after) = inner.database.read(|connection, _| {
        Ok(
            connection.query_row("SELECT index_before, index_after FROM head", [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?,
        )
    })?;
    let own = current_hash
        .as_ref()
        .is_none_or(|hash| *hash == before || *hash == after);
    if let (false, Some(bytes)) = (own, &current) {
        adopt(inner, bytes)?;
    }

    let (names, withdrawn) = inner.database.read(|connection, _| {
        let withdrawn = connection
            .prepare_cached("SELECT name, digest FROM withdrawn")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<Vec<(String, String)>, _>>()?;
        Ok((name::list(connection, IMAGES)?, withdrawn))
    })?;
    let projection = project(&names)?;
    let hash = Digest::of(&projection).to_string();
    if current_hash.as_ref() != Some(&hash) {
        inner.database.write(|transaction, _| {
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
        inner.database.write(|transaction, _| {
            let mut delete = transaction
                .prepare_cached("DELETE FROM withdrawn WHERE name = ? AND digest = ?")?;
            for pair in &withdrawn {
                delete.execute((&pair.0, &pair.1))?;
            }
            Ok(())
        })?;
    }
    inner.index.done(layout);
    Ok(())
}

/// Notes that `name` no longer points where the projection may still say.
pub(crate) fn remember_withdrawn(
    transaction: &Transaction<'_>,
    name: &str,
    old: Option<&str>,
    change: &Change,
) -> Result<(), Error> {
    let new = match change {
        Change::Set { target, .. } => Some(target.digest.as_str()),
        Change::Remove { .. } => None,
    };
    if let Some(old) = old.filter(|old| Some(*old) != new) {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO withdrawn VALUES (?, ?)")?
            .execute([name, old])?;
    }
    if let Some(new) = new {
        transaction
            .prepare_cached("DELETE FROM withdrawn WHERE name = ? AND digest = ?")?
            .execute([name, new])?;
    }
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
        let changes = foreign_names(layout, &bytes, &HashSet::new())?;
        name::apply(transaction, layout, &changes)?;
    }
    Ok(())
}

fn adopt(inner: &Inner, bytes: &[u8]) -> Result<(), Error> {
    // Also spares hashing the targets of our own names, which the other tool left in place.
    let known: HashSet<(String, String)> = inner.database.read(|connection, _| {
        Ok(connection
            .prepare(
                "SELECT name, digest FROM names WHERE namespace = ?
                 UNION ALL SELECT name, digest FROM withdrawn",
            )?
            .query_map([IMAGES], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?)
    })?;
    let changes = match foreign_names(&inner.layout, bytes, &known) {
        Ok(changes) => changes,
        // Replaced by a valid one next; whoever wrote this did not write an index.
        Err(Error::Invalid(why)) => {
            tracing::error!(
                why,
                "index.json was broken by another tool and is written anew"
            );
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if changes.is_empty() {
        return Ok(());
    }
    let adopted = inner.database.write(|transaction, _| {
        if name::apply(transaction, &inner.layout, &changes)?.any {
            database::advance(transaction, true)?;
        }
        Ok(changes.len())
    })?;
    tracing::info!(adopted, "adopted names another tool added to index.json");
    Ok(())
}

/// The entries of an index that are worth believing, as changes.
fn foreign_names(
    layout: &Layout,
    bytes: &[u8],
    known: &HashSet<(String, String)>,
) -> Result<Vec<Change>, Error> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| Error::Invalid(format!("index.json: {error}")))?;
    let mut changes = Vec::new();
    for entry in document.manifests {
        let Some(name) = entry
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(REF_NAME))
            .and_then(|name| name.as_str())
        else {
            continue;
        };
        if known.contains(&(name.to_owned(), entry.digest.clone())) {
            continue;
        }
        match believe(layout, name, &entry) {
            Ok(change) => changes.push(change),
            Err(error @ (Error::Io { .. } | Error::NoSpace(_))) => return Err(error),
            Err(error) => tracing::warn!(%error, name, "an entry of index.json is not adopted"),
        }
    }
    Ok(changes)
}

fn believe(layout: &Layout, name: &str, entry: &Entry) -> Result<Change, Error> {
    let target = Descriptor {
        media_type: entry.media_type.clone(),
        digest: Digest::parse(&entry.digest)?,
        size: entry.size,
    };
    name::check(layout, IMAGES, name, &target)?;
    let opened = layout.open_blob(&target.digest);
    let (mut file, stamp) = opened.map_err(|it| it.error(&target.digest))?;
    let size = stamp.size;
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
