//! What a request is for.

use super::{Phase, Seen, State, auth::parameters};

/// The phase of a request, by method and path.
pub(super) fn phase(state: &State, seen: &Seen) -> Phase {
    let get = seen.method == "GET";
    if seen.path == "/token" {
        return Phase::Token;
    }
    if matches!(seen.path.as_str(), "/v2/" | "/v2") {
        return Phase::Ping;
    }
    if seen.path.contains("/manifests/") {
        return match seen.method.as_str() {
            "GET" => Phase::Manifest,
            "PUT" => Phase::Publish,
            _ => Phase::Head,
        };
    }
    if seen.path.contains("/blobs/uploads/") {
        return upload(seen);
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

fn upload(seen: &Seen) -> Phase {
    let mounts = || {
        parameters(&seen.query)
            .iter()
            .any(|(key, _)| key == "mount")
    };
    match seen.method.as_str() {
        "POST" if mounts() => Phase::Mount,
        "POST" => Phase::Upload,
        "PATCH" => Phase::Chunk,
        "PUT" => Phase::Finish,
        "GET" => Phase::UploadStatus,
        _ => Phase::Other,
    }
}
