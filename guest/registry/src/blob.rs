//! Blobs from a registry, from any byte on. Whether the bytes are right is the
//! store's to say.

use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_RANGE, RANGE},
};
use strata_oci::Descriptor;

use crate::{Clock, Fault, Reach, RegistryError, Repository, Transport, address, wire::Answer};

/// Which mirror served something; `None` is the registry itself.
pub type Source = Option<usize>;

/// An answer to a request for the rest of a blob.
pub enum Opened<B> {
    /// The bytes from `start` on. That is 0 where the server ignored the range.
    Body {
        /// Offset of the first byte.
        start: u64,
        /// The bytes.
        body: B,
        /// Who serves them.
        source: Source,
    },
    /// The server has no such range, or sent one that cannot be used: start over.
    RangeRefused,
}

const ACCEPTED: [StatusCode; 3] = [
    StatusCode::OK,
    StatusCode::PARTIAL_CONTENT,
    StatusCode::RANGE_NOT_SATISFIABLE,
];

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// Asks the registry for a blob from `offset` on.
    pub async fn blob(
        &self,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Opened<T::Body>, RegistryError<T::Error>> {
        let path = format!("{}/blobs/{}", self.path, descriptor.digest);
        let headers = request_headers(descriptor, offset);
        let accepted = accepted(offset);
        self.anywhere(async |endpoint, source| {
            let answer = self
                .ask(endpoint, &Method::GET, &path, &headers, accepted)
                .await?;
            Ok(opened(answer, offset, source))
        })
        .await
        .map_err(|failure| {
            if failure.status == Some(StatusCode::NOT_FOUND) && !failure.is_complete {
                return failure.because(Fault::BlobNotFound {
                    digest: descriptor.digest.clone(),
                    repository: self.familiar.clone(),
                });
            }
            failure
        })
    }

    /// Asks for a foreign layer where its descriptor says it is: without
    /// credentials and in public only, as the address comes from whoever made the
    /// manifest, who need not be the registry.
    pub async fn foreign_blob(
        &self,
        descriptor: &Descriptor,
        url: &str,
        offset: u64,
    ) -> Result<Opened<T::Body>, RegistryError<T::Error>> {
        let uri = address::web(url).ok_or_else(|| {
            RegistryError::last(Fault::ForeignAddress {
                digest: descriptor.digest.clone(),
            })
        })?;
        let headers = request_headers(descriptor, offset);
        let (method, reach) = (Method::GET, Reach::PUBLIC);
        let answer = self.wire.follow(&method, &uri, &headers, reach).await?;
        if accepted(offset).contains(&answer.status) {
            return Ok(opened(answer, offset, None));
        }
        Err(self.refusal(&method, answer).await)
    }
}

/// A 416 is an answer only to a request for a range.
fn accepted(offset: u64) -> &'static [StatusCode] {
    match offset {
        0 => ACCEPTED.split_at(2).0,
        _ => &ACCEPTED,
    }
}

fn request_headers(descriptor: &Descriptor, offset: u64) -> HeaderMap {
    let mut headers = accept(&descriptor.media_type);
    if offset > 0
        && let Ok(range) = HeaderValue::from_str(&format!("bytes={offset}-"))
    {
        headers.insert(RANGE, range);
    }
    headers
}

/// `Accept: <media type>, */*`. The type comes from a manifest, so it may be
/// anything.
pub(crate) fn accept(media_type: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("{media_type}, */*"))
        .ok()
        .filter(|_| !media_type.is_empty())
        .unwrap_or(HeaderValue::from_static("*/*"));
    HeaderMap::from_iter([(ACCEPT, value)])
}

fn opened<B>(answer: Answer<B>, offset: u64, source: Source) -> Opened<B> {
    let start = match answer.status {
        StatusCode::OK => Some(0),
        StatusCode::PARTIAL_CONTENT => first_byte(&answer.headers),
        _ => None,
    };
    match start {
        Some(start) if start == offset || start == 0 => Opened::Body {
            start,
            body: answer.body,
            source,
        },
        _ => Opened::RangeRefused,
    }
}

/// The start of `Content-Range: bytes <first>-<last>/<total>`.
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let range = value.trim().strip_prefix("bytes")?.trim_start();
    let (first, _) = range.split_once('-')?;
    first.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_counts_only_from_where_it_was_asked_or_from_the_start() {
        for (status, content_range, offset, expected) in [
            (200, None, 0, Some(0)),
            (200, None, 5, Some(0)),
            (206, Some("bytes 5-9/10"), 5, Some(5)),
            (206, Some("bytes 5-9/*"), 5, Some(5)),
            (206, Some("bytes 0-9/10"), 5, Some(0)),
            (206, Some("bytes 4-9/10"), 5, None),
            (206, Some("bytes */10"), 5, None),
            (206, Some("lines 5-9/10"), 5, None),
            (206, None, 5, None),
            (416, Some("bytes */10"), 5, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = content_range {
                headers.insert(CONTENT_RANGE, HeaderValue::from_static(value));
            }
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer::of_test(status, headers);
            let start = match opened(answer, offset, None) {
                Opened::Body { start, .. } => Some(start),
                Opened::RangeRefused => None,
            };
            assert_eq!(start, expected, "{status} {content_range:?}");
        }
    }
}
