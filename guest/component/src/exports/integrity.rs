//! `integrity`: check and repair.

use std::collections::HashMap;

use strata_engine::{CheckReport, Error, Fault, FaultKind, Mended, Outcome, RegistryAuth, Result};
use strata_oci::Descriptor;
use wit_bindgen::{FutureReader, StreamReader};

use super::{Exports, running};
use crate::{
    bindings::{
        exports::strata::image::integrity,
        strata::image::{progress, types},
    },
    convert, engine,
};

impl integrity::Guest for Exports {
    async fn check(
        quick: bool,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<integrity::Report, types::Error>>,
    ) {
        let work =
            async move |progress: &running::Queue| engine().check_store(quick, progress).await;
        running::start(work, report)
    }

    async fn repair(
        faults: Vec<integrity::Fault>,
        credentials: Vec<(String, types::RegistryAuth)>,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<Vec<integrity::Mended>, types::Error>>,
    ) {
        let work = async move |progress: &running::Queue| {
            let faults = faults.into_iter().map(fault_from_wit);
            let faults: Vec<Fault> = faults.collect::<Result<_>>()?;
            let credentials = credentials.into_iter();
            let credentials: HashMap<String, RegistryAuth> = credentials
                .map(|(domain, auth)| (domain, convert::auth_from_wit(auth)))
                .collect();
            engine().repair(&faults, &credentials, progress).await
        };
        running::start(work, |mended| {
            mended.into_iter().map(mended_to_wit).collect()
        })
    }
}

fn report(report: CheckReport) -> integrity::Report {
    let affected = report.affected.into_iter();
    integrity::Report {
        blobs: report.blobs,
        bytes: report.bytes,
        targets: report.targets,
        faults: report.faults.into_iter().map(fault_to_wit).collect(),
        affected: affected
            .map(|affected| integrity::Affected {
                namespace: affected.namespace,
                names: affected.names,
                target: affected.target.to_string(),
                faults: affected.faults.iter().map(ToString::to_string).collect(),
            })
            .collect(),
    }
}

fn fault_to_wit(fault: Fault) -> integrity::Fault {
    integrity::Fault {
        digest: fault.blob.digest.to_string(),
        size: fault.blob.size,
        media_type: fault.blob.media_type,
        kind: match fault.kind {
            FaultKind::Damaged => integrity::FaultKind::Damaged,
            FaultKind::Missing => integrity::FaultKind::Missing,
            FaultKind::Invalid => integrity::FaultKind::Invalid,
        },
        reason: fault.reason,
        sources: fault.sources,
    }
}

fn fault_from_wit(fault: integrity::Fault) -> Result<Fault> {
    let digest = convert::digest_from_wit(&fault.digest)
        .map_err(|error| Error::InvalidArgument(error.to_string()))?;
    Ok(Fault {
        blob: Descriptor::new(fault.media_type, digest, fault.size),
        kind: match fault.kind {
            integrity::FaultKind::Damaged => FaultKind::Damaged,
            integrity::FaultKind::Missing => FaultKind::Missing,
            integrity::FaultKind::Invalid => FaultKind::Invalid,
        },
        reason: fault.reason,
        sources: fault.sources,
    })
}

fn mended_to_wit(mended: Mended) -> integrity::Mended {
    integrity::Mended {
        digest: mended.digest.to_string(),
        outcome: match mended.outcome {
            Outcome::Repaired(from) => integrity::Outcome::Repaired(from),
            Outcome::Quarantined(reason) => integrity::Outcome::Quarantined(reason),
            Outcome::Unrepaired(reason) => integrity::Outcome::Unrepaired(reason),
        },
    }
}
