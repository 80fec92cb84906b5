//! Manifests and indexes from a registry: resolved, bounded, verified.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use strata_oci::{Digest, Reference, document::MAX_DOCUMENT_BYTES, media_type};

use crate::{
    Body, Clock, Disposition, Fault, LentError, RegistryError, Repository, Transport, address,
    endpoint::Endpoint,
    wire::{self, Answer, DOCUMENT_TIME, ReadError},
};

/// The registry's own idea of a digest.
const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a reference names right now.
pub struct Resolution {
    /// Digest of the target.
    pub digest: Digest,
    /// What it was announced as; may be empty.
    pub media_type: String,
    /// Its bytes, if resolving had to fetch them.
    pub bytes: Option<Vec<u8>>,
}

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// Asks what `reference`, which has a tag or a digest, names. One HEAD, and a
    /// GET only where that does not tell.
    pub async fn resolve(
        &self,
        reference: &Reference,
    ) -> Result<Resolution, RegistryError<T::Error>> {
        let resolution = self
            .anywhere(async |endpoint, _| self.resolve_at(endpoint, reference).await)
            .await;
        resolution.map_err(|failure| {
            let reference = reference.to_string();
            let (absent, not_found) = (failure.absent_at.clone(), failure.is_not_found());
            let failure = if not_found {
                RegistryError {
                    is_complete: false,
                    ..failure.because(Fault::ReferenceNotFound {
                        reference: reference.clone(),
                    })
                }
            } else if let Some(mirrors) = absent {
                failure.because_last(|failure| Fault::ReferenceNotAtMirrors {
                    reference: reference.clone(),
                    mirrors,
                    registry: self.origin.authority().to_owned(),
                    reason: failure.to_string(),
                })
            } else {
                failure
            };
            failure.context(&format!("failed to resolve reference \"{reference}\""))
        })
    }

    async fn resolve_at(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
    ) -> Result<Resolution, RegistryError<T::Error>> {
        let asked = reference.digest();
        let name = match (asked, reference.tag()) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => "latest",
        };
        let path = format!("{}/manifests/{name}", self.path);
        let accepted = [StatusCode::OK, StatusCode::METHOD_NOT_ALLOWED];
        let head = self
            .ask(endpoint, &Method::HEAD, &path, &accept(), &accepted)
            .await?;
        if head.status == StatusCode::OK {
            if is_web_page(&head) {
                return Err(web_page(&head));
            }
            let announced = header(&head, &CONTENT_TYPE);
            let digest = asked.cloned().or_else(|| announced_digest(&head));
            check_length(&head)?;
            if let (Some(digest), Some(media_type)) = (digest, announced) {
                return Ok(Resolution {
                    digest,
                    media_type,
                    bytes: None,
                });
            }
        }
        let (bytes, announced) = self.get_document(endpoint, &path, None).await?;
        let digest = match asked.cloned().or(announced.digest) {
            Some(digest) => verified(digest, &bytes)?,
            None => Digest::sha256(&bytes),
        };
        Ok(Resolution {
            digest,
            media_type: announced.media_type,
            bytes: Some(bytes),
        })
    }

    /// The bytes of a manifest or index, exactly as the registry has them. `size`
    /// is what its descriptor says.
    pub async fn document(
        &self,
        digest: &Digest,
        size: Option<u64>,
    ) -> Result<Vec<u8>, RegistryError<T::Error>> {
        let path = format!("{}/manifests/{digest}", self.path);
        self.anywhere(async |endpoint, _| {
            let (bytes, _) = self.get_document(endpoint, &path, size).await?;
            verified(digest.clone(), &bytes)?;
            check_size(digest, bytes.len(), size)?;
            Ok(bytes)
        })
        .await
    }

    /// The bytes of a small blob, such as a config.
    pub async fn small_blob(
        &self,
        digest: &Digest,
        media_type: &str,
        size: u64,
        limit: usize,
    ) -> Result<Vec<u8>, RegistryError<T::Error>> {
        let path = format!("{}/blobs/{digest}", self.path);
        let headers = crate::blob::accept(media_type);
        self.anywhere(async |endpoint, _| {
            let answer = self
                .ask(endpoint, &Method::GET, &path, &headers, &[StatusCode::OK])
                .await?;
            let bytes = read_whole(self.wire.clock, answer, limit, Some(size)).await?;
            verified(digest.clone(), &bytes)?;
            check_size(digest, bytes.len(), Some(size))?;
            Ok(bytes)
        })
        .await
    }

    async fn get_document(
        &self,
        endpoint: &Endpoint,
        path: &str,
        size: Option<u64>,
    ) -> Result<(Vec<u8>, Announced), RegistryError<T::Error>> {
        let answer = self
            .ask(endpoint, &Method::GET, path, &accept(), &[StatusCode::OK])
            .await?;
        if is_web_page(&answer) {
            return Err(web_page(&answer));
        }
        check_length(&answer)?;
        let announced = Announced {
            digest: announced_digest(&answer),
            media_type: header(&answer, &CONTENT_TYPE).unwrap_or_default(),
        };
        let bytes = read_whole(self.wire.clock, answer, MAX_DOCUMENT_BYTES, size).await?;
        Ok((bytes, announced))
    }
}

/// What the headers say about a document.
struct Announced {
    digest: Option<Digest>,
    media_type: String,
}

pub(crate) fn accept() -> HeaderMap {
    let value = HeaderValue::from_static(media_type::ACCEPT_MANIFEST);
    HeaderMap::from_iter([(ACCEPT, value)])
}

fn header<B>(answer: &Answer<B>, name: &HeaderName) -> Option<String> {
    let value = answer.headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether an answer is meant for people, as those of captive portals are. No document of
/// a registry is.
pub(crate) fn is_web_page<B>(answer: &Answer<B>) -> bool {
    header(answer, &CONTENT_TYPE)
        .is_some_and(|it| media_type::essence(&it).eq_ignore_ascii_case("text/html"))
}

/// A digest this client cannot verify is as good as none.
pub(crate) fn announced_digest<B>(answer: &Answer<B>) -> Option<Digest> {
    stated_digest(answer, &DOCKER_CONTENT_DIGEST)
}

/// The digest in a header, if it is one.
pub(crate) fn stated_digest<B>(answer: &Answer<B>, name: &HeaderName) -> Option<Digest> {
    Digest::parse(&header(answer, name)?).ok()
}

/// Refuses a document that says it is too large before a byte of it is read.
pub(crate) fn check_length<B, E: LentError>(answer: &Answer<B>) -> Result<(), RegistryError<E>> {
    let length = header(answer, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length > MAX_DOCUMENT_BYTES as u64 => Err(too_large(MAX_DOCUMENT_BYTES)),
        _ => Ok(()),
    }
}

fn too_large<E: LentError>(limit: usize) -> RegistryError<E> {
    RegistryError::last(Fault::DocumentTooLarge { limit })
}

/// Something answered in place of a registry.
pub(crate) fn web_page<B, E: LentError>(answer: &Answer<B>) -> RegistryError<E> {
    RegistryError::open(Fault::WebPage {
        from: address::shown(&answer.from),
    })
}

/// Reads a body of at most `limit` bytes. One shorter than it should be was cut
/// somewhere: that passes, so it is not yet a wrong digest.
pub(crate) async fn read_whole<B: Body<Error: LentError>, C: Clock>(
    clock: &C,
    mut answer: Answer<B>,
    limit: usize,
    size: Option<u64>,
) -> Result<Vec<u8>, RegistryError<B::Error>> {
    let bytes = match wire::read(clock, &mut answer.body, limit, DOCUMENT_TIME).await {
        Ok(bytes) => bytes,
        Err(ReadError::TooLong) => return Err(too_large(limit)),
        Err(ReadError::TooSlow) => return Err(wire::too_slow(&answer.from)),
        Err(ReadError::Failed(error)) => return Err(error.into()),
    };
    match size {
        Some(size) if (bytes.len() as u64) < size => Err(RegistryError {
            disposition: Disposition::Retry,
            ..RegistryError::open(Fault::Cut {
                received: bytes.len(),
                size,
            })
        }),
        _ => Ok(bytes),
    }
}

fn verified<E: LentError>(expected: Digest, bytes: &[u8]) -> Result<Digest, RegistryError<E>> {
    let actual = Digest::of(expected.algorithm(), bytes);
    if actual == expected {
        return Ok(expected);
    }
    Err(RegistryError::last(Fault::DigestMismatch {
        expected,
        actual,
    }))
}

/// The right bytes under a descriptor with a wrong size: the descriptor lies.
fn check_size<E: LentError>(
    digest: &Digest,
    actual: usize,
    expected: Option<u64>,
) -> Result<(), RegistryError<E>> {
    match expected {
        Some(expected) if expected != actual as u64 => {
            Err(RegistryError::last(Fault::SizeMismatch {
                digest: digest.clone(),
                expected,
                actual,
            }))
        }
        _ => Ok(()),
    }
}
