//! Blobs that go in one request each, and manifests.

use super::{
    CUT, House,
    Outcome::{Doubtful, Fails, Succeeds},
    REGISTRYS_WORDS,
    Size::{Index, Large, Small},
    always, once,
};
use anyhow::Result;
use strata_tests::fault::Phase::{self, BlobHead, Finish, Head, Publish, Upload};
use strata_tests::fault::{Fault, Rule};
use strata_tests::layer::sha256;

/// What a push of small blobs asks for, in order.
const PHASES: [Phase; 5] = [Head, BlobHead, Upload, Finish, Publish];

/// Whether a refusal tells nothing: who may only write is refused every look.
fn is_look(phase: Phase) -> bool {
    matches!(phase, Head | BlobHead)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_at_any_phase_is_reported_and_leaves_no_tag() -> Result<()> {
    let mut cases = Vec::new();
    for phase in PHASES {
        for (status, code, words) in [
            (
                401,
                "UNAUTHORIZED",
                &["unauthorized", "authentication", "401"][..],
            ),
            (403, "DENIED", &["denied", "forbidden", "403"]),
            (404, "NAME_UNKNOWN", &["not found", "404", "unknown"]),
            (405, "UNSUPPORTED", &["405", "not allowed", "unsupported"]),
            (413, "SIZE_INVALID", &["413", "too large"]),
            (500, "UNKNOWN", &["500", "internal server error"]),
            (503, "UNAVAILABLE", &["503", "unavailable"]),
        ] {
            let unseen = is_look(phase) && matches!(status, 401 | 403 | 404 | 405);
            let expected = if unseen { Succeeds } else { Fails(words) };
            for (form, fault) in [
                ("bare", Fault::status(status)),
                ("explained", Fault::error(status, code, REGISTRYS_WORDS)),
            ] {
                let name = format!("{status}, {form}, at {phase:?}");
                cases.push((name, Small, vec![always(phase, fault)], expected));
            }
        }
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_waited_out() -> Result<()> {
    let mut cases = Vec::new();
    for phase in PHASES {
        for (what, fault) in [
            ("hangs up", Fault::HangUp),
            ("is cut in its head", Fault::CutHead(20)),
            ("is cut after its head", Fault::LyingLength(10)),
            ("is cut before its body was read", Fault::CutRequest(0)),
            ("answers 500", Fault::status(500)),
            ("answers 503", Fault::status(503)),
        ] {
            let name = format!("{phase:?} {what} twice");
            let rule = Rule::new(phase, fault).times(2);
            cases.push((name, Small, vec![rule], Succeeds));
        }
        for (what, after) in [
            ("a second", Some("1")),
            ("nothing", None),
            ("nonsense", Some("soon")),
        ] {
            let fault = Fault::too_many_requests(after);
            let name = format!("429 with {what} at {phase:?}");
            cases.push((name, Small, vec![once(phase, fault)], Succeeds));
        }
        let words: &[&str] = &["too many requests", "toomanyrequests", "429"];
        let fault = Fault::too_many_requests(Some("0"));
        let name = format!("429 for ever at {phase:?}");
        cases.push((name, Small, vec![always(phase, fault)], Fails(words)));
        let fault = Fault::too_many_requests(Some("86400"));
        let name = format!("429 until tomorrow at {phase:?}");
        cases.push((name, Small, vec![always(phase, fault)], Fails(words)));
    }
    for phase in [Head, Publish] {
        let name = format!("{phase:?} of an index and its manifests answers 500 twice");
        let rule = Rule::new(phase, Fault::status(500)).times(2);
        cases.push((name, Index, vec![rule], Succeeds));
    }
    for (name, size) in [
        ("nothing wrong, with a token", Index),
        ("tokens that expire after two requests", Large),
    ] {
        cases.push((name.to_owned(), size, Vec::new(), Succeeds));
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_for_ever_is_reported() -> Result<()> {
    let mut cases = Vec::new();
    for phase in PHASES {
        let cut = always(phase, Fault::CutRequest(0));
        cases.push((format!("{phase:?} is cut"), Small, vec![cut], Fails(CUT)));
    }
    for (what, fault) in [
        ("hangs up", Fault::HangUp),
        ("is cut in its head", Fault::CutHead(9)),
    ] {
        // It was done, only its answer is lost.
        let lost = || vec![always(Finish, fault.clone())];
        cases.push((format!("Finish {what}"), Small, lost(), Succeeds));
        cases.push((format!("Finish {what}"), Large, lost(), Succeeds));
        let lost = vec![always(Publish, fault.clone())];
        cases.push((format!("Publish {what}"), Small, lost, Doubtful(CUT)));
        let lost = vec![always(Upload, fault)];
        cases.push((format!("Upload {what}"), Small, lost, Fails(CUT)));
    }
    House::new().await?.cases(cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_digest_and_unusable_addresses_are_errors() -> Result<()> {
    let other = || Fault::With("Docker-Content-Digest", sha256(b"another"));
    let to = |location: &str| Fault::With("Location", location.to_owned());
    let refused = |code| Fault::error(400, code, REGISTRYS_WORDS);
    let address: &[&str] = &["address", "redirect", "scheme"];
    let (digest, manifest): (&[&str], &[&str]) = (&["digest"], &["manifest"]);
    let mut cases = Vec::new();
    for (name, size, rule, expected) in [
        (
            "a blob gets another digest",
            Small,
            always(Finish, other()),
            Fails(digest),
        ),
        (
            "a manifest gets another digest",
            Small,
            always(Publish, other()),
            Doubtful(digest),
        ),
        (
            "a child gets another digest",
            Index,
            once(Publish, other()),
            Fails(digest),
        ),
        (
            "no address",
            Small,
            always(Upload, Fault::Without("Location")),
            Fails(&["where"]),
        ),
        (
            "an address of no use",
            Small,
            always(Upload, to("ftp://x/y")),
            Fails(address),
        ),
        (
            "nobody there",
            Small,
            always(Upload, to("http://127.0.0.1:1/u")),
            Fails(&["refused"]),
        ),
        (
            "a blob is damaged once",
            Small,
            once(Finish, refused("DIGEST_INVALID")),
            Succeeds,
        ),
        (
            "a blob is damaged",
            Small,
            always(Finish, refused("DIGEST_INVALID")),
            Fails(&[]),
        ),
        (
            "a bad manifest",
            Small,
            always(Publish, refused("MANIFEST_INVALID")),
            Fails(manifest),
        ),
        (
            "a bad type",
            Index,
            always(Publish, Fault::status(415)),
            Fails(manifest),
        ),
        (
            "a bad tag",
            Small,
            always(Publish, refused("TAG_INVALID")),
            Fails(&[]),
        ),
    ] {
        cases.push((name.to_owned(), size, vec![rule], expected));
    }
    for phase in PHASES {
        let name = format!("{phase:?} redirects to itself");
        let rule = always(phase, Fault::RedirectToSelf);
        cases.push((name, Small, vec![rule], Fails(address)));
    }
    House::new().await?.cases(cases).await
}
