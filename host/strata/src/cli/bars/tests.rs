//! What the bars count.

use super::*;

fn blob(digest: &str, phase: Phase, current: u64, total: u64) -> Event {
    Event::Blob(BlobProgress {
        digest: digest.into(),
        phase,
        current,
        total,
        mounted_from: None,
    })
}

#[test]
fn every_template_is_valid() {
    for template in [WORDS, MOVING, UNMEASURED, STREAM, ENDLESS] {
        assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
    }
}

#[test]
fn the_overall_bar_counts_what_is_transferred() {
    let mut bars = Bars::on(Work::Pull, ProgressDrawTarget::hidden());
    bars.show(&blob("sha256:aa", Phase::AlreadyExists, 0, 500));
    bars.show(&blob("sha256:bb", Phase::Downloading, 40, 100));
    bars.show(&blob("sha256:cc", Phase::Queued, 0, 300));
    let overall = bars.overall.clone().unwrap();
    assert_eq!((overall.position(), overall.length()), (40, Some(400)));
    // A transfer that starts over goes back.
    bars.show(&blob("sha256:bb", Phase::Downloading, 10, 100));
    bars.show(&blob("sha256:cc", Phase::Downloaded, 0, 300));
    assert_eq!((overall.position(), overall.length()), (310, Some(400)));
    assert_eq!(bars.layers[2].bar.message(), "Download complete");
    bars.finish();
    assert!(overall.is_finished() && bars.layers.is_empty());
}

#[test]
fn content_that_is_not_needed_has_no_bar() {
    let mut bars = Bars::on(Work::Pull, ProgressDrawTarget::hidden());
    bars.show(&blob("sha256:aa", Phase::Unavailable, 0, 500));
    assert!(bars.layers.is_empty() && bars.overall.is_none());
}

#[test]
fn a_push_counts_what_went_and_not_what_was_mounted() {
    let mut bars = Bars::on(Work::Push, ProgressDrawTarget::hidden());
    bars.show(&blob("sha256:aa", Phase::Mounted, 0, 500));
    bars.show(&blob("sha256:bb", Phase::Uploading, 40, 100));
    bars.show(&blob("sha256:cc", Phase::Uploaded, 0, 300));
    let overall = bars.overall.clone().unwrap();
    assert_eq!((overall.position(), overall.length()), (340, Some(400)));
}

#[test]
fn a_stream_that_is_counted_here_is_not_set_by_the_engine() {
    let content = |current, total| {
        Event::Content(ContentProgress {
            phase: Phase::Downloading,
            current,
            total,
        })
    };
    let mut told = Bars::on(Work::Commit, ProgressDrawTarget::hidden());
    told.show(&content(7, 0));
    told.show(&content(8, 10));
    let bar = told.stream.as_ref().unwrap().bar.clone();
    assert_eq!((bar.position(), bar.length()), (8, Some(10)));
    let mut counted = Bars::on(Work::Import, ProgressDrawTarget::hidden());
    let bar = counted.stream(Some(100));
    bar.inc(60);
    counted.show(&content(7, 0));
    assert_eq!((bar.position(), bar.length()), (60, Some(100)));
    counted.finish();
    assert!(bar.is_finished());
}
