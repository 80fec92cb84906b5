//! What is known of layers, and what was promised of them, as the database has it.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use crate::{Digest, Error, database};

/// What is learned once about a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFacts {
    /// SHA-256 digest of the uncompressed layer.
    pub diff_id: Digest,
    /// Bytes of the uncompressed layer.
    pub size: u64,
}

/// Queues a check; one whose facts are known is made at once.
pub(super) fn expect(
    transaction: &Transaction<'_>,
    digest: &Digest,
    diff_id: &Digest,
) -> Result<(), Error> {
    transaction
        .prepare_cached("INSERT OR IGNORE INTO checks VALUES (?, ?, 'pending')")?
        .execute([digest.as_str(), diff_id.as_str()])?;
    match stored(transaction, digest)? {
        Some(facts) => keep(transaction, digest, &facts),
        None => Ok(()),
    }
}

/// Every layer that waits for a check. A digest that cannot be read is nobody's.
pub(super) fn pending(connection: &Connection) -> Result<Vec<Digest>, Error> {
    let mut query =
        connection.prepare_cached("SELECT digest FROM checks WHERE state = 'pending'")?;
    let mut rows = query.query([])?;
    let mut digests = Vec::new();
    while let Some(row) = rows.next()? {
        digests.extend(Digest::parse(&database::text(row, 0)?));
    }
    Ok(digests)
}

/// Gives a check up.
pub(super) fn give_up(transaction: &Transaction<'_>, digest: &Digest) -> Result<(), Error> {
    transaction.execute(
        "DELETE FROM checks WHERE digest = ? AND state = 'pending'",
        [digest.as_str()],
    )?;
    Ok(())
}

/// Drops what is known of a deleted blob.
pub(crate) fn forget(transaction: &Transaction<'_>, digest: &Digest) -> Result<(), Error> {
    for sql in [
        "DELETE FROM facts WHERE digest = ?",
        "DELETE FROM facts_sums WHERE digest = ?",
        "DELETE FROM checks WHERE digest = ?",
    ] {
        transaction
            .prepare_cached(sql)?
            .execute([digest.as_str()])?;
    }
    Ok(())
}

/// Stores facts and settles the checks waiting for them.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    digest: &Digest,
    facts: &LayerFacts,
) -> Result<(), Error> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)")?
        .execute((
            digest.as_str(),
            facts.diff_id.as_str(),
            facts.size.cast_signed(),
        ))?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO facts_sums VALUES (?, ?)")?
        .execute((digest.as_str(), checksum(digest, facts)))?;
    let mut settle = transaction.prepare_cached(
        "UPDATE checks SET state = CASE diff_id WHEN ?2 THEN 'right' ELSE 'wrong' END
         WHERE digest = ?1 AND state = 'pending' RETURNING diff_id, state",
    )?;
    let mut rows = settle.query([digest.as_str(), facts.diff_id.as_str()])?;
    while let Some(row) = rows.next()? {
        let (expected, state) = (database::text(row, 0)?, database::text(row, 1)?);
        if state == "wrong" {
            tracing::warn!(
                layer = %digest, expected, actual = %facts.diff_id,
                "a layer is not what its image's config promises; do not run the image"
            );
        }
    }
    Ok(())
}

/// What tells whether what is known of a layer has changed: the beginning of a SHA-256 digest.
fn checksum(digest: &Digest, facts: &LayerFacts) -> i64 {
    use sha2::Digest as _;
    let text = format!("{digest} {} {}", facts.diff_id, facts.size);
    let digest = sha2::Sha256::digest(text);
    i64::from_le_bytes(digest.first_chunk::<8>().copied().unwrap_or_default())
}

/// What was found; nothing if it is not what was written then.
fn stored(connection: &Connection, digest: &Digest) -> Result<Option<LayerFacts>, Error> {
    let found = connection
        .prepare_cached("SELECT diff_id, size FROM facts WHERE digest = ?")?
        .query_row([digest.as_str()], |row| {
            let size = row.get_ref(1)?.as_i64().ok();
            Ok((database::text(row, 0)?, size))
        })
        .optional()?;
    let Some((diff_id, size)) = found else {
        return Ok(None);
    };
    if let (Ok(diff_id), Some(size @ 0..)) = (Digest::parse(&diff_id), size) {
        let size = size.cast_unsigned();
        let facts = LayerFacts { diff_id, size };
        if sum(connection, digest)?.is_none_or(|sum| sum == checksum(digest, &facts)) {
            return Ok(Some(facts));
        }
    }
    tracing::warn!(layer = %digest, "what is known of a layer was damaged, and is found out again");
    Ok(None)
}

/// The checksum of what is known of a layer; what an older program found has none.
fn sum(connection: &Connection, digest: &Digest) -> Result<Option<i64>, Error> {
    let exists: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'facts_sums'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if exists.is_none() {
        return Ok(None);
    }
    Ok(connection
        .prepare_cached("SELECT checksum FROM facts_sums WHERE digest = ?")?
        .query_row([digest.as_str()], |row| Ok(row.get_ref(0)?.as_i64().ok()))
        .optional()?
        .flatten())
}

/// What is known of a layer, and as it was promised.
pub(super) fn look_up(
    connection: &Connection,
    digest: &Digest,
) -> Result<Option<LayerFacts>, Error> {
    let Some(facts) = stored(connection, digest)? else {
        return Ok(None);
    };
    // A layer that one config describes rightly is not at fault when another one lies about it:
    // otherwise any image could spoil the layers it shares.
    let wrong = connection
        .prepare_cached(
            "SELECT diff_id FROM checks WHERE digest = ?1 AND state = 'wrong' AND NOT EXISTS
                 (SELECT 1 FROM checks WHERE digest = ?1 AND state = 'right') LIMIT 1",
        )?
        .query_row([digest.as_str()], |row| database::text(row, 0))
        .optional()?;
    // A promise that cannot be read is none.
    match wrong.and_then(|expected| Digest::parse(&expected).ok()) {
        Some(expected) => Err(Error::DigestMismatch {
            expected,
            actual: facts.diff_id,
        }),
        None => Ok(Some(facts)),
    }
}
