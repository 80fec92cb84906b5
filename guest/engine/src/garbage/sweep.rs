//! Removing content that no name reaches.
//!
//! Others change names meanwhile, and `delete` stops when they do. What names reach is not found out again then: only
//! what is new among them is looked at, and the rest of the garbage goes on with the generation they were read at. So
//! whoever changes names all the time slows a sweep down, but does not stop it.

use std::collections::HashSet;

use strata_oci::Digest;

use super::mark::Marking;
use crate::{
    Engine, Error, Host, Result, Store, Target,
    catalog::{ReferrerName, Snapshot, Walk},
    naming::forsake_referrer,
};

/// Rounds in a row that may remove nothing because names changed before anything went. A round takes as long as
/// reading the names: only somebody who changes them faster than that, all the time, gets this far.
pub(crate) const IDLE_ROUNDS: usize = 64;

/// Blobs handed over at once: some three batches of the host's. With more, whoever changes names would be faster than
/// they are handed over.
const AT_ONCE: usize = 4096;

/// What a sweep may take.
pub(crate) enum Candidates {
    /// Every blob of the store.
    All,
    /// These blobs.
    Of(Vec<Digest>),
}

/// What a sweep took.
#[derive(Default)]
pub(crate) struct Swept {
    /// What is really gone, with sizes: leased blobs stay.
    pub(crate) gone: Vec<(Digest, u64)>,
    /// Why garbage stays, or what may be garbage, for people.
    pub(crate) kept: Option<String>,
    /// Whether it stays because names kept changing.
    pub(crate) is_raced: bool,
}

/// How far the removal of garbage got.
enum Round {
    /// Through all of it.
    Done,
    /// Until a name changed.
    Raced,
}

impl<H: Host> Engine<H> {
    /// Removes the candidates that no name reaches, other than through `except`, and
    /// referrers that came with what is not kept any more.
    ///
    /// When names change meanwhile it goes on with what the new ones do not reach either. If they change so fast that
    /// nothing goes for [`IDLE_ROUNDS`], what is left is left to the next prune.
    ///
    /// # Errors
    /// As the store's reads and `delete`, except `Conflict`.
    pub(crate) async fn sweep(
        &self,
        candidates: &Candidates,
        except: &HashSet<Digest>,
    ) -> Result<Swept> {
        let mut swept = Swept::default();
        let mut forsaken = HashSet::new();
        let mut known = None;
        let mut idle = 0;
        while idle < IDLE_ROUNDS {
            // Names first: what they reach must be known before anything goes at their generation.
            let snapshot = self.snapshot().await?;
            let marking = match &mut known {
                Some(marking) => marking,
                none => {
                    let candidates: HashSet<Digest> = match candidates {
                        Candidates::Of(blobs) => blobs.iter().chain(&forsaken).cloned().collect(),
                        Candidates::All => {
                            let blobs = self.store.blobs().await?.into_iter();
                            blobs.map(|(blob, _)| blob).collect()
                        }
                    };
                    none.insert(Marking::new(except, candidates))
                }
            };
            self.mark(marking, &snapshot).await?;
            if let Some(unknown) = marking.unknown() {
                swept.kept = Some(unknown.to_owned());
                return Ok(swept);
            }
            let referrers = marking.forsaken();
            if !referrers.is_empty() {
                match self.forsake(&snapshot, &referrers).await? {
                    // What they consisted of may be garbage now, if nothing else reaches it.
                    Some(content) => {
                        forsaken.extend(content);
                        known = None;
                        idle = 0;
                    }
                    None => idle += 1,
                }
                continue;
            }
            let before = swept.gone.len();
            let garbage = &mut marking.unmarked;
            let round = self
                .discard(garbage, snapshot.generation, &mut swept.gone)
                .await?;
            let is_idle = swept.gone.len() == before;
            match round {
                _ if garbage.is_empty() => return Ok(swept),
                // Nothing of it can go: it is leased.
                Round::Done if is_idle => return Ok(swept),
                Round::Raced if is_idle => idle += 1,
                // The last removal may have been cut short.
                Round::Done | Round::Raced => idle = 0,
            }
        }
        let left = known.map_or(0, |marking| marking.unmarked.len());
        swept.kept = Some(format!(
            "names kept changing, so {left} blobs that may not be needed stay; prune again when fewer change"
        ));
        swept.is_raced = true;
        Ok(swept)
    }

    /// Removes what an operation stored and does not need, as far as no name reaches it. Its lease
    /// must have ended. It is done by then, so this never fails: what stays, the next prune takes.
    pub(crate) async fn clear(&self, unneeded: Vec<Digest>) {
        if !unneeded.is_empty() {
            let candidates = Candidates::Of(unneeded);
            let _ = self.sweep(&candidates, &HashSet::new()).await;
        }
    }

    /// Removes of `garbage` what can go at this generation, and adds it to `gone`.
    ///
    /// # Errors
    /// As the store's `delete`, except `Conflict`.
    async fn discard(
        &self,
        garbage: &mut HashSet<Digest>,
        generation: u64,
        gone: &mut Vec<(Digest, u64)>,
    ) -> Result<Round> {
        let mut stays = Vec::new();
        let round = loop {
            let part: Vec<Digest> = garbage.iter().take(AT_ONCE).cloned().collect();
            if part.is_empty() {
                break Round::Done;
            }
            let removed = match self.store.delete(&part, generation).await {
                Err(Error::Conflict(_)) => break Round::Raced,
                removed => removed?,
            };
            for (digest, _) in &removed {
                garbage.remove(digest);
            }
            stays.extend(part.into_iter().filter(|digest| garbage.remove(digest)));
            gone.extend(removed);
        };
        // Leased, or left when a name changed: that may reach it.
        garbage.extend(stays);
        Ok(round)
    }

    /// Removes the names of referrers; what they consisted of. `None` if other names
    /// changed meanwhile.
    async fn forsake(
        &self,
        snapshot: &Snapshot,
        referrers: &[ReferrerName],
    ) -> Result<Option<Vec<Digest>>> {
        let targets = referrers.iter().map(|it| &it.target);
        let content = self.content_of(snapshot, targets).await?;
        let changes = referrers.iter().map(forsake_referrer).collect();
        let generation = Some(snapshot.generation);
        match self.store.apply(changes, generation).await {
            Ok(_) => Ok(Some(content)),
            Err(Error::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What these targets consist of, as far as it can be read.
    ///
    /// # Errors
    /// As the store's `stat_all`.
    pub(crate) async fn content_of(
        &self,
        snapshot: &Snapshot,
        targets: impl Iterator<Item = &Target>,
    ) -> Result<Vec<Digest>> {
        let targets: Vec<&Target> = targets.collect();
        let mut content: Vec<Digest> = targets.iter().map(|it| it.digest.clone()).collect();
        let mut walk = Walk::new(Some(snapshot.damage.clone()), targets);
        while let Some(visited) = self.advance(&mut walk).await? {
            for it in visited {
                let children = it.content.document().into_iter();
                let children = children.flat_map(|document| document.children());
                content.extend(children.map(|child| child.digest.clone()));
                content.push(it.digest.clone());
            }
        }
        Ok(content)
    }
}
