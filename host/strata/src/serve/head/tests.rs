//! What is read, and what hyper is told.

use super::*;

fn status(raw: &[u8]) -> u16 {
    parse(raw).map_or_else(|refusal| refusal.status.as_u16(), |_| 200)
}

#[test]
fn hyper_is_told_where_the_body_ends_and_nothing_else() {
    let raw = b"POST /images/load?quiet=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-A: b\r\n\
                CONNECTION:  close \r\nexpect: 100-continue\r\nStrata-Query: forged\r\n\r\n";
    let (head, substitute) = parse(raw).unwrap();
    assert_eq!(
        String::from_utf8(substitute).unwrap(),
        "POST / HTTP/1.1\r\ncontent-length: 5\r\nconnection: close\r\nexpect: 100-continue\r\n\r\n"
    );
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.uri, "/images/load?quiet=1");
    assert_eq!(head.headers.len(), 5);
    assert_eq!(head.headers.get("strata-query"), None);
    assert_eq!(head.headers.get("x-a").unwrap(), "b");

    let (head, substitute) = parse(b"GET http://x/ HTTP/1.0\nA: b\n\n").unwrap();
    assert_eq!(substitute, b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(head.authority.as_deref(), Some("x"));
    assert_eq!(head.version, Version::HTTP_10);
}

#[test]
fn a_long_query_travels_in_a_header() {
    let query = "names=x&".repeat(12_000);
    let raw = format!("GET /images/get?{query} HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, _) = parse(raw.as_bytes()).unwrap();
    assert_eq!(head.uri, "/images/get");
    assert_eq!(head.headers.get("strata-query").unwrap(), query.as_str());
}

#[test]
fn the_end_is_found_however_the_bytes_arrive() {
    for head in [
        "GET / HTTP/1.1\r\nA: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nA: b\n\n",
        "GET / HTTP/1.1\nA: b\n\r\n",
    ] {
        let wire = format!("{head}GET /next HTTP/1.1\r\n\r\n").into_bytes();
        for seen in 0..head.len() {
            let early = wire.get(..seen).unwrap();
            assert_eq!(end(early, 0), None, "{head:?} cut at {seen}");
            assert_eq!(end(&wire, seen), Some(head.len()), "{head:?} cut at {seen}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_a_sentence() {
    for (raw, expected) in [
        (&b"GET  / HTTP/1.1\r\n\r\n"[..], 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"G(T / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.2\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
        (b"GET / http/1.1\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nA b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\x00\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            400,
        ),
        (
            b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            200,
        ),
        (b"GET / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n",
            400,
        ),
        (
            b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            400,
        ),
        (
            b"GET / HTTP/1.1\r\nTransfer-Encoding: ,chunked\r\n\r\n",
            400,
        ),
        (
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            b"GET / HTTP/1.1\r\nTransfer-Encoding: \xe7, chunked\r\n\r\n",
            400,
        ),
        (
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ] {
        assert_eq!(status(raw), expected, "{:?}", String::from_utf8_lossy(raw));
    }
}

#[test]
fn many_headers_are_taken_up_to_the_bound() {
    let request = |count: usize, value: usize| {
        let value = "v".repeat(value);
        let lines = (0..count).map(|n| format!("x-{n}: {value}\r\n"));
        format!("GET / HTTP/1.1\r\n{}\r\n", lines.collect::<String>()).into_bytes()
    };
    assert_eq!(
        parse(&request(MAX_HEADERS, 1)).unwrap().0.headers.len(),
        MAX_HEADERS
    );
    assert_eq!(status(&request(MAX_HEADERS + 1, 1)), 431);
    assert_eq!(status(&request(1, MAX_HEADERS_BYTES - 100)), 200);
    assert_eq!(status(&request(1, MAX_HEADERS_BYTES)), 431);
}

#[test]
fn what_hyper_is_told_is_no_more_than_it_takes() {
    let request = |lines: usize, value: usize| {
        let line = format!("Expect: {}\r\n", "v".repeat(value));
        format!("GET / HTTP/1.1\r\n{}\r\n", line.repeat(lines)).into_bytes()
    };
    for (lines, value, expected) in [
        (MAX_FRAMING, 1, 200),
        (MAX_FRAMING + 1, 1, 431),
        (1, MAX_FRAMING_BYTES - 20, 200),
        (1, MAX_FRAMING_BYTES, 431),
    ] {
        assert_eq!(status(&request(lines, value)), expected, "{lines} {value}");
    }
}

#[test]
fn what_has_no_end_is_refused_before_it_comes() {
    assert!(early_fault(b"GET / HTTP/1.1\r\nA: ").is_none());
    assert!(early_fault(b"").is_none());
    // The first byte of a TLS handshake.
    assert_eq!(early_fault(b"\x16\x03\x01").unwrap().status, 400);
    assert_eq!(
        early_fault(&vec![b'x'; MAX_TARGET + 65]).unwrap().status,
        414
    );
    let mut headers = b"GET / HTTP/1.1\r\n".to_vec();
    headers.resize(MAX_HEAD + 1, b'x');
    assert_eq!(early_fault(&headers).unwrap().status, 431);
}
