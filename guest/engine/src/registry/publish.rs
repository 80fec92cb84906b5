//! Manifests and indexes to a registry, byte for byte (registry-protocol.md §6).

use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, IF_MATCH},
};
use strata_oci::Digest;

use super::{
    delivery::Delivery,
    document::{accept, announced_digest, stated_digest},
    failure::{Again, Failure},
    repository::Repository,
    upload::check_digest,
    wire::Answer,
};
use crate::{Clock, Error, RequestBody, Transport};

/// What the registry lists the manifest as a referrer of.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What came of sending a manifest.
#[derive(Debug)]
pub(crate) enum Published {
    /// It is in the repository. With the subject by which the registry lists it among
    /// the referrers, if it says that it does.
    Done(Option<Digest>),
    /// The registry lacks something it lists, in the registry's words.
    Incomplete(Error),
}

/// A manifest or index to store.
pub(crate) struct Put<'m> {
    /// A tag or its digest.
    pub(crate) name: &'m str,
    pub(crate) digest: &'m Digest,
    pub(crate) media_type: &'m str,
    /// Exactly as they are stored.
    pub(crate) bytes: &'m [u8],
    /// Stored only in place of what has this tag.
    pub(crate) etag: Option<&'m HeaderValue>,
}

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// What the registry has under a tag; `None` for nothing, for what cannot be
    /// told, and for credentials that may only write.
    pub(crate) async fn tagged(&self, tag: &str) -> Result<Option<Digest>, Failure> {
        let answer = self.head_manifest(tag).await?;
        Ok(answer.and_then(|answer| announced_digest(&answer)))
    }

    /// Whether the registry says it has a manifest in this repository.
    pub(crate) async fn has_manifest(&self, digest: &Digest) -> Result<bool, Failure> {
        Ok(self.head_manifest(digest.as_str()).await?.is_some())
    }

    async fn head_manifest(&self, name: &str) -> Result<Option<Answer<T::Body>>, Failure> {
        let path = format!("{}/manifests/{name}", self.path);
        let accepted = [
            StatusCode::OK,
            StatusCode::NOT_FOUND,
            StatusCode::FORBIDDEN,
            StatusCode::METHOD_NOT_ALLOWED,
        ];
        let answer = self
            .ask(&self.origin, &Method::HEAD, &path, &accept(), &accepted)
            .await;
        match answer {
            Ok(answer) => Ok((answer.status == StatusCode::OK).then_some(answer)),
            Err(failure) if failure.status == Some(StatusCode::UNAUTHORIZED) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Stores a manifest.
    pub(crate) async fn publish(&self, put: &Put<'_>) -> Result<Published, Failure> {
        let Put {
            name,
            digest,
            media_type,
            bytes,
            etag,
        } = *put;
        let content_type = HeaderValue::from_str(media_type).map_err(|_| {
            Failure::last(Error::ManifestInvalid(format!(
                "manifest {digest} has a media type that no header can carry"
            )))
        })?;
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, content_type),
            (CONTENT_LENGTH, HeaderValue::from(bytes.len())),
        ]);
        headers.extend(etag.map(|etag| (IF_MATCH, etag.clone())));
        let delivery = Delivery {
            method: Method::PUT,
            headers,
            accepted: &[
                StatusCode::OK,
                StatusCode::CREATED,
                StatusCode::ACCEPTED,
                StatusCode::NO_CONTENT,
            ],
            scopes: &self.scopes,
        };
        let path = format!("{}/manifests/{name}", self.path);
        let to = self.own(self.origin.address(&path)?);
        let body = async || Ok(RequestBody::Bytes(bytes.to_vec()));
        let answer = match self.deliver(&delivery, &to, body).await {
            Ok(answer) => answer,
            Err(failure) if is_incomplete(&failure) => {
                return Ok(Published::Incomplete(failure.error));
            }
            Err(failure) => return Err(explained(failure, digest, media_type, bytes.len())),
        };
        check_digest(&answer, digest)?;
        Ok(Published::Done(stated_digest(&answer, &OCI_SUBJECT)))
    }
}

/// Whether the registry misses what the manifest lists. Registries differ in
/// which of the codes they use for manifests an index lists.
fn is_incomplete(failure: &Failure) -> bool {
    matches!(
        failure.code.as_deref(),
        Some("MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" | "MANIFEST_UNKNOWN")
    )
}

/// Says which manifest was refused, and what that means where the registry's words
/// do not tell.
fn explained(failure: Failure, digest: &Digest, media_type: &str, size: usize) -> Failure {
    let status = failure.status.map(|status| status.as_u16());
    let said = &failure.error;
    let error = match (status, failure.code.as_deref()) {
        (Some(413), _) => Error::QuotaExceeded(format!(
            "manifest {digest} of {size} bytes is too large for the registry: {said}"
        )),
        (Some(415), _)
        | (Some(400..=499), Some("MANIFEST_INVALID" | "MANIFEST_UNVERIFIED"))
        | (Some(400), None | Some("UNSUPPORTED")) => Error::ManifestInvalid(format!(
            "the registry refuses manifest {digest} as {media_type}: {said}; \
             it is not converted, since that would change its digest"
        )),
        // A reason of its own, which another attempt does not change.
        (Some(400..=499), _)
            if matches!(said, Error::Unavailable(_)) && failure.again == Again::Never =>
        {
            Error::ManifestInvalid(format!("the registry refuses manifest {digest}: {said}"))
        }
        _ => return failure.context(&format!("failed to push manifest {digest}")),
    };
    Failure {
        error,
        again: Again::Never,
        complete: true,
        ..failure
    }
}
