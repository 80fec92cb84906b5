//! The head of a request: read here, so that what dockerd takes is taken and what is refused is
//! refused with a sentence.
//!
//! hyper gets a head with the method and what says where the body ends, and decides about that
//! alone. So its buffers can be small, and the rest has the bounds named here.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    answer::Refusal,
    target::{self, MAX_TARGET, Target},
};

/// Bytes of all headers of a request: dockerd's bound.
const MAX_HEADERS_BYTES: usize = 1 << 20;
/// Headers of a request. dockerd counts bytes only; so many are more than anybody sends, and cost
/// the component a millisecond.
const MAX_HEADERS: usize = 10_000;
/// A head that is longer than this without an end has none.
pub(super) const MAX_HEAD: usize = MAX_TARGET + MAX_HEADERS_BYTES + 64;

/// A first line ends within so many bytes.
pub(super) const MAX_LINE: usize = MAX_TARGET + 64;

/// Holds the query of a target that is too long for the `http` crate. The component puts both
/// together again; a client's own header of this name is dropped.
const QUERY: HeaderName = HeaderName::from_static("strata-query");

/// What hyper is told besides the method: where the body ends and whether the connection goes on.
const FRAMING: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING];

/// How many of these, and bytes of them, are taken: hyper refuses more than a hundred, and what does
/// not fit into its buffer, without a sentence. Nobody sends a tenth of it.
const MAX_FRAMING: usize = 100;
const MAX_FRAMING_BYTES: usize = 32 * 1024;

/// A request without its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// The authority of a target in absolute form.
    pub(super) authority: Option<String>,
    /// Its share of what all long heads may weigh.
    pub(super) weight: Option<OwnedSemaphorePermit>,
}

/// Where the head at the start of `bytes` ends, after its empty line. `seen` bytes had no end.
pub(super) fn end(bytes: &[u8], seen: usize) -> Option<usize> {
    // An end may be cut anywhere; three bytes of it may have been seen.
    let start = seen.saturating_sub(3);
    let fresh = bytes.get(start..)?;
    let mut lines = fresh.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    lines.find_map(|(at, _)| match fresh.get(at + 1..)? {
        [b'\n', ..] => Some(start + at + 2),
        [b'\r', b'\n', ..] => Some(start + at + 3),
        _ => None,
    })
}

/// What is wrong already with a head that is not complete yet.
pub(super) fn early_fault(bytes: &[u8]) -> Option<Refusal> {
    // Another protocol would go on waiting for an answer in its own words.
    if bytes.first().is_some_and(|byte| !byte.is_ascii_graphic()) {
        return Some(malformed("this port speaks HTTP/1.1 without TLS"));
    }
    if bytes.len() > MAX_LINE && !bytes.iter().take(MAX_LINE).any(|byte| *byte == b'\n') {
        return Some(target::too_long(bytes.len(), MAX_TARGET));
    }
    excess(bytes.len())
}

/// The same of one longer than [`MAX_LINE`] in which nothing was wrong before.
pub(super) fn excess(length: usize) -> Option<Refusal> {
    (length > MAX_HEAD).then(|| headers_too_long(MAX_HEADERS_BYTES, "bytes"))
}

/// Reads a complete head, and says what hyper is given instead.
///
/// # Errors
/// The answer to a request that cannot be read.
pub(super) fn parse(raw: &[u8]) -> Result<(Head, Vec<u8>), Refusal> {
    let end = raw.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| malformed("its first line has no end"))?;
    let (line, rest) = raw.split_at(end + 1);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (method, target, version) = request_line(line)?;
    let Target {
        uri,
        query,
        authority,
    } = target::parse(target)?;
    let (mut headers, framing) = fields(rest, version)?;
    if let Some(query) = query {
        headers.insert(QUERY, query);
    }
    let word = match version {
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    let mut substitute = format!("{method} / {word}\r\n").into_bytes();
    substitute.extend_from_slice(&framing);
    substitute.extend_from_slice(b"\r\n");
    let head = Head {
        method,
        uri,
        version,
        headers,
        authority,
        weight: None,
    };
    Ok((head, substitute))
}

fn request_line(line: &[u8]) -> Result<(Method, &[u8], Version), Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed(
            "its first line is not METHOD TARGET HTTP/1.1; blanks in a target are written %20",
        ));
    };
    let method = Method::from_bytes(method).map_err(|_| malformed("its method is no word"))?;
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        _ => {
            return Err(Refusal::new(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "this server speaks HTTP/1.1 and HTTP/1.0",
            ));
        }
    };
    Ok((method, target, version))
}

/// Header lines with their empty line: all of them, and those that are hyper's, as they are.
fn fields(raw: &[u8], version: Version) -> Result<(HeaderMap, Vec<u8>), Refusal> {
    if raw.len() > MAX_HEADERS_BYTES {
        return Err(headers_too_long(MAX_HEADERS_BYTES, "bytes"));
    }
    let lines = raw.iter().filter(|byte| **byte == b'\n').count();
    if lines > MAX_HEADERS + 1 {
        return Err(headers_too_long(MAX_HEADERS, "headers"));
    }
    let mut parsed = vec![httparse::EMPTY_HEADER; lines];
    // hyper's own parser, so that both agree on what a header is.
    let parsed = match httparse::parse_headers(raw, &mut parsed) {
        Ok(httparse::Status::Complete((_, parsed))) => parsed,
        Ok(httparse::Status::Partial) => return Err(malformed("its headers have no end")),
        Err(error) => return Err(malformed(&format!("its headers are broken ({error})"))),
    };
    let mut headers = HeaderMap::with_capacity(parsed.len());
    let mut framing = Vec::new();
    let mut framing_lines = 0;
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let name = name.map_err(|_| malformed("a header's name is no word"))?;
        let value = HeaderValue::from_bytes(header.value);
        let value = value.map_err(|_| malformed(&format!("the header {name} is no text")))?;
        if name == QUERY {
            continue;
        }
        if FRAMING.contains(&name) {
            framing_lines += 1;
            framing.extend_from_slice(name.as_str().as_bytes());
            framing.extend_from_slice(b": ");
            framing.extend_from_slice(header.value);
            framing.extend_from_slice(b"\r\n");
        }
        headers.append(name, value);
    }
    if framing_lines > MAX_FRAMING || framing.len() > MAX_FRAMING_BYTES {
        let unit =
            format!("lines, or {MAX_FRAMING_BYTES} bytes, about its body and its connection");
        return Err(headers_too_long(MAX_FRAMING, &unit));
    }
    judge_framing(&headers, version)?;
    if headers.contains_key(TRANSFER_ENCODING) {
        // It counts for nothing then (RFC 9112, 6.3), and must not be believed further in.
        headers.remove(CONTENT_LENGTH);
    }
    Ok((headers, framing))
}

/// Refuses with a sentence what hyper refuses without one.
fn judge_framing(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next();
    // Go's bound, too.
    let is_number = |value: &HeaderValue| {
        let digits = value.to_str().unwrap_or_default();
        digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<i64>().is_ok()
    };
    if first.is_some_and(|first| !is_number(first) || lengths.any(|other| other != first)) {
        return Err(malformed(
            "its Content-Length is not one number up to 2^63 - 1",
        ));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    // One that is no text is none to hyper either. As to Go, twice chunked is none: who reads the request on the
    // way may see another end.
    let coding = coding.to_str().unwrap_or_default().trim();
    let is_one = coding.eq_ignore_ascii_case("chunked") && codings.next().is_none();
    if version == Version::HTTP_10 || !is_one {
        return Err(malformed(
            "the only Transfer-Encoding of a request is chunked, of HTTP/1.1",
        ));
    }
    Ok(())
}

fn malformed(reason: &str) -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        format!("this is no request that can be read: {reason}"),
    )
}

fn headers_too_long(limit: usize, unit: &str) -> Refusal {
    Refusal::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        format!("the request's headers have more than the limit of {limit} {unit}: send less"),
    )
}

// Said, because a fuzz target reads this file from elsewhere.
#[cfg(test)]
#[path = "head/tests.rs"]
mod tests;
