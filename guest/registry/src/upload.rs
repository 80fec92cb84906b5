//! Blobs to a registry: whether it has one, taking it from another repository,
//! sending it whole or in chunks. What to do after a
//! failure is the caller's to decide.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE},
};
use strata_oci::Digest;

use crate::{
    Clock, Disposition, Fault, LentError, RegistryError, Repository, RequestBody, Transport,
    delivery::Delivery, document::announced_digest, redirect::Destination, wire::Answer,
};

/// The least bytes a registry takes in a chunk that is not the last.
const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// An upload the registry has opened.
#[derive(Debug)]
pub struct UploadSession {
    /// Where it goes on. Every answer may move it.
    location: Destination,
    /// The least bytes of a chunk that is not the last.
    pub least_chunk: u64,
}

/// What asking to mount or to upload led to.
#[derive(Debug)]
pub enum Started {
    /// The blob is in the repository now.
    Done,
    /// It is to be sent.
    Open(UploadSession),
    /// The registry does not do that for these credentials.
    Refused,
}

/// What came of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The registry now has this many bytes, it says.
    Stored(u64),
    /// It has another number of bytes than those before the chunk.
    OutOfOrder,
}

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// Whether the registry says it has the blob in this repository. Credentials
    /// that may only write leave that open: then it is taken for absent.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError<T::Error>> {
        let path = format!("{}/blobs/{digest}", self.path);
        let accepted = [
            StatusCode::OK,
            StatusCode::NOT_FOUND,
            StatusCode::FORBIDDEN,
            StatusCode::METHOD_NOT_ALLOWED,
        ];
        let headers = HeaderMap::new();
        let answer = self
            .ask(&self.origin, &Method::HEAD, &path, &headers, &accepted)
            .await;
        match answer {
            Ok(answer) => Ok(match answer.status {
                StatusCode::OK => true,
                StatusCode::NOT_FOUND => false,
                // Storage refuses a HEAD to an address signed for GET. The registry
                // leads there for what it has.
                _ => !self.origin.is_at(&answer.from),
            }),
            Err(failure) if failure.status == Some(StatusCode::UNAUTHORIZED) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Asks the registry to take the blob from another of its repositories.
    pub async fn mount(
        &self,
        digest: &Digest,
        from: &str,
    ) -> Result<Started, RegistryError<T::Error>> {
        let [own] = &self.scopes;
        let scopes = [own.clone(), format!("repository:{from}:pull")];
        let path = format!("{}/blobs/uploads/?mount={digest}&from={from}", self.path);
        match self.begin(&path, &scopes).await {
            Err(failure) if failure.disposition == Disposition::GiveUp => Ok(Started::Refused),
            started => started,
        }
    }

    /// Opens an upload.
    pub async fn start_upload(&self) -> Result<Started, RegistryError<T::Error>> {
        let path = format!("{}/blobs/uploads/", self.path);
        self.begin(&path, &self.scopes).await
    }

    async fn begin(
        &self,
        path: &str,
        scopes: &[String],
    ) -> Result<Started, RegistryError<T::Error>> {
        let delivery = Delivery {
            method: Method::POST,
            headers: length(0),
            accepted: &[StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED],
            scopes,
        };
        let to = self.own(self.origin.address(path)?);
        let answer = self.deliver(&delivery, &to, empty).await?;
        if answer.status == StatusCode::CREATED {
            return Ok(Started::Done);
        }
        let location = self
            .location(&answer)?
            .ok_or_else(|| RegistryError::open(Fault::UploadWithoutAddress))?;
        let least_chunk = answer.headers.get(OCI_CHUNK_MIN_LENGTH);
        let least_chunk = least_chunk.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok(Started::Open(UploadSession {
            location,
            least_chunk: least_chunk.unwrap_or(0),
        }))
    }

    /// Sends a whole blob of `size` bytes in one request.
    pub async fn upload_whole(
        &self,
        session: &UploadSession,
        digest: &Digest,
        size: u64,
        mut read: impl AsyncFnMut() -> Result<T::Body, T::Error>,
    ) -> Result<(), RegistryError<T::Error>> {
        self.put(session, digest, size, async || match size {
            0 => Ok(RequestBody::Empty),
            _ => Ok(RequestBody::Stream(read().await?, size)),
        })
        .await
    }

    /// Ends an upload whose bytes are all there.
    pub async fn finish_upload(
        &self,
        session: &UploadSession,
        digest: &Digest,
    ) -> Result<(), RegistryError<T::Error>> {
        self.put(session, digest, 0, empty).await
    }

    async fn put(
        &self,
        session: &UploadSession,
        digest: &Digest,
        size: u64,
        body: impl AsyncFnMut() -> Result<RequestBody<T::Body>, T::Error>,
    ) -> Result<(), RegistryError<T::Error>> {
        let delivery = Delivery {
            method: Method::PUT,
            headers: content(size),
            // 202 is not in the specification; some registries say it here too.
            accepted: &[
                StatusCode::OK,
                StatusCode::CREATED,
                StatusCode::ACCEPTED,
                StatusCode::NO_CONTENT,
            ],
            scopes: &self.scopes,
        };
        let to = Destination {
            uri: with_digest(&session.location.uri, digest)?,
            reach: session.location.reach,
        };
        let answer = self.deliver(&delivery, &to, body).await?;
        check_digest(&answer, digest)
    }

    /// Sends `length` bytes, at least one, that follow the `first` the registry
    /// has.
    pub async fn upload_chunk(
        &self,
        session: &mut UploadSession,
        first: u64,
        length: u64,
        mut read: impl AsyncFnMut() -> Result<T::Body, T::Error>,
    ) -> Result<Chunk, RegistryError<T::Error>> {
        let end = first.saturating_add(length);
        let mut headers = content(length);
        let range = format!("{first}-{}", end.saturating_sub(1));
        if let Ok(range) = HeaderValue::from_str(&range) {
            headers.insert(CONTENT_RANGE, range);
        }
        let delivery = Delivery {
            method: Method::PATCH,
            headers,
            accepted: &[
                StatusCode::OK,
                StatusCode::CREATED,
                StatusCode::ACCEPTED,
                StatusCode::NO_CONTENT,
                StatusCode::RANGE_NOT_SATISFIABLE,
            ],
            scopes: &self.scopes,
        };
        let body = async || Ok(RequestBody::Stream(read().await?, length));
        let answer = self.deliver(&delivery, &session.location, body).await?;
        self.move_on(session, &answer)?;
        Ok(match answer.status {
            StatusCode::RANGE_NOT_SATISFIABLE => Chunk::OutOfOrder,
            // Who does not say how far it is has taken what it was sent.
            _ => Chunk::Stored(bytes_stored(&answer.headers).unwrap_or(end)),
        })
    }

    /// How many bytes of an upload the registry says it has; `None` if it does not
    /// say.
    pub async fn upload_status(
        &self,
        session: &mut UploadSession,
    ) -> Result<Option<u64>, RegistryError<T::Error>> {
        let delivery = Delivery {
            method: Method::GET,
            headers: HeaderMap::new(),
            accepted: &[StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT],
            scopes: &self.scopes,
        };
        let answer = self.deliver(&delivery, &session.location, empty).await?;
        self.move_on(session, &answer)?;
        Ok(bytes_stored(&answer.headers))
    }

    fn move_on<B>(
        &self,
        session: &mut UploadSession,
        answer: &Answer<B>,
    ) -> Result<(), RegistryError<T::Error>> {
        if let Some(location) = self.location(answer)? {
            session.location = location;
        }
        Ok(())
    }
}

/// No body.
async fn empty<B, E>() -> Result<RequestBody<B>, E> {
    Ok(RequestBody::Empty)
}

fn length(bytes: u64) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from(bytes))])
}

/// The headers of `bytes` bytes of a blob.
fn content(bytes: u64) -> HeaderMap {
    let mut headers = length(bytes);
    let media_type = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, media_type);
    headers
}

/// `location` with the digest added to the query it has, which is the registry's.
fn with_digest<E: LentError>(location: &Uri, digest: &Digest) -> Result<Uri, RegistryError<E>> {
    let separator = match location.query() {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    format!("{location}{separator}digest={digest}")
        .parse()
        .map_err(|_| RegistryError::last(Fault::UploadAddress))
}

/// Bytes by `Range: 0-<last>`. An empty upload has no last byte and is reported as
/// `0-0`, so that is not taken for one byte.
fn bytes_stored(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(RANGE)?.to_str().ok()?.trim();
    let range = value.strip_prefix("bytes").unwrap_or(value);
    let (first, last) = range.trim_start_matches(['=', ' ']).split_once('-')?;
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(0), Ok(0)) => Some(0),
        (Ok(0), Ok(last)) => last.checked_add(1),
        _ => None,
    }
}

/// Refuses an answer that names another digest. One of another algorithm says
/// nothing.
pub(crate) fn check_digest<B, E: LentError>(
    answer: &Answer<B>,
    expected: &Digest,
) -> Result<(), RegistryError<E>> {
    match announced_digest(answer) {
        Some(actual) if actual.algorithm() == expected.algorithm() && actual != *expected => {
            Err(RegistryError::last(Fault::DigestMismatch {
                expected: expected.clone(),
                actual,
            }))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NoAnswer;

    #[test]
    fn the_digest_joins_the_query_there_is() {
        let digest = Digest::sha256(b"");
        for (location, expected) in [
            ("https://r/u/1", "https://r/u/1?digest="),
            ("https://r/u/1?", "https://r/u/1?digest="),
            (
                "https://r/u/1?_state=a%3D&b",
                "https://r/u/1?_state=a%3D&b&digest=",
            ),
        ] {
            let uri = with_digest::<NoAnswer>(&location.parse().unwrap(), &digest).unwrap();
            assert_eq!(uri.to_string(), format!("{expected}{digest}"));
        }
    }

    #[test]
    fn ranges_of_uploads_are_read_in_every_spelling() {
        for (range, expected) in [
            ("0-0", Some(0)),
            ("0-99", Some(100)),
            ("bytes=0-99", Some(100)),
            ("bytes 0-99", Some(100)),
            (" 0 - 99 ", Some(100)),
            ("5-99", None),
            ("0--1", None),
            ("0-18446744073709551615", None),
            ("99", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
            assert_eq!(bytes_stored(&headers), expected, "{range}");
        }
        assert_eq!(bytes_stored(&HeaderMap::new()), None);
    }
}
