//! Records of the engine as WIT's and back. What only the store's imports need is beside them.

use strata_engine::{
    BlobProgress, Completed, Error, Event, Filters, HistoryEntry, ImageDetails, ImageSummary,
    Mirror, Phase, RegistryAuth, Removal, Result, Settings,
};
use strata_oci::{Descriptor, Digest, Labels, Platform, Reference, config::ContainerConfig};
use wasip3::http::types::ErrorCode;

use crate::bindings::exports::strata::image::curation;
use crate::bindings::strata::image::progress as wire;
use crate::bindings::strata::image::{
    settings as wit,
    types::{self, DigestMismatch, RateLimit},
};

/// A digest the host gave.
pub(crate) fn digest_from_wit(digest: &str) -> Result<Digest> {
    Digest::parse(digest).map_err(|error| {
        Error::Internal(format!("the store returned the digest {digest:?}: {error}"))
    })
}

/// The engine's error as WIT has it, fit for a terminal.
pub(crate) fn error_to_wit(error: Error) -> types::Error {
    match error.printable() {
        Error::InvalidArgument(text) => types::Error::InvalidArgument(text),
        Error::NotFound(text) => types::Error::NotFound(text),
        Error::Conflict(text) => types::Error::Conflict(text),
        Error::Unauthorized(text) | Error::LoginMissing(text) => types::Error::Unauthorized(text),
        Error::Denied(text) => types::Error::Denied(text),
        Error::RateLimited {
            message,
            retry_after,
        } => types::Error::RateLimited(RateLimit {
            message,
            retry_after,
        }),
        Error::ManifestInvalid(text) => types::Error::ManifestInvalid(text),
        Error::DigestMismatch { expected, actual } => {
            types::Error::DigestMismatch(DigestMismatch {
                expected: expected.to_string(),
                actual: actual.to_string(),
            })
        }
        Error::Damaged(text) => types::Error::Damaged(text),
        Error::PlatformMismatch(text) => types::Error::PlatformMismatch(text),
        Error::Unsupported(text) => types::Error::Unsupported(text),
        Error::NoSpace(text) => types::Error::NoSpace(text),
        Error::QuotaExceeded(text) => types::Error::QuotaExceeded(text),
        Error::Unavailable(text) => types::Error::Unavailable(text),
        Error::Cancelled => types::Error::Cancelled,
        Error::Internal(text) => types::Error::Internal(text),
    }
}

/// WIT's error as the engine has it.
pub(crate) fn error_from_wit(error: types::Error) -> Error {
    match error {
        types::Error::InvalidArgument(text) => Error::InvalidArgument(text),
        types::Error::NotFound(text) => Error::NotFound(text),
        types::Error::Conflict(text) => Error::Conflict(text),
        types::Error::Unauthorized(text) => Error::Unauthorized(text),
        types::Error::Denied(text) => Error::Denied(text),
        types::Error::RateLimited(limit) => Error::RateLimited {
            message: limit.message,
            retry_after: limit.retry_after,
        },
        types::Error::ManifestInvalid(text) => Error::ManifestInvalid(text),
        types::Error::DigestMismatch(mismatch) => {
            match (
                Digest::parse(&mismatch.expected),
                Digest::parse(&mismatch.actual),
            ) {
                (Ok(expected), Ok(actual)) => Error::DigestMismatch { expected, actual },
                _ => Error::Internal("the store reported a mismatch of malformed digests".into()),
            }
        }
        types::Error::Damaged(text) => Error::Damaged(text),
        types::Error::PlatformMismatch(text) => Error::PlatformMismatch(text),
        types::Error::Unsupported(text) => Error::Unsupported(text),
        types::Error::NoSpace(text) => Error::NoSpace(text),
        types::Error::QuotaExceeded(text) => Error::QuotaExceeded(text),
        types::Error::Unavailable(text) => Error::Unavailable(text),
        types::Error::Cancelled => Error::Cancelled,
        types::Error::Internal(text) => Error::Internal(text),
    }
}

/// Why an HTTP exchange failed, in a person's words.
pub(crate) fn http_error(code: &ErrorCode) -> Error {
    let text = match code {
        ErrorCode::HttpRequestDenied => {
            return Error::Denied(
                "the host does not allow connections to this registry; allow it with --allow-registry".into(),
            );
        }
        ErrorCode::DestinationIpProhibited => {
            return Error::Denied(
                "the address is private and whoever named it is not in that network; \
                 allow it with --allow-unsafe-redirects"
                    .into(),
            );
        }
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) => "the host name does not resolve",
        ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable => "the host cannot be reached",
        ErrorCode::ConnectionRefused => "connection refused",
        ErrorCode::ConnectionTerminated => "the connection was cut",
        ErrorCode::ConnectionTimeout => "connecting took too long",
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
            "no answer within the time limit"
        }
        ErrorCode::ConnectionWriteTimeout => "the request could not be sent within the time limit",
        ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => {
            "TLS failed; for a plain-HTTP registry use --insecure-registry"
        }
        ErrorCode::TlsCertificateError => {
            "the registry's certificate is not trusted; add its authority with --ca"
        }
        ErrorCode::HttpResponseIncomplete => "the answer was cut short",
        ErrorCode::HttpProtocolError => "the answer is not valid HTTP",
        ErrorCode::InternalError(Some(text)) => text,
        other => return Error::Unavailable(format!("HTTP failed: {other}")),
    };
    Error::Unavailable(text.to_owned())
}

/// The host's settings.
pub(crate) fn settings(configuration: wit::Configuration) -> Settings {
    Settings {
        version: configuration.version,
        platform: platform_from_wit(configuration.platform),
        mirrors: configuration
            .mirrors
            .into_iter()
            .map(|mirror| Mirror {
                host: mirror.host,
                url: mirror.url,
            })
            .collect(),
        insecure_registries: configuration.insecure_registries,
        parallel_layers: usize::from(configuration.parallel_layers.max(1)),
        allow_unsafe_redirects: configuration.allow_unsafe_redirects,
        verify_diff_ids_first: configuration.verify_diff_ids_first,
    }
}

/// A platform somebody asked for.
pub(crate) fn platform_from_wit(platform: types::Platform) -> Platform {
    Platform {
        os: platform.os,
        architecture: platform.architecture,
        variant: platform.variant,
        os_version: platform.os_version,
        os_features: Vec::new(),
    }
}

/// Platforms somebody asked for.
pub(crate) fn platforms_from_wit(platforms: Vec<types::Platform>) -> Vec<Platform> {
    platforms.into_iter().map(platform_from_wit).collect()
}

/// A platform.
pub(crate) fn platform_to_wit(platform: &Platform) -> types::Platform {
    types::Platform {
        os: platform.os.clone(),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        os_version: platform.os_version.clone(),
    }
}

/// Credentials.
pub(crate) fn auth_from_wit(auth: types::RegistryAuth) -> RegistryAuth {
    match auth {
        types::RegistryAuth::Anonymous => RegistryAuth::Anonymous,
        types::RegistryAuth::Basic((username, password)) => RegistryAuth::Basic {
            username,
            password: password.into(),
        },
        types::RegistryAuth::IdentityToken(token) => RegistryAuth::IdentityToken(token.into()),
        types::RegistryAuth::RegistryToken(token) => RegistryAuth::RegistryToken(token.into()),
    }
}

/// A reference somebody typed.
pub(crate) fn reference_from_wit(text: &str) -> Result<Reference> {
    Reference::parse(text).map_err(|error| Error::InvalidArgument(error.to_string()))
}

/// A container config somebody gave as JSON.
pub(crate) fn config_from_wit(config: Option<Vec<u8>>) -> Result<Option<ContainerConfig>> {
    let Some(config) = config else {
        return Ok(None);
    };
    strata_oci::json::from_slice(&config)
        .map(Some)
        .map_err(|error| {
            Error::InvalidArgument(format!("the container config does not parse: {error}"))
        })
}

/// A container config as JSON.
pub(crate) fn config_to_wit(
    config: &ContainerConfig,
) -> std::result::Result<Vec<u8>, types::Error> {
    serde_json::to_vec(config).map_err(|error| types::Error::Internal(error.to_string()))
}

/// Filters.
pub(crate) fn filters_from_wit(filters: types::Filters) -> Filters {
    Filters {
        references: filters.references,
        labels: filters.labels,
        without_labels: filters.without_labels,
        dangling: filters.dangling,
        before: filters.before,
        since: filters.since,
        until: filters.until,
    }
}

fn descriptor_to_wit(descriptor: &Descriptor) -> types::Descriptor {
    types::Descriptor {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
    }
}

/// One image of a listing.
pub(crate) fn summary_to_wit(summary: ImageSummary, labels: &Labels) -> types::ImageSummary {
    types::ImageSummary {
        id: summary.target.digest.to_string(),
        target: descriptor_to_wit(&summary.target),
        tags: summary.tags,
        digests: summary.digests,
        created: summary.created,
        size: summary.size,
        shared_size: summary.shared_size,
        labels: labels
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        containers: summary.containers.unwrap_or_default(),
        damaged: summary.damaged.map(|reason| reason.to_string()),
    }
}

/// One image in full.
pub(crate) fn details_to_wit(details: ImageDetails) -> types::ImageDetails {
    let config = details.config;
    types::ImageDetails {
        id: details.target.digest.to_string(),
        target: descriptor_to_wit(&details.target),
        tags: details.tags,
        digests: details.digests,
        platform: platform_to_wit(
            &config
                .as_ref()
                .map(|config| config.platform())
                .unwrap_or_default(),
        ),
        size: details.size,
        diff_ids: config
            .iter()
            .flat_map(|config| &config.rootfs.diff_ids)
            .map(Digest::to_string)
            .collect(),
        config: details
            .config_bytes
            .map(|bytes| bytes.to_vec())
            .unwrap_or_default(),
        last_tagged: details.last_tagged.map(|(seconds, _)| seconds),
        damaged: details.damaged,
    }
}

/// One step of a history.
pub(crate) fn history_to_wit(entry: HistoryEntry) -> types::HistoryEntry {
    types::HistoryEntry {
        id: entry.id.map(|id| id.to_string()),
        created: entry.created,
        created_by: entry.created_by,
        tags: entry.tags,
        size: entry.size,
        comment: entry.comment,
    }
}

/// One removal.
pub(crate) fn removal_to_wit(removal: Removal) -> curation::Removal {
    match removal {
        Removal::Untagged(name) => curation::Removal::Untagged(name),
        Removal::Deleted(digest) => curation::Removal::Deleted(digest.to_string()),
    }
}

/// A finished reference.
pub(crate) fn completed_to_wit(completed: Completed) -> wire::Completed {
    wire::Completed {
        reference: completed.reference.to_string(),
        digest: completed.digest.to_string(),
        size: completed.size,
        changed: completed.changed,
    }
}

/// One progress record.
pub(crate) fn event_to_wit(event: Event) -> wire::Event {
    match event {
        Event::Resolved(resolved) => wire::Event::Resolved(wire::Resolved {
            reference: resolved.reference.to_string(),
            digest: resolved.digest.to_string(),
        }),
        Event::Blob(blob) => wire::Event::Blob(blob_to_wit(&blob)),
        Event::Retry(retry) => wire::Event::Retry(wire::Retry {
            digest: retry.digest.map(|digest| digest.to_string()),
            attempt: retry.attempt,
            delay: retry.delay,
            reason: error_to_wit(retry.reason),
        }),
        Event::Content(content) => wire::Event::Content(wire::ContentProgress {
            phase: phase_to_wit(content.phase),
            current: content.current,
            total: content.total,
        }),
        Event::Substituted(it) => wire::Event::Substituted(wire::Substituted {
            index: descriptor_to_wit(&it.index),
            manifest: descriptor_to_wit(&it.manifest),
        }),
        Event::Warning(text) => wire::Event::Warning(text),
        Event::Completed(completed) => wire::Event::Completed(completed_to_wit(completed)),
    }
}

fn blob_to_wit(blob: &BlobProgress) -> wire::BlobProgress {
    wire::BlobProgress {
        digest: blob.digest.to_string(),
        phase: phase_to_wit(blob.phase),
        current: blob.current,
        total: blob.total,
        mounted_from: blob.mounted_from.clone(),
    }
}

fn phase_to_wit(phase: Phase) -> wire::Phase {
    match phase {
        Phase::Queued => wire::Phase::Queued,
        Phase::Downloading => wire::Phase::Downloading,
        Phase::Downloaded => wire::Phase::Downloaded,
        Phase::AlreadyExists => wire::Phase::AlreadyExists,
        Phase::Uploading => wire::Phase::Uploading,
        Phase::Uploaded => wire::Phase::Uploaded,
        Phase::Mounted => wire::Phase::Mounted,
        Phase::Retrying => wire::Phase::Retrying,
        Phase::Unavailable => wire::Phase::Unavailable,
        Phase::Verifying => wire::Phase::Verifying,
    }
}
