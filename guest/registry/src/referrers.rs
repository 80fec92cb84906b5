//! Lists of referrers, as clients keep them for registries that do not: an index under a
//! tag made from the digest of the subject.

use http::{
    HeaderValue, Method, StatusCode,
    header::{CONTENT_TYPE, ETAG},
};
use strata_oci::{Descriptor, Digest, Document, Index, document::MAX_DOCUMENT_BYTES, media_type};

use crate::{
    Clock, Fault, RegistryError, Repository, Transport,
    document::{accept, check_length, read_whole},
    publish::{Published, Put},
};

/// Characters of an encoded digest in the tag.
const MAX_ENCODED: usize = 64;

/// A list of referrers as it was read.
#[derive(Default)]
pub struct ReferrerList {
    index: Index,
    /// Guards the change: others may add to the list too.
    etag: Option<HeaderValue>,
}

/// What came of changing a list.
#[derive(Debug, PartialEq, Eq)]
pub enum Relisted {
    /// Everything is in it.
    Done,
    /// Somebody else has changed it since it was read.
    Raced,
}

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// The list of what is about `subject`, empty where there is none; `None` if the tag
    /// holds something else.
    pub async fn listed(
        &self,
        subject: &Digest,
    ) -> Result<Option<ReferrerList>, RegistryError<T::Error>> {
        let path = format!("{}/manifests/{}", self.path, tag(subject));
        let accepted = [StatusCode::OK, StatusCode::NOT_FOUND];
        let answer = self
            .ask(&self.origin, &Method::GET, &path, &accept(), &accepted)
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Some(ReferrerList::default()));
        }
        check_length(&answer)?;
        let media_type = answer.headers.get(CONTENT_TYPE).cloned();
        let media_type = media_type.as_ref().and_then(|it| it.to_str().ok());
        // A weak one never matches (RFC 9110 §13.1.1), so it would guard against everything.
        let etag = answer.headers.get(ETAG).cloned();
        let etag = etag.filter(|etag| !etag.as_bytes().starts_with(b"W/"));
        let bytes = read_whole(self.wire.clock, answer, MAX_DOCUMENT_BYTES, None).await?;
        match Document::parse(media_type.unwrap_or_default(), &bytes) {
            Ok(Document::Index(index)) => Ok(Some(ReferrerList { index, etag })),
            Ok(Document::Manifest(_)) | Err(_) => Ok(None),
        }
    }

    /// Adds to the list of what is about `subject`.
    ///
    /// # Errors
    /// [`Fault::ReferrersFull`] if the list would become too long to be read again, and
    /// as [`Repository::publish`].
    pub async fn relist(
        &self,
        subject: &Digest,
        listed: &ReferrerList,
        new: &[Descriptor],
    ) -> Result<Relisted, RegistryError<T::Error>> {
        let mut index = listed.index.clone();
        for entry in new {
            if !index.manifests.iter().any(|it| it.digest == entry.digest) {
                index.manifests.push(entry.clone());
            }
        }
        if index.manifests.len() == listed.index.manifests.len() {
            return Ok(Relisted::Done);
        }
        index.media_type = Some(media_type::OCI_INDEX.to_owned());
        let bytes = serde_json::to_vec(&index)
            .map_err(|error| RegistryError::last(Fault::ReferrersUnwritable(error.to_string())))?;
        // Nobody could read it again.
        if let Err(error) = Document::parse(media_type::OCI_INDEX, &bytes) {
            return Err(RegistryError::last(Fault::ReferrersFull {
                subject: subject.clone(),
                tag: tag(subject),
                reason: error.to_string(),
            }));
        }
        let put = Put {
            name: &tag(subject),
            digest: &Digest::sha256(&bytes),
            media_type: media_type::OCI_INDEX,
            bytes: &bytes,
            etag: listed.etag.as_ref(),
        };
        match self.publish(&put).await {
            Ok(Published::Done(_)) => Ok(Relisted::Done),
            Ok(Published::Incomplete(failure)) => Err(failure),
            Err(failure) if failure.status == Some(StatusCode::PRECONDITION_FAILED) => {
                Ok(Relisted::Raced)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// The tag of the list: `sha256-` and the digest.
fn tag(subject: &Digest) -> String {
    let encoded = subject.encoded();
    let encoded = encoded.get(..MAX_ENCODED).unwrap_or(encoded);
    format!("{}-{encoded}", subject.algorithm().as_str())
}
