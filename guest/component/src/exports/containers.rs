//! `containers`: created, never run.

use strata_engine::{
    ChangeKind, ChangedPath, ContainerDetails, CopyInOptions, CreateOptions, FileKind, PathStat,
    Silent,
};
use wit_bindgen::{FutureReader, StreamReader};

use super::{Exports, running, sink};
use crate::{
    bindings::{
        exports::strata::image::containers,
        strata::image::{progress, types},
    },
    convert, engine,
    imports::WasiBody,
};

impl containers::Guest for Exports {
    async fn create(options: containers::CreateOptions) -> Result<String, types::Error> {
        let config = convert::config_from_wit(options.config).map_err(convert::error_to_wit)?;
        let options = CreateOptions {
            image: options.image,
            name: options.name,
            platform: options.platform.map(convert::platform_from_wit),
            config: config.unwrap_or_default(),
            ..CreateOptions::default()
        };
        let created = engine().create_container(&options).await;
        created.map(|it| it.id).map_err(convert::error_to_wit)
    }

    async fn list() -> Result<Vec<containers::Container>, types::Error> {
        let listed = engine().containers_in_full().await;
        let listed = listed.map_err(convert::error_to_wit)?;
        listed.into_iter().map(container_to_wit).collect()
    }

    async fn inspect(name: String) -> Result<containers::Container, types::Error> {
        let details = engine().container(&name, false).await;
        container_to_wit(details.map_err(convert::error_to_wit)?)
    }

    async fn remove(name: String) -> Result<(), types::Error> {
        let removed = engine().remove_container(&name).await;
        removed.map_err(convert::error_to_wit)
    }

    async fn stat(container: String, path: String) -> Result<containers::PathStat, types::Error> {
        let stat = engine().stat_path(&container, path.as_bytes()).await;
        stat.map(stat_to_wit).map_err(convert::error_to_wit)
    }

    async fn copy_out(
        container: String,
        path: String,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<(), types::Error>>), types::Error> {
        let work = async move |sink: &mut sink::Sink| {
            engine().copy_out(&container, path.as_bytes(), sink).await
        };
        sink::archive(work).await
    }

    async fn copy_in(
        container: String,
        path: String,
        archive: StreamReader<u8>,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<(), types::Error>>,
    ) {
        let body = WasiBody::of_caller(archive);
        let work = async move |progress: &running::Queue| {
            let options = CopyInOptions::default();
            let engine = engine();
            let path = path.as_bytes();
            engine
                .copy_in(&container, path, body, &options, progress)
                .await
        };
        running::start(work, |()| ())
    }

    async fn changes(container: String) -> Result<Vec<containers::ChangedPath>, types::Error> {
        match engine().changes(&container).await {
            Ok(changes) => Ok(changes.into_iter().map(change_to_wit).collect()),
            Err(error) => Err(convert::error_to_wit(error)),
        }
    }

    async fn export(
        container: String,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<(), types::Error>>), types::Error> {
        let work =
            async move |sink: &mut sink::Sink| engine().export(&container, sink, &Silent).await;
        sink::archive(work).await
    }
}

fn container_to_wit(details: ContainerDetails) -> Result<containers::Container, types::Error> {
    Ok(containers::Container {
        id: details.id,
        name: details.name,
        image: details.image,
        image_id: details.image_id.to_string(),
        platform: convert::platform_to_wit(&details.platform),
        created: details.created.0,
        config: match details.damaged {
            None => convert::config_to_wit(&details.config)?,
            Some(_) => Vec::new(),
        },
        changed_size: details.size_changed,
        damaged: details.damaged,
    })
}

fn stat_to_wit(stat: PathStat) -> containers::PathStat {
    containers::PathStat {
        name: stat.name,
        kind: match stat.kind {
            FileKind::File => containers::FileKind::File,
            FileKind::Directory => containers::FileKind::Directory,
            FileKind::Symlink => containers::FileKind::Symlink,
            FileKind::CharacterDevice => containers::FileKind::CharacterDevice,
            FileKind::BlockDevice => containers::FileKind::BlockDevice,
            FileKind::Fifo => containers::FileKind::Fifo,
        },
        size: stat.size,
        mode: stat.mode,
        modified: stat.modified,
        link_target: stat.link_target,
    }
}

fn change_to_wit(change: ChangedPath) -> containers::ChangedPath {
    containers::ChangedPath {
        path: change.path,
        kind: match change.kind {
            ChangeKind::Modified => containers::ChangeKind::Modified,
            ChangeKind::Added => containers::ChangeKind::Added,
            ChangeKind::Deleted => containers::ChangeKind::Deleted,
        },
    }
}
