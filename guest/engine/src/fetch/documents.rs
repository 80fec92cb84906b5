//! Manifests and indexes, from the store where they are here, else from the
//! registry; kept byte for byte.

use strata_oci::{
    Descriptor, Digest, Document,
    document::{DocumentError, MAX_DOCUMENT_BYTES},
    media_type::{self, Kind},
};

use super::Fetch;
use crate::{
    Error, Host, Result, Store,
    registry::{Resolution, retrying},
};

/// What the reference points at.
pub(crate) struct Top {
    pub(crate) document: Document,
    /// Never generic, even if the registry announced it so.
    pub(crate) media_type: String,
    pub(crate) size: u64,
    /// Its bytes if they are not in the store yet.
    pub(crate) unsaved: Option<Vec<u8>>,
}

impl<H: Host> Fetch<'_, H> {
    /// The document the reference points at, verified. Storing it is left to the
    /// caller: what it lists need not wait for the disk.
    pub(crate) async fn target(&self, resolution: Resolution) -> Result<Top> {
        let Resolution {
            digest,
            media_type,
            bytes,
        } = resolution;
        // Known to be refused by its type: not worth fetching.
        if media_type::kind(&media_type) == Kind::Schema1 {
            return Err(self.schema1());
        }
        let (bytes, here) = match (bytes, self.stored_document(&digest).await?) {
            (_, Some(stored)) => (stored, true),
            (Some(bytes), None) => (bytes, false),
            (None, None) => (self.fetched_document(&digest, None).await?, false),
        };
        let document = self.parse(&media_type, &bytes)?;
        Ok(Top {
            media_type: document.media_type_as(&media_type).to_owned(),
            document,
            size: bytes.len() as u64,
            unsaved: (!here).then_some(bytes),
        })
    }

    /// The document a descriptor points at, stored.
    pub(crate) async fn child(&self, descriptor: &Descriptor) -> Result<Document> {
        let digest = &descriptor.digest;
        if let Some(stored) = self.stored_document(digest).await? {
            if stored.len() as u64 != descriptor.size {
                return Err(Error::invalid(format_args!(
                    "failed size validation: {digest} has {} bytes, its descriptor says {}",
                    stored.len(),
                    descriptor.size
                )));
            }
            return self.parse(&descriptor.media_type, &stored);
        }
        if descriptor.size > MAX_DOCUMENT_BYTES as u64 {
            return Err(Error::over(format_args!(
                "manifest {digest} has {} bytes, the limit is {MAX_DOCUMENT_BYTES}",
                descriptor.size
            )));
        }
        let bytes = match descriptor.inline() {
            Some(inline) => inline,
            None => self.fetched_document(digest, Some(descriptor.size)).await?,
        };
        let document = self.parse(&descriptor.media_type, &bytes)?;
        self.engine.store.put(digest, bytes, &self.lease).await?;
        self.note_digests(std::slice::from_ref(digest)).await?;
        Ok(document)
    }

    /// The bytes if they are here, protected from now on.
    async fn stored_document(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        match self.engine.store.stat(digest, Some(&self.lease)).await? {
            None => Ok(None),
            Some(_) => self.intact(digest, MAX_DOCUMENT_BYTES as u64).await,
        }
    }

    /// The bytes of a blob that is here, checked; `None` if they are damaged or were lost
    /// meanwhile: then it is fetched again.
    pub(crate) async fn intact(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.engine.store.get(digest, limit).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::Damaged(_) | Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fetched_document(&self, digest: &Digest, size: Option<u64>) -> Result<Vec<u8>> {
        retrying(None, &self.engine.clock, self.progress, async || {
            let fetched = self.repository.document(digest, size).await;
            fetched.map_err(|failure| {
                failure.context(&format!(
                    "failed to fetch manifest {digest} of {}",
                    self.reference
                ))
            })
        })
        .await
    }

    fn parse(&self, media_type: &str, bytes: &[u8]) -> Result<Document> {
        Document::parse(media_type, bytes).map_err(|error| match error {
            DocumentError::Schema1 => self.schema1(),
            DocumentError::UnsupportedMediaType(_) => Error::Unsupported(error.to_string()),
            error if error.is_over_limit() => Error::over(error),
            other => Error::invalid(other),
        })
    }

    fn schema1(&self) -> Error {
        Error::InvalidArgument(format!(
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. \
             Suggest the author of {} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. \
             More information at https://docs.docker.com/go/deprecated-image-specs/",
            self.reference
        ))
    }
}
