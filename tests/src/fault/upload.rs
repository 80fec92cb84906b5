//! Taking images in, as strictly as a registry may: every offset, digest and reference is checked.

use super::auth::{parameters, repository};
use super::wire::{Answer, header};
use super::{Phase, Seen, State};
use crate::image::Blob;
use crate::layer::sha256;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Whether the repository of this path has the blob it names.
pub(super) fn holds(state: &State, path: &str) -> bool {
    let digest = path.rsplit('/').next().unwrap_or_default();
    state
        .held
        .contains(&format!("{}@{digest}", repository(path)))
}

/// `POST` with `mount` and `from`; what cannot be mounted is to be uploaded.
pub(super) fn mount(state: &mut State, seen: &Seen) -> Answer {
    let query = parameters(&seen.query);
    let value = |name: &str| {
        let pair = query.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let (digest, from) = (value("mount"), value("from"));
    if !state.held.contains(&format!("{from}@{digest}")) {
        return open(state, seen);
    }
    let to = repository(&seen.path);
    state.held.insert(format!("{to}@{digest}"));
    Answer::new(201, "")
        .with("Location", &format!("/v2/{to}/blobs/{digest}"))
        .with("Docker-Content-Digest", digest)
}

/// `POST`: an upload of nothing yet.
pub(super) fn open(state: &mut State, seen: &Seen) -> Answer {
    state.opened += 1;
    let id = state.opened.to_string();
    state.uploads.insert(id.clone(), Vec::new());
    progress(state, seen, &id, 202)
}

/// `GET`: how far an upload is.
pub(super) fn status(state: &State, seen: &Seen) -> Answer {
    match state.uploads.contains_key(id(seen)) {
        true => progress(state, seen, id(seen), 204),
        false => unknown(),
    }
}

/// `PATCH`: the next bytes, which must begin where the last ended.
pub(super) fn chunk(state: &mut State, seen: &Seen, body: &[u8]) -> Answer {
    let Some(bytes) = state.uploads.get_mut(id(seen)) else {
        return unknown();
    };
    let first = header(&seen.headers, "content-range").and_then(|range| range.split('-').next());
    if first.is_some_and(|first| first.parse() != Ok(bytes.len())) {
        return progress(state, seen, id(seen), 416);
    }
    bytes.extend_from_slice(body);
    progress(state, seen, id(seen), 202)
}

/// `PUT`: the last bytes, and what all of them are.
pub(super) fn finish(state: &mut State, seen: &Seen, body: &[u8]) -> Answer {
    let Some(mut bytes) = state.uploads.remove(id(seen)) else {
        return unknown();
    };
    bytes.extend_from_slice(body);
    let digest = sha256(&bytes);
    let query = parameters(&seen.query);
    if !query
        .iter()
        .any(|(key, value)| key == "digest" && *value == digest)
    {
        return Answer::error(400, "DIGEST_INVALID");
    }
    let repository = repository(&seen.path);
    state.held.insert(format!("{repository}@{digest}"));
    state.blobs.insert(digest.clone(), bytes.into());
    Answer::new(201, "")
        .with("Location", &format!("/v2/{repository}/blobs/{digest}"))
        .with("Docker-Content-Digest", &digest)
}

/// `PUT` of a manifest or index, if all it lists is here.
pub(super) fn publish(state: &mut State, seen: &Seen, body: Vec<u8>) -> Answer {
    let media_type = header(&seen.headers, "content-type").unwrap_or_default();
    let manifest = Blob::new(media_type, body);
    let Some((_, name)) = seen.path.rsplit_once("/manifests/") else {
        return Answer::error(404, "NAME_UNKNOWN");
    };
    let repository = repository(&seen.path);
    if name.contains(':') && name != manifest.digest {
        return Answer::error(400, "DIGEST_INVALID");
    }
    let Ok(listed) = listed(&manifest) else {
        return Answer::error(400, "MANIFEST_INVALID");
    };
    for (digest, is_manifest) in listed {
        let key = format!("{repository}@{digest}");
        let here = match is_manifest {
            true => state.manifests.contains_key(&key),
            false => state.held.contains(&key),
        };
        if !here {
            return Answer::error(400, "MANIFEST_BLOB_UNKNOWN");
        }
    }
    let by_digest = format!("{repository}@{}", manifest.digest);
    if !name.contains(':') {
        let by_tag = format!("{repository}:{name}");
        state.manifests.insert(by_tag, manifest.clone());
    }
    let answer = Answer::new(201, "").with("Docker-Content-Digest", &manifest.digest);
    state.manifests.insert(by_digest, manifest);
    answer
}

/// A request whose connection broke within its body: an upload keeps what came.
pub(super) fn cut(state: &mut State, seen: &Seen, body: &[u8]) -> Answer {
    if matches!(seen.phase, Phase::Chunk | Phase::Finish)
        && let Some(bytes) = state.uploads.get_mut(id(seen))
    {
        bytes.extend_from_slice(body);
    }
    Answer {
        hang_up: true,
        ..Answer::new(0, "")
    }
}

/// Drops the upload a request is about.
pub(super) fn forget(state: &mut State, seen: &Seen) {
    state.uploads.remove(id(seen));
}

/// Takes all blobs out of the repository a request is about.
pub(super) fn forget_blobs(state: &mut State, seen: &Seen) {
    let prefix = format!("{}@", repository(&seen.path));
    state.held.retain(|held| !held.starts_with(&prefix));
}

/// Whether all that a manifest or index lists is in the repository, and is what its digest says.
///
/// # Errors
/// When it is not: the text names the digest.
pub(super) fn check(state: &State, repository: &str, manifest: &Blob) -> Result<()> {
    for (digest, is_manifest) in listed(manifest)? {
        let key = format!("{repository}@{digest}");
        if is_manifest {
            let child = state.manifests.get(&key);
            let child = child.with_context(|| format!("manifest {digest} is missing"))?;
            check(state, repository, child)?;
            continue;
        }
        let bytes = state.blobs.get(&digest);
        let bytes = bytes.filter(|_| state.held.contains(&key));
        let bytes = bytes.with_context(|| format!("blob {digest} is missing"))?;
        ensure!(sha256(bytes) == digest, "blob {digest} has other bytes");
    }
    Ok(())
}

/// What a document lists: digests, and whether they are of manifests.
fn listed(manifest: &Blob) -> Result<Vec<(String, bool)>> {
    let document: Value = serde_json::from_slice(&manifest.bytes)?;
    let members = |name: &str| document[name].as_array().cloned().unwrap_or_default();
    let blobs = members("layers")
        .into_iter()
        .chain([document["config"].clone()]);
    let blobs = blobs.map(|it| (it, false));
    let all = members("manifests")
        .into_iter()
        .map(|it| (it, true))
        .chain(blobs);
    Ok(all
        .filter_map(|(it, is_manifest)| Some((it["digest"].as_str()?.to_owned(), is_manifest)))
        .collect())
}

/// Where an upload goes on, and how far it is.
fn progress(state: &State, seen: &Seen, id: &str, status: u16) -> Answer {
    let length = state.uploads.get(id).map_or(0, Vec::len);
    let repository = repository(&seen.path);
    // A query of the registry's own, which must be kept.
    let location = format!(
        "{}/v2/{repository}/blobs/uploads/{id}?_state=a%3D",
        state.base
    );
    Answer::new(status, "")
        .with("Location", &location)
        .with("Range", &format!("0-{}", length.saturating_sub(1)))
        .with("Docker-Upload-UUID", id)
}

fn unknown() -> Answer {
    Answer::error(404, "BLOB_UPLOAD_UNKNOWN")
}

fn id(seen: &Seen) -> &str {
    seen.path.rsplit('/').next().unwrap_or_default()
}
