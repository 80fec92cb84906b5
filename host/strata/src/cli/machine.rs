//! The output of `--format json`: the engine's records with the names of the WIT contract.
//!
//! Written out here so that what programs read changes only on purpose, never with the way the
//! bindings spell Rust names. Three differences to the contract: labels are an object, the config of
//! a container is a document, and its platform is text.

use serde_json::{Value, json};
use strata::types::{
    ChangeKind, ChangedPath, Completed, Container, Descriptor, Error, Event, HistoryEntry,
    ImageSummary, Loaded, Phase, Pruned, Removal,
};

/// A record of a running operation: an object with one key.
pub(crate) fn event(event: &Event) -> Value {
    match event {
        Event::Resolved(resolved) => json!({"resolved": {
            "reference": resolved.reference,
            "digest": resolved.digest,
        }}),
        Event::Blob(blob) => json!({"blob": {
            "digest": blob.digest,
            "phase": phase(blob.phase),
            "current": blob.current,
            "total": blob.total,
            "mounted-from": blob.mounted_from,
        }}),
        Event::Content(content) => json!({"content": {
            "phase": phase(content.phase),
            "current": content.current,
            "total": content.total,
        }}),
        Event::Substituted(it) => json!({"substituted": {
            "index": descriptor(&it.index),
            "manifest": descriptor(&it.manifest),
        }}),
        Event::Retry(retry) => json!({"retry": {
            "digest": retry.digest,
            "attempt": retry.attempt,
            "delay": retry.delay,
            "reason": error(&retry.reason),
        }}),
        Event::Warning(text) => json!({ "warning": text }),
        Event::Completed(done) => json!({ "completed": completed(done) }),
    }
}

/// A reference that is complete.
pub(crate) fn completed(completed: &Completed) -> Value {
    json!({
        "reference": completed.reference,
        "digest": completed.digest,
        "size": completed.size,
        "changed": completed.changed,
    })
}

/// The references of one operation.
pub(crate) fn all_completed(all: &[Completed]) -> Value {
    all.iter().map(completed).collect()
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "queued",
        Phase::Downloading => "downloading",
        Phase::Downloaded => "downloaded",
        Phase::AlreadyExists => "already-exists",
        Phase::Uploading => "uploading",
        Phase::Uploaded => "uploaded",
        Phase::Mounted => "mounted",
        Phase::Retrying => "retrying",
        Phase::Unavailable => "unavailable",
        Phase::Verifying => "verifying",
    }
}

/// An error: an object whose one key is the case.
pub(crate) fn error(error: &Error) -> Value {
    match error {
        Error::InvalidArgument(text) => json!({ "invalid-argument": text }),
        Error::NotFound(text) => json!({ "not-found": text }),
        Error::Conflict(text) => json!({ "conflict": text }),
        Error::Unauthorized(text) => json!({ "unauthorized": text }),
        Error::Denied(text) => json!({ "denied": text }),
        Error::RateLimited(limit) => json!({"rate-limited": {
            "message": limit.message,
            "retry-after": limit.retry_after,
        }}),
        Error::ManifestInvalid(text) => json!({ "manifest-invalid": text }),
        Error::DigestMismatch(mismatch) => json!({"digest-mismatch": {
            "expected": mismatch.expected,
            "actual": mismatch.actual,
        }}),
        Error::Damaged(text) => json!({ "damaged": text }),
        Error::PlatformMismatch(text) => json!({ "platform-mismatch": text }),
        Error::Unsupported(text) => json!({ "unsupported": text }),
        Error::NoSpace(text) => json!({ "no-space": text }),
        Error::QuotaExceeded(text) => json!({ "quota-exceeded": text }),
        Error::Unavailable(text) => json!({ "unavailable": text }),
        Error::Cancelled => json!({ "cancelled": null }),
        Error::Internal(text) => json!({ "internal": text }),
    }
}

/// What ended a command, in the same shape; what is not the engine's own is `internal`.
pub(crate) fn failure(failure: &anyhow::Error) -> Value {
    match failure.downcast_ref() {
        Some(strata::Error::Image(engine)) => error(engine),
        _ => json!({ "internal": super::sentence(failure) }),
    }
}

/// One image of a listing.
pub(crate) fn image(image: &ImageSummary) -> Value {
    let labels = image.labels.iter().cloned();
    let labels: serde_json::Map<_, _> = labels.map(|(key, value)| (key, value.into())).collect();
    json!({
        "id": image.id,
        "target": descriptor(&image.target),
        "tags": image.tags,
        "digests": image.digests,
        "created": image.created,
        "size": image.size,
        "shared-size": image.shared_size,
        "labels": labels,
        "containers": image.containers,
        "damaged": image.damaged,
    })
}

fn descriptor(descriptor: &Descriptor) -> Value {
    json!({
        "media-type": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    })
}

/// One step of a history.
pub(crate) fn step(entry: &HistoryEntry) -> Value {
    json!({
        "id": entry.id,
        "created": entry.created,
        "created-by": entry.created_by,
        "tags": entry.tags,
        "size": entry.size,
        "comment": entry.comment,
    })
}

/// One thing that was removed.
pub(crate) fn removal(removal: &Removal) -> Value {
    match removal {
        Removal::Untagged(name) => json!({ "untagged": name }),
        Removal::Deleted(digest) => json!({ "deleted": digest }),
    }
}

/// What a prune did.
pub(crate) fn pruned(pruned: &Pruned) -> Value {
    json!({
        "removals": pruned.removals.iter().map(removal).collect::<Vec<_>>(),
        "reclaimed": pruned.reclaimed,
        "kept": pruned.kept,
    })
}

/// Images that were loaded.
pub(crate) fn loaded(images: &[Loaded]) -> Value {
    let images = images.iter();
    let images = images.map(|image| json!({ "name": image.name, "id": image.id }));
    images.collect()
}

/// One container. Its config is the document itself, not text.
pub(crate) fn container(container: &Container) -> Value {
    let config: Option<Value> = serde_json::from_slice(&container.config).ok();
    json!({
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "image-id": container.image_id,
        "platform": container.damaged.is_none().then(|| super::platform::text(&container.platform)),
        "created": container.created,
        "config": config,
        "changed-size": container.changed_size,
        "damaged": container.damaged,
    })
}

/// One path that differs.
pub(crate) fn change(change: &ChangedPath) -> Value {
    let kind = match change.kind {
        ChangeKind::Modified => "modified",
        ChangeKind::Added => "added",
        ChangeKind::Deleted => "deleted",
    };
    json!({ "path": change.path, "kind": kind })
}
