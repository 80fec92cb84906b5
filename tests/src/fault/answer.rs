//! From a request to its answer: the honest one, then the fault the script asks for.

use super::wire::{Answer, header, read, split, write};
use super::{Fault, Phase, Seen, State, auth, lock};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;

/// Serves one connection until either side ends it.
pub(super) async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    // Small answers in several writes would wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let (mut reader, mut writer) = split(stream);
    while let Ok(Some(request)) = read(&mut reader).await {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let mut seen = Seen {
            phase: Phase::Other,
            method: request.method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: request.headers,
            body: String::from_utf8_lossy(&request.body).into_owned(),
            status: 0,
        };
        let head = seen.method == "HEAD";
        let answer = {
            let mut state = lock(&state);
            seen.phase = phase(&state, &seen);
            let answer = decide(&mut state, &seen);
            seen.status = if answer.hang_up { 0 } else { answer.status };
            state.log.push(seen);
            answer
        };
        if !write(&mut writer, &answer, head).await.unwrap_or(false) {
            return;
        }
    }
}

fn phase(state: &State, seen: &Seen) -> Phase {
    let get = seen.method == "GET";
    if seen.path == "/token" {
        return Phase::Token;
    }
    if matches!(seen.path.as_str(), "/v2/" | "/v2") {
        return Phase::Ping;
    }
    if seen.path.contains("/manifests/") {
        return if get { Phase::Manifest } else { Phase::Head };
    }
    if let Some((_, digest)) = seen.path.rsplit_once("/blobs/") {
        return match (get, state.configs.contains(digest)) {
            (false, _) => Phase::BlobHead,
            (true, true) => Phase::Config,
            (true, false) => Phase::Layer,
        };
    }
    if seen.path.ends_with("/tags/list") {
        Phase::Tags
    } else {
        Phase::Other
    }
}

fn decide(state: &mut State, seen: &Seen) -> Answer {
    let fault = state.rules.iter_mut().find_map(|rule| rule.take(seen));
    if seen.phase != Phase::Token
        && let Some(refused) = auth::refuse(state, seen)
    {
        return refused;
    }
    let range = match fault {
        Some(Fault::IgnoreRange | Fault::WrongRange) => None,
        _ => header(&seen.headers, "range").and_then(range),
    };
    let honest = match seen.phase {
        Phase::Token => auth::token(state, seen),
        Phase::Ping => Answer::new(200, "{}").with("Content-Type", "application/json"),
        Phase::Head | Phase::Manifest => manifest(state, &seen.path),
        Phase::Config | Phase::Layer | Phase::BlobHead => blob(state, &seen.path, range),
        Phase::Tags => tags(state, &seen.path),
        Phase::Other => Answer::error(404, "NAME_UNKNOWN"),
    };
    match fault {
        Some(fault) => commit(fault, honest, seen, &state.base),
        None => honest,
    }
}

fn commit(fault: Fault, mut honest: Answer, seen: &Seen, base: &str) -> Answer {
    let whole = honest.body.len();
    match fault {
        Fault::Status(status, headers, body) => headers
            .iter()
            .fold(Answer::new(status, body), |answer, (name, value)| {
                answer.with(name, value)
            }),
        Fault::HangUp => Answer {
            hang_up: true,
            ..honest
        },
        Fault::Cut(at) => Answer {
            cut: Some(at),
            ..honest
        },
        Fault::Corrupt => {
            let mut bytes = honest.body.to_vec();
            if let Some(byte) = bytes.get_mut(whole / 2) {
                *byte ^= 0x20;
            }
            honest.body(bytes)
        }
        Fault::Short(size) => {
            let body = honest.body.slice(..size.min(whole));
            honest.body(body)
        }
        Fault::Long(extra) => {
            let mut bytes = honest.body.to_vec();
            bytes.resize(whole + extra, b'x');
            honest.body(bytes)
        }
        Fault::LyingLength(by) => {
            honest.length = Some((whole as u64).saturating_add_signed(by));
            honest
        }
        Fault::Hold(at, gate) => Answer {
            hold: Some((at, gate)),
            ..honest
        },
        Fault::Redirect(status, location) => Answer::new(status, "").with("Location", &location),
        Fault::RedirectToSelf => {
            Answer::new(307, "").with("Location", &format!("{base}{}", seen.path))
        }
        Fault::RefuseRange if header(&seen.headers, "range").is_some() => {
            Answer::error(416, "RANGE_INVALID")
        }
        Fault::WrongRange if header(&seen.headers, "range").is_some() => {
            let value = format!("bytes 0-{}/{whole}", whole.saturating_sub(1));
            Answer {
                status: 206,
                ..honest.with("Content-Range", &value)
            }
        }
        Fault::RefuseRange | Fault::WrongRange | Fault::IgnoreRange => honest,
        Fault::Without(name) => {
            honest
                .headers
                .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            honest
        }
        Fault::With(name, value) => honest.with(name, &value),
        Fault::Instead(blob) => honest
            .with("Content-Type", &blob.media_type)
            .with("Docker-Content-Digest", &blob.digest)
            .body(blob.bytes),
        Fault::Chunked => Answer {
            length: None,
            ..honest
        },
    }
}

fn manifest(state: &State, path: &str) -> Answer {
    let path = path.trim_start_matches("/v2/");
    let Some((repository, reference)) = path.rsplit_once("/manifests/") else {
        return Answer::error(404, "NAME_UNKNOWN");
    };
    let join = if reference.contains(':') { '@' } else { ':' };
    match state
        .manifests
        .get(&format!("{repository}{join}{reference}"))
    {
        Some(manifest) => Answer::new(200, manifest.bytes.clone())
            .with("Content-Type", &manifest.media_type)
            .with("Docker-Content-Digest", &manifest.digest),
        None => Answer::error(404, "MANIFEST_UNKNOWN"),
    }
}

fn blob(state: &State, path: &str, range: Option<(usize, Option<usize>)>) -> Answer {
    let digest = path
        .rsplit_once("/blobs/")
        .map(|(_, digest)| digest)
        .unwrap_or_default();
    let Some(bytes) = state.blobs.get(digest) else {
        return Answer::error(404, "BLOB_UNKNOWN");
    };
    let size = bytes.len();
    let answer = match range {
        None => Answer::new(200, bytes.clone()),
        Some((first, _)) if first >= size => {
            return Answer::error(416, "RANGE_INVALID")
                .with("Content-Range", &format!("bytes */{size}"));
        }
        Some((first, last)) => {
            let end = last.map_or(size, |last| (last + 1).min(size));
            let value = format!("bytes {first}-{}/{size}", end - 1);
            Answer::new(206, bytes.slice(first..end)).with("Content-Range", &value)
        }
    };
    answer
        .with("Content-Type", "application/octet-stream")
        .with("Accept-Ranges", "bytes")
        .with("Docker-Content-Digest", digest)
}

fn tags(state: &State, path: &str) -> Answer {
    let repository = path
        .trim_start_matches("/v2/")
        .trim_end_matches("/tags/list");
    let prefix = format!("{repository}:");
    let mut tags: Vec<&str> = state
        .manifests
        .keys()
        .filter_map(|key| key.strip_prefix(&prefix))
        .filter(|tag| !tag.contains(':'))
        .collect();
    tags.sort_unstable();
    if tags.is_empty() {
        return Answer::error(404, "NAME_UNKNOWN");
    }
    let body = json!({"name": repository, "tags": tags});
    Answer::new(200, body.to_string()).with("Content-Type", "application/json")
}

/// `bytes=FIRST-[LAST]`.
fn range(value: &str) -> Option<(usize, Option<usize>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() {
        None
    } else {
        Some(last.parse().ok()?)
    };
    Some((first.parse().ok()?, last))
}
