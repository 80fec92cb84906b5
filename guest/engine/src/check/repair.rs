//! Fetching exactly what is wrong.

use std::collections::HashMap;

use strata_oci::{Digest, Reference};

use super::{Fault, FaultKind};
use crate::{Engine, Error, Host, Progress, RegistryAuth, Result, Store, Verdict};

/// How mending a blob went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Fetched again from this repository.
    Repaired(String),
    /// Not to be had, for this reason; the damaged bytes were moved away.
    Quarantined(String),
    /// As it was, for this reason.
    Unrepaired(String),
}

/// A blob and how mending it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The blob.
    pub digest: Digest,
    /// How it went.
    pub outcome: Outcome,
}

impl<H: Host> Engine<H> {
    /// Fetches the blobs with these faults again; `credentials` are by registry domain.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; what a registry does not give is no error.
    pub async fn repair(
        &self,
        faults: &[Fault],
        credentials: &HashMap<String, RegistryAuth>,
        progress: &dyn Progress,
    ) -> Result<Vec<Mended>> {
        let mut mended = Vec::with_capacity(faults.len());
        for fault in faults {
            mended.push(Mended {
                digest: fault.blob.digest.clone(),
                outcome: self.mend(fault, credentials, progress).await?,
            });
        }
        Ok(mended)
    }

    async fn mend(
        &self,
        fault: &Fault,
        credentials: &HashMap<String, RegistryAuth>,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let digest = &fault.blob.digest;
        if fault.kind == FaultKind::Invalid {
            return Ok(Outcome::Unrepaired(
                "the bytes are those of the digest, so no registry has better ones; remove the image"
                    .to_owned(),
            ));
        }
        // It may have been mended meanwhile, by a pull for example; the mark counts.
        if fault.kind == FaultKind::Damaged
            && let Ok(Verdict::Intact(_)) = self.store.verify(digest).await
        {
            return Ok(Outcome::Repaired("another operation".to_owned()));
        }
        let mut reason = "no repository is known to have it".to_owned();
        for source in &fault.sources {
            if fault.blob.media_type.is_empty() {
                reason = "nothing refers to it".to_owned();
                break;
            }
            let Ok(reference) = Reference::parse(source) else {
                continue;
            };
            let reference = reference.with_digest(digest.clone());
            let auth = credentials.get(reference.domain());
            let auth = auth.cloned().unwrap_or_default();
            match self
                .fetch_again(&reference, &fault.blob, &auth, progress)
                .await
            {
                Ok(()) => return Ok(Outcome::Repaired(source.clone())),
                Err(error @ (Error::NoSpace(_) | Error::Cancelled)) => return Err(error),
                Err(error) => reason = error.to_string(),
            }
        }
        if fault.kind == FaultKind::Missing {
            return Ok(Outcome::Unrepaired(reason));
        }
        match self.store.quarantine(digest).await {
            Ok(()) => Ok(Outcome::Quarantined(reason)),
            Err(error @ Error::NoSpace(_)) => Err(error),
            Err(error) => Ok(Outcome::Unrepaired(format!("{reason}; {error}"))),
        }
    }
}
