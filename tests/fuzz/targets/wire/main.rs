//! Fuzz target: requests as their bytes arrive, read as the host reads them before hyper.
//!
//! The first byte of an input says in pieces of which size the rest comes. Where a head and a body end does not depend on
//! that. Of a head that is taken hyper gets a substitute, which says the same about the body, and takes it; and where the
//! body ends for the host, it ends for hyper: else a body would be read as a request, or a request as a body.
#![no_main]
#![allow(clippy::expect_used, reason = "a fault is a panic")]

mod answer;
#[path = "../../../../host/strata/src/serve/framing.rs"]
mod framing;
#[path = "../../../../host/strata/src/serve/head.rs"]
mod head;
mod judge;
#[path = "../../../../host/strata/src/serve/target.rs"]
mod target;

use http::{
    Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use libfuzzer_sys::fuzz_target;

use answer::Refusal;
use framing::Framing;
use head::Head;
use judge::{Judge, Verdict};

/// Headers that say where a body ends, or whether anything follows.
const FRAMING: [&str; 4] = [
    "connection",
    "content-length",
    "expect",
    "transfer-encoding",
];
/// Longest target the `http` crate holds.
const LONGEST_URI: usize = 65_534;

fuzz_target!(|input: &[u8]| {
    let Some((size, mut wire)) = input.split_first() else {
        return;
    };
    let size = usize::from(*size).max(1);
    loop {
        let blank = wire.iter().take_while(|byte| b"\r\n".contains(byte));
        wire = &wire[blank.count()..];
        let Some(end) = end_of_head(wire, size) else {
            return;
        };
        let (raw, rest) = wire.split_at(end);
        let (head, substitute) = match head::parse(raw) {
            Ok(read) => read,
            Err(refusal) => return is_told(&refusal),
        };
        for length in 0..raw.len() {
            let early = head::early_fault(&raw[..length]);
            assert_eq!(early, None, "of a head that is read");
        }
        check(&head, raw);
        says_the_same(&head, raw, &substitute);
        match end_of_body(&substitute, rest, size) {
            Some(end) => wire = &rest[end..],
            None => return,
        }
    }
});

/// Where the head ends that `wire` begins with.
fn end_of_head(wire: &[u8], size: usize) -> Option<usize> {
    let is_end = |end: &usize| {
        let read = &wire[..*end];
        read.ends_with(b"\n\n") || read.ends_with(b"\n\r\n")
    };
    let end = (1..=wire.len()).find(is_end);
    let (mut seen, mut found) = (0, None);
    while found.is_none() && seen < wire.len() {
        let read = wire.len().min(seen + size);
        found = head::end(&wire[..read], seen);
        if found.is_none()
            && let Some(refusal) = head::early_fault(&wire[..read])
        {
            is_told(&refusal);
        }
        seen = read;
    }
    assert_eq!(found, end, "in pieces of {size}");
    assert_eq!(head::end(wire, 0), end, "at once");
    end
}

/// Who is refused is told why.
fn is_told(refusal: &Refusal) {
    let status = refusal.status;
    assert!(
        status.is_client_error() || status == http::StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        "{refusal:?}"
    );
    assert!(refusal.message.len() > 20, "{refusal:?}");
}

/// What is handed on is within its bounds, and nothing is in it that the host keeps for itself.
fn check(head: &Head, raw: &[u8]) {
    let uri = head.uri.to_string();
    assert!(uri.len() <= LONGEST_URI, "{uri}");
    assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()), "{uri:?}");
    assert_eq!(head.uri.authority(), None, "{uri}");
    let lines = raw.iter().filter(|byte| **byte == b'\n').count();
    assert!(head.headers.len() <= lines, "{head:?}");
    let query = head.headers.get("strata-query");
    assert!(query.is_none_or(|query| uri.len() + query.len() > LONGEST_URI));
    // Bytes that are no text are as many characters.
    let authority = head.authority.as_deref().unwrap_or_default();
    assert!(authority.chars().count() < raw.len(), "{authority}");
    assert!(head.weight.is_none());
}

/// hyper is told no more than the method and what says where the body ends, and that as it came.
fn says_the_same(head: &Head, raw: &[u8], substitute: &[u8]) {
    let mut room = vec![httparse::EMPTY_HEADER; raw.len()];
    let mut told = httparse::Request::new(&mut room);
    let read = told.parse(substitute).expect("a head");
    assert_eq!(read, httparse::Status::Complete(substitute.len()));
    assert_eq!(told.method, Some(head.method.as_str()));
    assert_eq!(told.path, Some("/"));
    let version = match told.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    assert_eq!(version, head.version);
    let told: Vec<_> = told
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), header.value.to_vec()))
        .collect();

    let fields = raw.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    let mut room = vec![httparse::EMPTY_HEADER; raw.len()];
    let parsed = httparse::parse_headers(&raw[fields..], &mut room).expect("headers");
    let httparse::Status::Complete((_, came)) = parsed else {
        panic!("a head that is read has an end");
    };
    let came = came
        .iter()
        .map(|header| (header.name.to_lowercase(), header.value.to_vec()));
    let came: Vec<_> = came
        .filter(|(name, _)| FRAMING.contains(&name.as_str()))
        .collect();
    assert_eq!(told, came);

    // Further in, one of both is believed at most.
    let headers = &head.headers;
    assert!(!headers.contains_key(CONTENT_LENGTH) || !headers.contains_key(TRANSFER_ENCODING));
}

/// Where the body ends that `rest` begins with, of a request that hyper is told about so.
fn end_of_body(substitute: &[u8], rest: &[u8], size: usize) -> Option<usize> {
    let mut judge = Judge::new(&[substitute, rest].concat());
    // What was taken is not refused without a sentence.
    let begun = judge.read(substitute.len()).expect("hyper takes it");
    let (mut whole, mut pieces) = (copied(&begun), begun);
    let end = follow(&mut whole, rest, rest.len().max(1));
    assert_eq!(follow(&mut pieces, rest, size), end, "in pieces of {size}");
    assert_eq!(pieces, whole, "in pieces of {size}");
    let Some(end) = end else {
        judge.read(judge.len());
        let is_unclear = whole == Framing::Unclear;
        assert!(is_unclear || judge.verdict() != Verdict::Ended, "{whole:?}");
        return None;
    };
    if end > 0 {
        judge.read(substitute.len() + end - 1);
        assert_ne!(judge.verdict(), Verdict::Ended, "before {end}");
    }
    judge.read(substitute.len() + end);
    assert_ne!(judge.verdict(), Verdict::Waiting, "at {end}");
    Some(end)
}

/// Where a body ends, if it does.
fn follow(framing: &mut Framing, rest: &[u8], size: usize) -> Option<usize> {
    let mut taken = 0;
    for piece in rest.chunks(size) {
        if framing.is_over() {
            break;
        }
        taken += framing.take(piece);
    }
    framing.is_over().then_some(taken)
}

fn copied(framing: &Framing) -> Framing {
    match framing {
        Framing::Length(length) => Framing::Length(*length),
        Framing::Chunked(chunk) => Framing::Chunked(*chunk),
        Framing::Unclear => Framing::Unclear,
    }
}
