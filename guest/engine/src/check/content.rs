//! Every blob against its digest.

use std::cmp::Reverse;

use futures::{StreamExt as _, stream};
use strata_oci::Digest;

use super::{Fault, FaultKind, Faults, unreferenced};
use crate::{ContentProgress, Engine, Event, Host, Phase, Progress, Result, Store, Verdict};

/// Blobs hashed at once: enough for the processors of a large machine. Where there are fewer, they take turns.
const PARALLEL: usize = 16;

impl<H: Host> Engine<H> {
    /// Hashes all of `blobs`, the largest first, so that the last to end is a short one.
    pub(super) async fn verify_all(
        &self,
        blobs: &[(Digest, u64)],
        faults: &mut Faults,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut order: Vec<&(Digest, u64)> = blobs.iter().collect();
        order.sort_by_key(|(_, size)| Reverse(*size));
        let total = blobs.iter().map(|(_, size)| size).sum();
        let report = |current| {
            progress.report(Event::Content(ContentProgress {
                phase: Phase::Verifying,
                current,
                total,
            }));
        };
        report(0);
        let verdicts = order
            .into_iter()
            .map(|(digest, size)| async move { (digest, *size, self.store.verify(digest).await) });
        let mut verdicts = stream::iter(verdicts).buffer_unordered(PARALLEL);
        let mut current = 0;
        while let Some((digest, size, verdict)) = verdicts.next().await {
            current += size;
            report(current);
            let reason = match verdict {
                // Removed meanwhile: whether it is missed, its names tell.
                Ok(Verdict::Intact(_) | Verdict::Absent) => continue,
                Ok(Verdict::Damaged(reason)) => reason,
                Err(error) => return Err(error),
            };
            let fault = Fault::new(unreferenced(digest), FaultKind::Damaged, reason);
            faults.insert(digest.clone(), fault);
        }
        Ok(())
    }
}
