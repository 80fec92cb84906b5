//! `archives`: save and load.

use strata_engine::{LoadOptions, Loaded, SaveOptions, Silent};
use wit_bindgen::{FutureReader, StreamReader};

use super::{Exports, running, sink};
use crate::{
    bindings::{
        exports::strata::image::archives,
        strata::image::{progress, types},
    },
    convert, engine,
    imports::WasiBody,
};

impl archives::Guest for Exports {
    async fn save(
        names: Vec<String>,
        platforms: Vec<types::Platform>,
    ) -> Result<(StreamReader<u8>, FutureReader<Result<(), types::Error>>), types::Error> {
        let options = SaveOptions {
            names,
            platforms: convert::platforms_from_wit(platforms),
        };
        sink::archive(async move |sink| engine().save(&options, sink, &Silent).await).await
    }

    async fn load(
        archive: StreamReader<u8>,
        platforms: Vec<types::Platform>,
    ) -> (
        StreamReader<progress::Event>,
        FutureReader<Result<Vec<archives::Loaded>, types::Error>>,
    ) {
        let options = LoadOptions {
            platforms: convert::platforms_from_wit(platforms),
        };
        let body = WasiBody::of_caller(archive);
        running::start(
            async move |progress| engine().load(body, &options, progress).await,
            |loaded| loaded.into_iter().map(loaded_to_wit).collect(),
        )
    }
}

fn loaded_to_wit(image: Loaded) -> archives::Loaded {
    archives::Loaded {
        name: image.name,
        id: image.id.to_string(),
    }
}
