//! What the lines of a pull look like.

use strata::types::{Completed, ContentProgress, Descriptor, Error, Resolved, Retry, Substituted};

use super::*;
use crate::cli::terminal::tests::captured;

const LAYER: &str = "sha256:9824c27679d3b27c5e1cb00a73adb6f4f8d556994111c12db3c5d61a0c843df8";
const IMAGE: &str = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1";

fn resolved(reference: &str) -> Event {
    Event::Resolved(Resolved {
        reference: reference.into(),
        digest: IMAGE.into(),
    })
}

fn blob(phase: Phase, current: u64) -> Event {
    Event::Blob(BlobProgress {
        digest: LAYER.into(),
        phase,
        current,
        total: 4_000_000,
        mounted_from: None,
    })
}

fn retry(digest: Option<&str>, delay: u32) -> Event {
    let reason = Error::Unavailable("reset\x1b[2J".into());
    Event::Retry(Retry {
        digest: digest.map(Into::into),
        attempt: 2,
        delay,
        reason,
    })
}

fn completed(changed: bool) -> Event {
    let reference = "docker.io/library/alpine:latest".into();
    Event::Completed(Completed {
        reference,
        digest: IMAGE.into(),
        size: 1,
        changed,
    })
}

fn lines(events: &[Event]) -> String {
    lines_of(Work::Pull, events).0
}

/// Results and remarks.
fn lines_of(work: Work, events: &[Event]) -> (String, String) {
    let (terminal, captured) = captured();
    let mut display = Display::Lines(Lines::new(work, terminal));
    events.iter().for_each(|event| display.show(event));
    display.finish();
    (captured.results(), captured.remarks())
}

#[test]
fn a_pull_reads_like_dockers() {
    let text = lines(&[
        resolved("docker.io/library/alpine:latest"),
        blob(Phase::Queued, 0),
        blob(Phase::Downloading, 0),
        blob(Phase::Downloading, 1_000_000),
        blob(Phase::Downloading, 2_000_000),
        blob(Phase::Downloaded, 4_000_000),
        blob(Phase::Downloaded, 4_000_000),
        completed(true),
    ]);
    let expected = format!(
        "latest: Pulling from library/alpine
9824c27679d3: Pulling fs layer
9824c27679d3: Download complete
Digest: {IMAGE}
Status: Downloaded newer image for alpine:latest
"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_retry_says_why_and_where_it_goes_on() {
    let text = lines(&[
        blob(Phase::Downloading, 0),
        retry(Some(LAYER), 1500),
        blob(Phase::Retrying, 2_000_000),
        blob(Phase::Downloading, 2_000_000),
        blob(Phase::Downloading, 3_000_000),
        retry(None, 1000),
    ]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "9824c27679d3: Pulling fs layer");
    assert!(
        lines[1].starts_with("9824c27679d3: Retrying in 2 seconds: "),
        "{text}"
    );
    assert_eq!(lines[2], "9824c27679d3: Resuming at 2MB");
    assert!(lines[3].starts_with("Retrying in 1 second: "), "{text}");
    assert_eq!(lines.len(), 4, "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn what_is_here_and_what_is_not_needed_is_not_transferred() {
    let text = lines(&[
        blob(Phase::AlreadyExists, 0),
        resolved(&format!("ghcr.io/o/a@{IMAGE}")),
        blob(Phase::Unavailable, 0),
        completed(false),
        Event::Warning("old\nregistry".into()),
    ]);
    let expected = format!(
        "9824c27679d3: Already exists
ghcr.io/o/a@{IMAGE}: Pulling from o/a
Digest: {IMAGE}
Status: Image is up to date for alpine:latest
Warning: old registry
"
    );
    assert_eq!(text, expected);
}

#[test]
fn programs_get_one_object_per_line_with_the_names_of_the_contract() {
    let (terminal, captured) = captured();
    let mut display = Display::Objects(terminal);
    display.show(&blob(Phase::AlreadyExists, 7));
    display.show(&retry(None, 1));
    display.show(&completed(true));
    display.show(&Event::Content(ContentProgress {
        phase: Phase::Uploading,
        current: 5,
        total: 0,
    }));
    let text = captured.results();
    let objects: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[0]["blob"]["phase"], "already-exists");
    assert_eq!(objects[0]["blob"]["current"], 7);
    assert_eq!(objects[1]["retry"]["reason"]["unavailable"], "reset\x1b[2J");
    assert_eq!(objects[2]["completed"]["changed"], true);
    assert_eq!(objects[3]["content"]["phase"], "uploading");
    assert_eq!(objects.len(), 4);
    // A name of the contract, though null here.
    assert!(objects[0]["blob"].get("mounted-from").is_some());
}

#[test]
fn a_push_reads_like_dockers() {
    let mounted = Event::Blob(BlobProgress {
        digest: IMAGE.into(),
        phase: Phase::Mounted,
        current: 0,
        total: 1,
        mounted_from: Some("library/base\x1b".into()),
    });
    let descriptor = |digest: &str| Descriptor {
        media_type: "x".into(),
        digest: digest.into(),
        size: 1,
    };
    let substituted = Event::Substituted(Substituted {
        index: descriptor("sha256:1d"),
        manifest: descriptor("sha256:3a"),
    });
    let (text, remarks) = lines_of(
        Work::Push,
        &[
            resolved("localhost:5000/library/alpine:latest"),
            blob(Phase::Queued, 0),
            blob(Phase::Uploading, 0),
            blob(Phase::Uploading, 1_000_000),
            blob(Phase::Uploaded, 4_000_000),
            mounted,
            substituted.clone(),
            completed(true),
        ],
    );
    let expected = format!(
        "The push refers to repository [localhost:5000/library/alpine]
9824c27679d3: Waiting
9824c27679d3: Pushing
9824c27679d3: Pushed
4bcff63911fc: Mounted from library/base\u{20}
Not all platforms are here: pushed the manifest sha256:3a in place of the index sha256:1d
latest: digest: {IMAGE} size: 1
"
    );
    assert_eq!(text, expected);
    assert_eq!(remarks, "");
    let (terminal, captured) = captured();
    let mut quiet = Display::Quiet(terminal);
    quiet.show(&resolved("localhost:5000/library/alpine:latest"));
    quiet.show(&substituted);
    assert_eq!(captured.results(), "");
    assert!(
        captured
            .remarks()
            .starts_with("Not all platforms are here: ")
    );
    let (text, _) = lines_of(Work::Push, &[blob(Phase::AlreadyExists, 0)]);
    assert_eq!(text, "9824c27679d3: Layer already exists\n");
}

#[test]
fn other_work_leaves_stdout_to_its_result() {
    let events = [
        resolved("docker.io/library/alpine:latest"),
        blob(Phase::Downloading, 0),
        retry(None, 1000),
        Event::Warning("old".into()),
        completed(true),
    ];
    for work in [Work::Load, Work::Import, Work::Commit, Work::Copy] {
        let (results, remarks) = lines_of(work, &events);
        assert_eq!(results, "", "{work:?}");
        assert_eq!(remarks.lines().count(), 2, "{work:?}: {remarks}");
    }
}
