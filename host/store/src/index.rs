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

mod foreign;
pub(crate) mod projector;

use std::collections::HashSet;

use rusqlite::{Transaction, params};
use serde::Serialize;

use crate::layout::Layout;
use crate::name::table::NameTable;
use crate::name::{IMAGES, apply, withdrawn};
use crate::{Change, Digest, Error, aside, database, reached, rebuild};
use foreign::{DANGLING, Foreign, REF_NAME, foreign_names, mentioned};

const IMAGE_NAME: &str = "io.containerd.image.name";
const MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Largest `index.json` read and written, in bytes: some 400,000 names of the longest. Foreign input is
/// bounded.
const MAX_INDEX: u64 = 256 * 1024 * 1024;

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
        .map(|bytes| Digest::sha256(bytes).to_string());
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
    let hash = Digest::sha256(&projection).to_string();
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
