//! Manifests and indexes to a registry, byte for byte.

use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, IF_MATCH},
};
use strata_oci::Digest;

use crate::{
    Clock, Disposition, Fault, LentError, RefusalKind, RegistryError, Repository, RequestBody,
    Transport,
    delivery::Delivery,
    document::{accept, announced_digest, stated_digest},
    upload::check_digest,
    wire::Answer,
};

/// What the registry lists the manifest as a referrer of.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What came of sending a manifest.
#[derive(Debug)]
pub enum Published<E> {
    /// It is in the repository. With the subject by which the registry lists it among
    /// the referrers, if it says that it does.
    Done(Option<Digest>),
    /// The registry lacks something it lists, in the registry's words.
    Incomplete(RegistryError<E>),
}

/// A manifest or index to store.
pub struct Put<'m> {
    /// A tag or its digest.
    pub name: &'m str,
    /// Its digest.
    pub digest: &'m Digest,
    /// Its media type.
    pub media_type: &'m str,
    /// Exactly as they are stored.
    pub bytes: &'m [u8],
    /// Stored only in place of what has this tag.
    pub etag: Option<&'m HeaderValue>,
}

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// What the registry has under a tag; `None` for nothing, for what cannot be
    /// told, and for credentials that may only write.
    pub async fn tagged(&self, tag: &str) -> Result<Option<Digest>, RegistryError<T::Error>> {
        let answer = self.head_manifest(tag).await?;
        Ok(answer.and_then(|answer| announced_digest(&answer)))
    }

    /// Whether the registry says it has a manifest in this repository.
    pub async fn has_manifest(&self, digest: &Digest) -> Result<bool, RegistryError<T::Error>> {
        Ok(self.head_manifest(digest.as_str()).await?.is_some())
    }

    async fn head_manifest(
        &self,
        name: &str,
    ) -> Result<Option<Answer<T::Body>>, RegistryError<T::Error>> {
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
    pub async fn publish(
        &self,
        put: &Put<'_>,
    ) -> Result<Published<T::Error>, RegistryError<T::Error>> {
        let Put {
            name,
            digest,
            media_type,
            bytes,
            etag,
        } = *put;
        let content_type = HeaderValue::from_str(media_type).map_err(|_| {
            RegistryError::last(Fault::ManifestMediaType {
                digest: digest.clone(),
            })
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
                return Ok(Published::Incomplete(failure));
            }
            Err(failure) => return Err(explained(failure, digest, media_type, bytes.len())),
        };
        check_digest(&answer, digest)?;
        Ok(Published::Done(stated_digest(&answer, &OCI_SUBJECT)))
    }
}

/// Whether the registry misses what the manifest lists. Registries differ in
/// which of the codes they use for manifests an index lists.
fn is_incomplete<E: LentError>(failure: &RegistryError<E>) -> bool {
    matches!(
        failure.code(),
        Some("MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" | "MANIFEST_UNKNOWN")
    )
}

/// Says which manifest was refused, and what that means where the registry's words
/// do not tell.
fn explained<E: LentError>(
    failure: RegistryError<E>,
    digest: &Digest,
    media_type: &str,
    size: usize,
) -> RegistryError<E> {
    let status = failure.status.map(|status| status.as_u16());
    let is_unclear = matches!(&*failure.fault, Fault::Refused(refusal) if refusal.kind() == RefusalKind::Unavailable);
    let (reason, digest) = (failure.to_string(), digest.clone());
    let fault = match (status, failure.code()) {
        (Some(413), _) => Fault::ManifestTooLarge {
            digest,
            size,
            reason,
        },
        (Some(415), _)
        | (Some(400..=499), Some("MANIFEST_INVALID" | "MANIFEST_UNVERIFIED"))
        | (Some(400), None | Some("UNSUPPORTED")) => Fault::ManifestNotTaken {
            digest,
            media_type: media_type.to_owned(),
            reason,
        },
        // A reason of its own, which another attempt does not change.
        (Some(400..=499), _) if is_unclear && failure.disposition == Disposition::GiveUp => {
            Fault::ManifestRefused { digest, reason }
        }
        _ => return failure.context(&format!("failed to push manifest {digest}")),
    };
    RegistryError {
        status: failure.status,
        ..RegistryError::last(fault)
    }
}
