//! From a request to its answer: the honest one, then the fault the script asks for.

use super::wire::{Answer, header, read, read_body, split, write};
use super::{Fault, Phase, Seen, State, auth, lock, route, upload};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;

/// Serves one connection until either side ends it.
pub(super) async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    // Small answers in several writes would wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let (mut reader, mut writer) = split(stream);
    while let Ok(Some(head)) = read(&mut reader).await {
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let mut seen = Seen {
            phase: Phase::Other,
            method: head.method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: head.headers,
            body: String::new(),
            length: 0,
            status: 0,
        };
        let fault = {
            let mut state = lock(&state);
            seen.phase = route::phase(&state, &seen);
            state.rules.iter_mut().find_map(|rule| rule.take(&seen))
        };
        let most = match fault {
            Some(Fault::CutRequest(at)) => at,
            _ => usize::MAX,
        };
        let Ok(body) = read_body(&mut reader, &seen.headers, most).await else {
            return;
        };
        seen.length = body.len();
        if !matches!(seen.phase, Phase::Chunk | Phase::Finish) {
            seen.body = String::from_utf8_lossy(&body).into_owned();
        }
        let head = seen.method == "HEAD";
        let answer = {
            let mut state = lock(&state);
            let answer = decide(&mut state, fault, &seen, body);
            seen.status = if answer.hang_up { 0 } else { answer.status };
            state.log.push(seen);
            answer
        };
        if !write(&mut writer, &answer, head).await.unwrap_or(false) {
            return;
        }
    }
}

fn decide(state: &mut State, fault: Option<Fault>, seen: &Seen, body: Vec<u8>) -> Answer {
    if seen.phase != Phase::Token
        && let Some(refused) = auth::refuse(state, seen)
    {
        return refused;
    }
    match &fault {
        Some(Fault::Status(status, headers, body)) => {
            let answer = Answer::new(*status, body.clone());
            return headers
                .iter()
                .fold(answer, |answer, (name, value)| answer.with(name, value));
        }
        Some(Fault::Redirect(status, location)) => {
            return Answer::new(*status, "").with("Location", location);
        }
        Some(Fault::RedirectToSelf) => {
            let location = format!("{}{}", state.base, seen.path);
            return Answer::new(307, "").with("Location", &location);
        }
        Some(Fault::CutRequest(_)) => return upload::cut(state, seen, &body),
        Some(Fault::LoseUpload) => upload::forget(state, seen),
        Some(Fault::LoseBlobs) => upload::forget_blobs(state, seen),
        _ => {}
    }
    let range = match fault {
        Some(Fault::IgnoreRange | Fault::WrongRange) => None,
        _ => header(&seen.headers, "range").and_then(range),
    };
    let honest = match seen.phase {
        Phase::Token => auth::token(state, seen),
        Phase::Ping => Answer::new(200, "{}").with("Content-Type", "application/json"),
        Phase::Head | Phase::Manifest => manifest(state, &seen.path),
        Phase::Config | Phase::Layer => blob(state, &seen.path, range),
        Phase::BlobHead if upload::holds(state, &seen.path) => blob(state, &seen.path, range),
        Phase::BlobHead => Answer::error(404, "BLOB_UNKNOWN"),
        Phase::Tags => tags(state, &seen.path),
        Phase::Mount => upload::mount(state, seen),
        Phase::Upload => upload::open(state, seen),
        Phase::UploadStatus => upload::status(state, seen),
        Phase::Chunk => upload::chunk(state, seen, &body),
        Phase::Finish => upload::finish(state, seen, &body),
        Phase::Publish => upload::publish(state, seen, body),
        Phase::Other => Answer::error(404, "NAME_UNKNOWN"),
    };
    match fault {
        Some(fault) => commit(fault, honest, seen),
        None => honest,
    }
}

/// Spoils the answer to what was done.
fn commit(fault: Fault, mut honest: Answer, seen: &Seen) -> Answer {
    let whole = honest.body.len();
    match fault {
        Fault::HangUp => Answer {
            hang_up: true,
            ..honest
        },
        Fault::Cut(at) => Answer {
            cut: Some(at),
            ..honest
        },
        Fault::CutHead(at) => Answer {
            cut_head: Some(at),
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
        Fault::Stall(gate) => Answer {
            stall: Some(gate),
            ..honest
        },
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
        // These have done their part before.
        Fault::Status(..)
        | Fault::Redirect(..)
        | Fault::RedirectToSelf
        | Fault::CutRequest(_)
        | Fault::LoseUpload
        | Fault::LoseBlobs => honest,
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
