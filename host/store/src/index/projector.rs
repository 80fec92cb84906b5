//! The thread that keeps `index.json` up to date: coalesces changes, and notices those of other tools.

use std::time::Duration;

use super::synchronize;
use crate::lease::LeaseTable;
use crate::name::table::NameTable;
use crate::projection::Task;
use crate::reserve;

/// How often to look whether another tool changed `index.json`.
const WATCH: Duration = Duration::from_secs(2);
/// Pause after a projection that did not succeed.
const RETRY: Duration = Duration::from_secs(1);

/// Projects names as they change. Also sees to what others are to know of this process's leases, and to the
/// reserve: both want somebody who looks now and then.
pub(crate) fn run(names: &NameTable, leases: &LeaseTable, delay: Duration) {
    let (layout, projection) = (&names.layout, &names.projection);
    loop {
        let task = projection.next(layout, WATCH);
        if let Task::Stop = task {
            break;
        }
        if let Err(error) = leases.follow() {
            tracing::warn!(%error, "what this process uses cannot be said to others; trying again");
        }
        if let Task::Nothing = task {
            // There may be room again that somebody else made.
            reserve::keep(layout);
            continue;
        }
        // First wait: what changes in this time goes into the same projection.
        if !projection.wait(delay) {
            break;
        }
        if let Err(error) = synchronize(names) {
            tracing::warn!(%error, "index.json is out of date; trying again");
            projection.mark();
            if !projection.wait(RETRY) {
                break;
            }
        }
    }
    if projection.is_marked()
        && let Err(error) = synchronize(names)
    {
        tracing::warn!(%error, "index.json is out of date; the next start brings it up to date");
    }
}
