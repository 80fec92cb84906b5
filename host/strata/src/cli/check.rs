//! `strata check`.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::bail;
use serde_json::{Value, json};
use strata::Engine;
use strata::types::{Fault, FaultKind, Mended, MendedOutcome, Report};

use super::arguments::Check;
use super::credential_helper::Helpers;
use super::credentials::Sources;
use super::reference::{registry, short_digest};
use super::shown::Shown;
use super::terminal::{Terminal, printable};
use super::wording::Work;
use super::{Outcome, size, table};

/// Characters of an ID or digest in a table.
const SHORT: usize = 12;

/// How the store stands in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Clean,
    Repaired,
    Damaged,
}

/// What was found, and what was done about it.
struct Examined {
    report: Report,
    /// By digest; `None` if nothing was to be done.
    mended: Option<HashMap<String, MendedOutcome>>,
}

/// Checks the store, repairs what can be, and prints both.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Check,
    stored: &Sources,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let format = arguments.printing.format;
    let shown = Shown::new(Work::Check, format, arguments.quiet, terminal);
    let examined = async {
        let report = engine.check(arguments.quick, shown.listener()).await?;
        let mended = match arguments.repair && !report.faults.is_empty() {
            true => {
                let credentials = credentials(&report.faults, stored, terminal).await?;
                let faults = report.faults.clone();
                let mended = engine.repair(faults, credentials, shown.listener());
                Some(mended.await?.into_iter().map(by_digest).collect())
            }
            false => None,
        };
        Ok(Examined { report, mended })
    }
    .await;
    let examined = shown.conclude(examined, object, text)?;
    Ok(match examined.verdict() {
        Verdict::Clean => Outcome::Done,
        Verdict::Repaired => Outcome::Repaired,
        Verdict::Damaged => Outcome::Damaged,
    })
}

/// Refuses a folder that no store is in: looking at a store must not make one.
///
/// # Errors
/// If there is nothing of a store, or it cannot be told.
pub(crate) fn refuse_no_store(store: &Path) -> anyhow::Result<()> {
    // A layout of another tool has no `.strata` yet; of a damaged store any of these may be gone.
    for part in ["oci-layout", "index.json", "blobs", ".strata"] {
        let path = store.join(part);
        match path.try_exists() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => {
                let context = format!("cannot look at {}", path.display());
                return Err(anyhow::Error::new(error).context(context));
            }
        }
    }
    bail!(
        "there is no store at {}; name it with --store",
        store.display()
    )
}

/// What the docker CLI has stored for each registry that may have what is needed.
async fn credentials(
    faults: &[Fault],
    stored: &Sources,
    terminal: &Terminal,
) -> anyhow::Result<Vec<(String, strata::types::RegistryAuth)>> {
    let sources = faults.iter().flat_map(|fault| &fault.sources);
    let registries: BTreeSet<String> = sources.map(|source| registry(source)).collect();
    let helpers = Helpers::default();
    let mut credentials = Vec::with_capacity(registries.len());
    for registry in registries {
        let auth = stored.credentials(&registry, &helpers, terminal).await?;
        credentials.push((registry, auth));
    }
    Ok(credentials)
}

fn by_digest(mended: Mended) -> (String, MendedOutcome) {
    (mended.digest, mended.outcome)
}

impl Examined {
    fn verdict(&self) -> Verdict {
        if self.report.faults.is_empty() {
            return Verdict::Clean;
        }
        let affected = self.report.affected.iter();
        let is_needed = |digest: &str| {
            affected
                .clone()
                .any(|it| it.faults.iter().any(|d| d == digest))
        };
        let is_mended = |fault: &Fault| match self.outcome(&fault.digest) {
            Some(MendedOutcome::Repaired(_)) => true,
            Some(MendedOutcome::Quarantined(_)) => !is_needed(&fault.digest),
            Some(MendedOutcome::Unrepaired(_)) | None => false,
        };
        match self.report.faults.iter().all(is_mended) {
            true => Verdict::Repaired,
            false => Verdict::Damaged,
        }
    }

    fn outcome(&self, digest: &str) -> Option<&MendedOutcome> {
        self.mended.as_ref()?.get(digest)
    }
}

/// One row for each blob an image or container lacks, then what was done, then the sum.
fn text(examined: &Examined) -> String {
    let report = &examined.report;
    let mut rows = vec![["NAME", "TARGET", "BLOB", "FAULT", "WHY"].map(str::to_owned)];
    let by_digest: HashMap<&str, &Fault> = report
        .faults
        .iter()
        .map(|fault| (fault.digest.as_str(), fault))
        .collect();
    let mut named: HashMap<&str, ()> = HashMap::new();
    for affected in &report.affected {
        let more = affected.names.len().saturating_sub(1);
        let first = affected.names.first().map_or("", String::as_str);
        let name = match more {
            0 => printable(first),
            _ => format!("{} and {more} more", printable(first)),
        };
        for digest in &affected.faults {
            let Some(fault) = by_digest.get(digest.as_str()) else {
                continue;
            };
            named.insert(digest, ());
            rows.push(row(&name, short_digest(&affected.target), fault));
        }
    }
    for fault in &report.faults {
        if !named.contains_key(fault.digest.as_str()) {
            rows.push(row("<none>", "", fault));
        }
    }
    let mut text = String::new();
    if rows.len() > 1 {
        text.push_str(&table::layout(&rows));
        text.push('\n');
    }
    for fault in &report.faults {
        let done = match examined.outcome(&fault.digest) {
            Some(MendedOutcome::Repaired(from)) => format!("repaired, from {from}"),
            Some(MendedOutcome::Quarantined(why)) => format!("quarantined: {}", printable(why)),
            Some(MendedOutcome::Unrepaired(why)) => format!("not repaired: {}", printable(why)),
            None => continue,
        };
        text.push_str(&format!("{}: {done}\n", fault.digest));
    }
    let faults = match report.faults.len() {
        0 => "no faults".to_owned(),
        1 => "1 fault".to_owned(),
        many => format!("{many} faults"),
    };
    let verdict = match examined.verdict() {
        Verdict::Clean => "clean",
        Verdict::Repaired => "repaired",
        Verdict::Damaged if examined.mended.is_some() => "damaged",
        Verdict::Damaged => "damaged; add --repair to fetch what registries have",
    };
    text.push_str(&format!(
        "{} blobs, {}, {} images and containers: {faults}, {verdict}\n",
        report.blobs,
        size::total(report.bytes),
        report.targets
    ));
    text
}

fn row(name: &str, target: &str, fault: &Fault) -> [String; 5] {
    [
        name.to_owned(),
        table::shorten(target, SHORT),
        short_digest(&fault.digest).to_owned(),
        kind(fault.kind).to_owned(),
        printable(&fault.reason),
    ]
}

fn kind(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Damaged => "damaged",
        FaultKind::Missing => "missing",
        FaultKind::Invalid => "invalid",
    }
}

fn object(examined: &Examined) -> Value {
    let report = &examined.report;
    let faults = report.faults.iter().map(|fault| {
        let outcome = examined
            .outcome(&fault.digest)
            .map(|outcome| match outcome {
                MendedOutcome::Repaired(from) => json!({ "repaired": from }),
                MendedOutcome::Quarantined(why) => json!({ "quarantined": why }),
                MendedOutcome::Unrepaired(why) => json!({ "unrepaired": why }),
            });
        json!({
            "digest": fault.digest,
            "size": fault.size,
            "media-type": fault.media_type,
            "kind": kind(fault.kind),
            "reason": fault.reason,
            "sources": fault.sources,
            "outcome": outcome,
        })
    });
    let affected = report.affected.iter().map(|affected| {
        json!({
            "namespace": affected.namespace,
            "names": affected.names,
            "target": affected.target,
            "faults": affected.faults,
        })
    });
    json!({
        "verdict": match examined.verdict() {
            Verdict::Clean => "clean",
            Verdict::Repaired => "repaired",
            Verdict::Damaged => "damaged",
        },
        "blobs": report.blobs,
        "bytes": report.bytes,
        "targets": report.targets,
        "faults": faults.collect::<Vec<_>>(),
        "affected": affected.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata::types::Affected;

    fn examined(outcome: Option<MendedOutcome>, needed: bool) -> Examined {
        let digest = "sha256:0123456789abcdef".to_owned();
        let fault = Fault {
            digest: digest.clone(),
            size: 5,
            media_type: String::new(),
            kind: FaultKind::Damaged,
            reason: "other bytes".to_owned(),
            sources: Vec::new(),
        };
        let affected = Affected {
            namespace: "images".to_owned(),
            names: vec!["one:1".to_owned(), "two:1".to_owned()],
            target: "sha256:fedcba9876543210".to_owned(),
            faults: vec![digest.clone()],
        };
        Examined {
            report: Report {
                blobs: 3,
                bytes: 1000,
                targets: 1,
                faults: vec![fault],
                affected: needed.then_some(affected).into_iter().collect(),
            },
            mended: outcome.map(|outcome| HashMap::from([(digest, outcome)])),
        }
    }

    #[test]
    fn the_verdict_is_what_is_left_of_the_faults() {
        let why = || "gone".to_owned();
        for (outcome, needed, verdict) in [
            (None, true, Verdict::Damaged),
            (
                Some(MendedOutcome::Repaired(why())),
                true,
                Verdict::Repaired,
            ),
            (
                Some(MendedOutcome::Quarantined(why())),
                true,
                Verdict::Damaged,
            ),
            (
                Some(MendedOutcome::Quarantined(why())),
                false,
                Verdict::Repaired,
            ),
            (
                Some(MendedOutcome::Unrepaired(why())),
                false,
                Verdict::Damaged,
            ),
        ] {
            assert_eq!(examined(outcome, needed).verdict(), verdict);
        }
    }

    #[test]
    fn a_folder_without_a_store_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("typo");
        for path in [nowhere.as_path(), folder.path()] {
            let error = refuse_no_store(path).unwrap_err().to_string();
            let expected = format!("there is no store at {};", path.display());
            assert!(error.starts_with(&expected), "{error}");
        }
        assert!(!nowhere.exists());
        for part in ["oci-layout", "index.json", "blobs", ".strata"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join(part)).unwrap();
            refuse_no_store(folder.path()).unwrap();
        }
    }

    #[test]
    fn people_see_a_table_what_was_done_and_a_sum() {
        let outcome = MendedOutcome::Repaired("docker.io/library/one".to_owned());
        let expected = "\
NAME               TARGET         BLOB           FAULT     WHY
one:1 and 1 more   fedcba987654   0123456789ab   damaged   other bytes

sha256:0123456789abcdef: repaired, from docker.io/library/one
3 blobs, 1kB, 1 images and containers: 1 fault, repaired
";
        assert_eq!(text(&examined(Some(outcome), true)), expected);
    }
}
