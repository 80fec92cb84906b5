//! A blob that goes in chunks: cuts, lies about offsets, uploads and blobs that are lost.

use super::{
    CUT, Case, House,
    Outcome::{self, Fails, Succeeds},
    Size::{Index, Large, Small},
    always, once,
};
use anyhow::Result;
use strata_tests::fault::Fault::{
    self, CutRequest, HangUp, LoseBlobs, LoseUpload, LyingLength, With, Without,
};
use strata_tests::fault::Phase::{BlobHead, Chunk, Finish, Publish, UploadStatus};
use strata_tests::fault::Rule;

const MIB: usize = 1 << 20;

/// Cases with the large image.
fn large(cases: Vec<(&str, Vec<Rule>, Outcome)>) -> Vec<Case> {
    let named = cases.into_iter();
    named
        .map(|(name, script, expected)| (name.to_owned(), Large, script, expected))
        .collect()
}

/// A rule for every chunk.
fn each(fault: Fault) -> Vec<Rule> {
    vec![always(Chunk, fault)]
}

/// A rule for the first chunk.
fn first(fault: Fault) -> Vec<Rule> {
    vec![once(Chunk, fault)]
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_go_on_through_cuts_and_refusals() -> Result<()> {
    let asks = |rule| vec![once(Chunk, CutRequest(MIB)), rule];
    let twice = Rule::new(Chunk, Fault::status(500)).times(2);
    let unsure = Rule::new(UploadStatus, Fault::status(500)).times(2);
    let wait = Fault::too_many_requests(Some("1"));
    let cases = large(vec![
        ("one is cut", first(CutRequest(3 * MIB)), Succeeds),
        (
            "each is cut in the middle",
            each(CutRequest(3 * MIB)),
            Succeeds,
        ),
        ("each is cut at its start", each(CutRequest(0)), Fails(CUT)),
        (
            "the end is cut",
            vec![once(Finish, CutRequest(0))],
            Succeeds,
        ),
        ("one answer is lost", first(HangUp), Succeeds),
        ("each answer is lost", each(HangUp), Succeeds),
        (
            "each answer is cut after its head",
            each(LyingLength(9)),
            Succeeds,
        ),
        (
            "cut, and how far cannot be asked for a while",
            asks(unsure),
            Succeeds,
        ),
        (
            "cut, and how far can never be asked",
            asks(always(UploadStatus, Fault::status(500))),
            Fails(&["500", "internal server error"]),
        ),
        (
            "there are no chunks: 405",
            each(Fault::status(405)),
            Succeeds,
        ),
        (
            "there are no chunks: 501",
            each(Fault::status(501)),
            Succeeds,
        ),
        (
            "denied",
            each(Fault::status(403)),
            Fails(&["denied", "403"]),
        ),
        (
            "too large",
            each(Fault::status(413)),
            Fails(&["413", "too large"]),
        ),
        ("two answer 500", vec![twice], Succeeds),
        (
            "each answers 500",
            each(Fault::status(500)),
            Fails(&["500"]),
        ),
        ("one is to wait", first(wait), Succeeds),
        (
            "no range fits",
            each(Fault::status(416)),
            Fails(&["chunk", "416"]),
        ),
    ]);
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_offsets_never_make_a_wrong_blob() -> Result<()> {
    let range = |value: &str| With("Range", value.to_owned());
    let mut cases = Vec::new();
    for lie in [
        "0-99999999999",
        "0-8400000",
        "0-99",
        "0-0",
        "5-7",
        "garbage",
        "",
        "0-18446744073709551615",
    ] {
        let cut = vec![
            once(Chunk, CutRequest(3 * MIB)),
            once(UploadStatus, range(lie)),
        ];
        for (when, script) in [
            ("one chunk", first(range(lie))),
            ("each chunk", each(range(lie))),
            ("after a cut, the upload", cut),
        ] {
            cases.push((format!("{when} says {lie:?}"), Large, script, Succeeds));
        }
    }
    let stuck = vec![
        always(Chunk, range("0-99")),
        always(UploadStatus, range("0-99")),
    ];
    cases.extend(large(vec![
        ("no chunk says anything", each(Without("Range")), Succeeds),
        (
            "it always says 100 bytes",
            stuck,
            Fails(&["bytes", "chunk"]),
        ),
    ]));
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_loses_is_sent_again() -> Result<()> {
    let lost: &[&str] = &["404", "not found", "unknown"];
    let mut cases = Vec::new();
    for (phase, size) in [(Chunk, Large), (Finish, Large), (Finish, Small)] {
        for (when, rule, expected) in [
            ("once", once(phase, LoseUpload), Succeeds),
            ("each time", always(phase, LoseUpload), Fails(lost)),
        ] {
            let name = format!("the upload is lost at {phase:?} {when}");
            cases.push((name, size, vec![rule], expected));
        }
    }
    let cut = vec![once(Chunk, CutRequest(9)), once(UploadStatus, LoseUpload)];
    cases.extend(large(vec![("the upload is lost by a cut", cut, Succeeds)]));
    let sent: &[&str] = &["blob unknown", "everything in it was sent"];
    for size in [Small, Large, Index] {
        for (name, rule, expected) in [
            ("blobs are lost once", once(Publish, LoseBlobs), Succeeds),
            (
                "blobs are lost each time",
                always(Publish, LoseBlobs),
                Fails(sent),
            ),
            (
                "every blob is claimed",
                always(BlobHead, Fault::status(200)),
                Succeeds,
            ),
        ] {
            cases.push((name.to_owned(), size, vec![rule], expected));
        }
    }
    House::new().await?.cases(cases).await
}
