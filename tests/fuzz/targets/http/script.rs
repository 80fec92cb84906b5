//! What an input says: messages, parted by a line `%%`.
//!
//! A message is a line, headers, an empty line and a body. `METHOD path` is a request; `HTTP status place` is what the web
//! answers where `place` is part of the address, or next if there is no place; `HARM flip 3`, `cut` or `lose` is what a bad
//! disk does to a blob before the requests that follow. In all, `{d0}` to `{d9}` stand for the
//! digests of the first replies' bodies, `{s0}` to `{s9}` for their sizes, so that what names them stays right when they
//! change. For the same reason the checksums of headers in a tar are made right.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use strata_oci::{Digest, archive::BLOCK};

/// The most messages: more say nothing new.
const MOST: usize = 32;

/// A request before its body is streamed or not.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What the web answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// Part of the addresses it is for; empty: whoever asks next.
    pub(crate) place: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What a bad disk does to a blob.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    Flip,
    Cut,
    Lose,
}

/// What happens next.
pub(crate) enum Step {
    Ask(Asked),
    /// To the blob of this number.
    Harm(Harm, usize),
}

/// An input.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    pub(crate) replies: Vec<Reply>,
}

impl Script {
    /// Reads an input; what is no message is left out.
    pub(crate) fn read(input: &[u8]) -> Self {
        let mut script = Self::default();
        let mut known = Vec::new();
        for message in parts(input).into_iter().take(MOST) {
            let message = filled(message, &known);
            if let Some(reply) = reply(&message) {
                known.push((Digest::sha256(&reply.body).to_string(), reply.body.len()));
                script.replies.push(reply);
            } else if let Some((harm, blob)) = harm(&message) {
                script.steps.push(Step::Harm(harm, blob));
            } else {
                script.steps.extend(request(&message).map(Step::Ask));
            }
        }
        script
    }
}

fn parts(input: &[u8]) -> Vec<&[u8]> {
    const LINE: &[u8] = b"\n%%\n";
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(LINE.len()).position(|it| it == LINE) {
        parts.push(&rest[..at]);
        rest = &rest[at + LINE.len()..];
    }
    parts.push(rest);
    parts
}

/// The message with what stands for replies replaced.
fn filled(message: &[u8], known: &[(String, usize)]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((first, after)) = rest.split_first() {
        if let [
            b'{',
            kind @ (b'd' | b's'),
            digit @ b'0'..=b'9',
            b'}',
            behind @ ..,
        ] = rest
            && let Some((digest, size)) = known.get(usize::from(digit - b'0'))
        {
            match kind {
                b'd' => filled.extend(digest.as_bytes()),
                _ => filled.extend(size.to_string().as_bytes()),
            }
            rest = behind;
        } else {
            filled.push(*first);
            rest = after;
        }
    }
    filled
}

/// First line, headers and body.
fn message(bytes: &[u8]) -> Option<(&str, HeaderMap, Vec<u8>)> {
    let (head, body) = match bytes.windows(2).position(|it| it == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        headers.append(
            name,
            HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?,
        );
    }
    let mut body = body.to_vec();
    mend(&mut body);
    Some((first, headers, body))
}

/// A request; `None` for what the host would not pass on.
pub(crate) fn request(bytes: &[u8]) -> Option<Asked> {
    let (first, headers, body) = message(bytes)?;
    let (method, path) = first.split_once(' ')?;
    let passes = path.starts_with('/') && path.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    Some(Asked {
        method: method.parse().ok()?,
        path_and_query: passes.then(|| path.to_owned())?,
        headers,
        body,
    })
}

fn harm(bytes: &[u8]) -> Option<(Harm, usize)> {
    let line = std::str::from_utf8(bytes).ok()?.lines().next()?;
    let (harm, blob) = line.strip_prefix("HARM ")?.split_once(' ')?;
    let harm = match harm {
        "flip" => Harm::Flip,
        "cut" => Harm::Cut,
        "lose" => Harm::Lose,
        _ => return None,
    };
    Some((harm, blob.parse().ok()?))
}

fn reply(bytes: &[u8]) -> Option<Reply> {
    let (first, headers, body) = message(bytes)?;
    let (status, place) = match first.strip_prefix("HTTP ")?.split_once(' ') {
        Some((status, place)) => (status, place),
        None => (first.strip_prefix("HTTP ")?, ""),
    };
    Some(Reply {
        status: StatusCode::from_bytes(status.as_bytes()).ok()?,
        place: place.to_owned(),
        headers,
        body,
    })
}

/// Makes the checksums of headers in a tar right.
fn mend(tar: &mut [u8]) {
    let (blocks, _) = tar.as_chunks_mut::<BLOCK>();
    for block in blocks {
        if &block[257..262] != b"ustar" {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
