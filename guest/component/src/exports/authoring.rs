//! `authoring`: import and commit.

use strata_engine::{CommitOptions, ImportOptions, ImportSource};
use strata_oci::Digest;
use wit_bindgen::{FutureReader, StreamReader};

use super::{Exports, running};
use crate::{
    bindings::{
        exports::strata::image::authoring,
        strata::image::{progress, types},
    },
    convert, engine,
    imports::WasiBody,
};

impl authoring::Guest for Exports {
    async fn import_from(
        root: StreamReader<u8>,
        options: authoring::ImportOptions,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<String, types::Error>>,
    ) {
        import(ImportSource::Body(WasiBody::of_caller(root)), options)
    }

    async fn import_url(
        url: String,
        options: authoring::ImportOptions,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<String, types::Error>>,
    ) {
        import(ImportSource::Url(url), options)
    }

    async fn commit(
        container: String,
        options: authoring::CommitOptions,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<String, types::Error>>,
    ) {
        let work = async move |progress: &running::Queue| {
            let reference = options.reference.as_deref();
            let options = CommitOptions {
                reference: reference.map(convert::reference_from_wit).transpose()?,
                comment: options.comment,
                author: options.author,
                changes: options.changes,
                config: convert::config_from_wit(options.config)?,
            };
            engine().commit(&container, &options, progress).await
        };
        running::start(work, |id: Digest| id.to_string())
    }
}

fn import(
    source: ImportSource<WasiBody>,
    options: authoring::ImportOptions,
) -> running::Ends<String> {
    let work = async move |progress: &running::Queue| {
        let reference = options.reference.as_deref();
        let options = ImportOptions {
            reference: reference.map(convert::reference_from_wit).transpose()?,
            message: options.message,
            platform: options.platform.map(convert::platform_from_wit),
            changes: options.changes,
        };
        engine().import(source, &options, progress).await
    };
    running::start(work, |id: Digest| id.to_string())
}
