//! Making containers.

use super::{
    model::{CreateOptions, Created},
    name,
    record::{Record, set},
};
use crate::{
    Clock, Engine, Error, Expectation, Host, Result, Store, Target,
    catalog::{Basis, Container},
    naming::{Decision, move_names},
};

impl<H: Host> Engine<H> {
    /// Creates a container. Nothing of its image is read but documents.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image, or not all of it;
    /// [`Error::PlatformMismatch`] if it is not here for the platform;
    /// [`Error::InvalidArgument`] if the image or the name does not parse, or neither
    /// options nor image say what to run; [`Error::Conflict`] if the name is taken;
    /// [`Error::QuotaExceeded`] if the config is too large.
    pub async fn create_container(&self, options: &CreateOptions) -> Result<Created> {
        let asked = options.name.as_deref();
        let asked = asked.filter(|name| !name.is_empty());
        let asked = asked.map(name::checked).transpose()?;
        let lease = self.store.acquire_lease().await?;
        // What was stored in a try that others were faster than is used in the next.
        let mut stored: Option<(Record, Target)> = None;
        move_names(&self.store, "container", async |_| {
            let platform = options.platform.as_ref();
            let basis = self.basis(&options.image, platform).await?;
            let snapshot = &basis.snapshot;
            let name = match asked {
                Some(name) => name.to_owned(),
                None => match &stored {
                    Some((record, _)) => record.name.clone(),
                    None => name::made_up(&self.clock, snapshot)?,
                },
            };
            let holder = snapshot.all_containers().find(|it| it.own_name == name);
            if let Some(holder) = holder {
                if asked.is_none() && stored.take().is_some() {
                    return Ok(Decision::Again);
                }
                return Err(Error::Conflict(format!(
                    "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                    holder.id
                )));
            }
            let same = |record: &Record| {
                record.image_id == basis.image.digest
                    && record.manifest.digest == basis.manifest.digest
            };
            let (record, target) = match stored.take().filter(|(record, _)| same(record)) {
                Some(stored) => stored,
                None => {
                    let id = name::id(&self.clock, snapshot, &name);
                    let record = record(id, name, options, &basis, self.clock.now())?;
                    let target = self.put_record(&record, &lease).await?;
                    (record, target)
                }
            };
            let (record, target) = stored.insert((record, target));
            let container = Container {
                id: record.id.clone(),
                own_name: record.name.clone(),
                target: target.clone(),
                image: record.image_id.clone(),
                name: record.image.clone(),
                running: false,
                created: 0,
            };
            Ok(Decision::Change {
                changes: vec![set(&container, target, Expectation::Absent)],
                generation: Some(snapshot.generation),
                then: Created {
                    id: container.id,
                    warnings: warnings(options, &basis, &self.settings.platform),
                },
            })
        })
        .await
    }
}

fn record(
    id: String,
    name: String,
    options: &CreateOptions,
    basis: &Basis,
    now: (i64, u32),
) -> Result<Record> {
    let mut config = options.config.clone();
    if let Some(base) = &basis.config.config {
        config.inherit(base);
    }
    config.check().map_err(Error::over)?;
    let empty = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
    if empty(&config.entrypoint) && empty(&config.cmd) {
        return Err(Error::InvalidArgument("no command specified".to_owned()));
    }
    let mut manifest = basis.manifest.clone();
    manifest.platform = Some(basis.platform.clone());
    Ok(Record {
        id,
        name,
        created: now,
        image: options.image.clone(),
        image_id: basis.image.digest.clone(),
        manifest,
        platform: basis.platform.clone(),
        config,
        host_config: options.host_config.clone(),
        networking_config: options.networking_config.clone(),
    })
}

/// What dockerd says when an image was made for another machine and nobody asked for it.
fn warnings(options: &CreateOptions, basis: &Basis, host: &strata_oci::Platform) -> Vec<String> {
    let suits = host.rank(&basis.platform).is_some();
    if suits || options.platform.is_some() {
        return Vec::new();
    }
    vec![format!(
        "The requested image's platform ({}) does not match the detected host platform ({}) and no specific platform was requested",
        basis.platform.format(),
        host.format()
    )]
}
