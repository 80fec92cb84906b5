//! One operation and all who do it: strata's ways, and the peers'.

use crate::peer::Run;
use crate::table::{Samples, Table, mib, time};
use anyhow::Result;
use std::time::Duration;

/// The bound on strata's peak memory, whatever it does.
const PEAK_TARGET: &str = "≤ 96 MiB";

/// Wall times and the highest peak of one contender.
#[derive(Debug, Default)]
pub(crate) struct Contender {
    pub(crate) wall: Samples,
    pub(crate) peak: u64,
}

impl Contender {
    pub(crate) fn add(&mut self, run: Run) {
        self.wall.add(run.wall);
        self.peak = self.peak.max(run.peak);
    }
}

/// What is measured, and of whom.
#[derive(Debug)]
pub(crate) struct Contest {
    what: String,
    target: &'static str,
    ours: Vec<(&'static str, Contender)>,
    peers: Vec<(&'static str, Contender)>,
    /// Peers that failed once: they are not tried again.
    out: Vec<(&'static str, String)>,
}

impl Contest {
    pub(crate) fn new(what: &str, target: &'static str) -> Self {
        Self {
            what: what.to_owned(),
            target,
            ours: Vec::new(),
            peers: Vec::new(),
            out: Vec::new(),
        }
    }

    /// A run of strata in one of its ways.
    pub(crate) fn ours(&mut self, way: &'static str, run: Run) {
        eprintln!("  {}, {way}: {}", self.what, time(run.wall));
        entry(&mut self.ours, way).add(run);
    }

    /// A run of a peer, or why there was none: a peer's failure is noted and does not end the bench.
    pub(crate) fn peer(&mut self, name: &'static str, run: Result<Run>) {
        match run {
            Ok(run) => {
                eprintln!("  {}, {name}: {}", self.what, time(run.wall));
                entry(&mut self.peers, name).add(run);
            }
            Err(error) => {
                eprintln!("  {}, {name}: {error:#}", self.what);
                self.out.push((name, format!("{error:#}")));
            }
        }
    }

    /// The median of one of strata's ways, if it was measured.
    pub(crate) fn of_ours(&self, way: &str) -> Option<Duration> {
        let found = self.ours.iter().find(|(known, _)| *known == way);
        found.map(|(_, contender)| contender.wall.median())
    }

    /// Whether a peer has not failed yet.
    pub(crate) fn is_in(&self, name: &str) -> bool {
        self.out.iter().all(|(out, _)| *out != name)
    }

    /// Adds the rows: times beside every peer's, then peaks.
    pub(crate) fn show(&self, table: &mut Table) {
        for (name, reason) in &self.out {
            let reason = reason.lines().last().unwrap_or_default();
            table.note(&format!(
                "{}: {name} could not take part: {reason}",
                self.what
            ));
        }
        if self.ours.is_empty() {
            return table.row(
                &self.what,
                "not served by this build".to_owned(),
                String::new(),
                self.target,
            );
        }
        for (way, contender) in &self.ours {
            let ours = contender.wall.median();
            let beside = self.peers.iter().map(|(name, peer)| {
                let theirs = peer.wall.median();
                let ratio = ours.as_secs_f64() / theirs.as_secs_f64().max(f64::EPSILON);
                format!("{name} {} → {ratio:.2} ×", time(theirs))
            });
            let beside: Vec<String> = beside.collect();
            table.row(
                &format!("{}, {way}", self.what),
                time(ours),
                beside.join("; "),
                self.target,
            );
        }
        // A peer's daemon is not watched: only of commands that do the work themselves is the peak known.
        let beside = self.peers.iter().filter(|(_, peer)| peer.peak > 0);
        let beside: Vec<String> = beside
            .map(|(name, peer)| format!("{name} {}", mib(peer.peak)))
            .collect();
        for (way, contender) in &self.ours {
            let what = format!("peak memory of that, {way}");
            table.row(&what, mib(contender.peak), beside.join(", "), PEAK_TARGET);
        }
    }
}

fn entry<'a>(
    list: &'a mut Vec<(&'static str, Contender)>,
    name: &'static str,
) -> &'a mut Contender {
    let at = list.iter().position(|(known, _)| *known == name);
    let at = at.unwrap_or_else(|| {
        list.push((name, Contender::default()));
        list.len() - 1
    });
    &mut list[at].1
}
