//! What is told of a running operation, in docker's words where docker has some.

use std::borrow::Cow;

use strata::types::{BlobProgress, Completed, Phase, Retry, Substituted};
use strata_oci::Reference;

use super::reference::{familiar, short_digest};
use super::terminal::printable;

/// The operation that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// `strata pull`
    Pull,
    /// `strata push`
    Push,
    /// `strata load`
    Load,
    /// `strata import`
    Import,
    /// `strata commit`
    Commit,
    /// `strata save`
    Save,
    /// `strata export`
    Export,
    /// `strata cp`
    Copy,
    /// `strata check`
    Check,
}

impl Work {
    /// Whether it is between a registry and the store.
    pub(crate) fn is_transfer(self) -> bool {
        matches!(self, Work::Pull | Work::Push)
    }

    /// What it does to a stream of bytes, for the one bar of it.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Work::Pull => "Pulling",
            Work::Push => "Pushing",
            Work::Load => "Loading",
            Work::Import => "Importing",
            Work::Commit => "Committing",
            Work::Save => "Saving",
            Work::Export => "Exporting",
            Work::Copy => "Copying",
            Work::Check => "Checking",
        }
    }
}

/// `latest: Pulling from library/alpine`.
pub(crate) fn heading(work: Work, reference: &str) -> String {
    let parsed = Reference::parse(reference).ok();
    let tagged = parsed.as_ref().filter(|parsed| parsed.digest().is_none());
    let tag = tagged.and_then(Reference::tag);
    if work == Work::Push {
        let repository = tag.and(tagged).map(Reference::repository);
        let repository = repository.as_deref().unwrap_or(reference);
        return format!("The push refers to repository [{repository}]");
    }
    let path = parsed.as_ref().map_or(reference, Reference::path);
    format!("{}: {} from {path}", tag.unwrap_or(reference), work.verb())
}

/// Docker's word for what a blob is doing; none for what people need not see.
pub(crate) fn blob(work: Work, blob: &BlobProgress) -> Option<Cow<'static, str>> {
    let word = match (blob.phase, work) {
        (Phase::Queued, Work::Push) => "Waiting",
        (Phase::Queued, _) => "Pulling fs layer",
        (Phase::Downloading, _) => "Downloading",
        (Phase::Downloaded, _) => "Download complete",
        (Phase::AlreadyExists, Work::Push) => "Layer already exists",
        (Phase::AlreadyExists, _) => "Already exists",
        (Phase::Uploading, _) => "Pushing",
        (Phase::Uploaded, _) => "Pushed",
        (Phase::Mounted, _) => match &blob.mounted_from {
            Some(repository) => {
                return Some(format!("Mounted from {}", printable(repository)).into());
            }
            None => "Mounted",
        },
        (Phase::Retrying, _) => "Retrying",
        (Phase::Unavailable | Phase::Verifying, _) => return None,
    };
    Some(word.into())
}

/// A failure that will be tried again, with its reason.
pub(crate) fn retrying(retry: &Retry) -> String {
    let seconds = retry.delay.div_ceil(1000);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let reason = strata::Error::Image(retry.reason.clone()).to_string();
    let what = format!("Retrying in {seconds} {unit}: {}", printable(&reason));
    match &retry.digest {
        Some(digest) => format!("{}: {what}", short_digest(digest)),
        None => what,
    }
}

/// A registry's word to people.
pub(crate) fn warning(text: &str) -> String {
    format!("Warning: {}", printable(text))
}

/// Not all of an index was pushed.
pub(crate) fn substituted(substituted: &Substituted) -> String {
    format!(
        "Not all platforms are here: pushed the manifest {} in place of the index {}",
        substituted.manifest.digest, substituted.index.digest
    )
}

/// The last lines about a reference.
pub(crate) fn verdict(work: Work, completed: &Completed) -> Vec<String> {
    if work == Work::Push {
        let parsed = Reference::parse(&completed.reference).ok();
        let tagged = parsed.as_ref().filter(|parsed| parsed.digest().is_none());
        let tag = tagged
            .and_then(Reference::tag)
            .unwrap_or(&completed.reference);
        let (digest, size) = (&completed.digest, completed.size);
        return vec![format!("{tag}: digest: {digest} size: {size}")];
    }
    let status = match completed.changed {
        true => "Downloaded newer image for",
        false => "Image is up to date for",
    };
    vec![
        format!("Digest: {}", completed.digest),
        format!("Status: {status} {}", familiar(&completed.reference)),
    ]
}
