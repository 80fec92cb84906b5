//! Making images: the documents around layers that are in the store already.

use strata_oci::{
    Descriptor, Digest, ImageConfig, Manifest, config::MAX_CONFIG_BYTES,
    instruction::InstructionError, media_type,
};

use crate::{Engine, Error, Host, LeaseOf, Result, Store, Target};

impl<H: Host> Engine<H> {
    /// Stores a config and the manifest that joins it to its layers, lowest first, and
    /// says where a name for the image points. The same arguments always give the same
    /// image.
    ///
    /// Manifest and config are Docker's if the lowest layer is, as a manifest should not
    /// mix the two families; else OCI's. The layers are not looked at: the caller has them
    /// under the same lease, and the config has their diff-ids.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] if the config has more than [`MAX_CONFIG_BYTES`], which
    /// nobody could read again; whatever the store answers.
    pub(crate) async fn put_image(
        &self,
        config: &ImageConfig,
        layers: &[Descriptor],
        lease: &LeaseOf<H>,
    ) -> Result<Target> {
        let (manifest_type, config_type) = match layers.first() {
            Some(layer) if is_docker(&layer.media_type) => {
                (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG)
            }
            _ => (media_type::OCI_MANIFEST, media_type::OCI_CONFIG),
        };
        let config = encode(config)?;
        if config.len() > MAX_CONFIG_BYTES {
            return Err(Error::QuotaExceeded(format!(
                "the image config would have {} bytes, the limit is {MAX_CONFIG_BYTES}",
                config.len()
            )));
        }
        let manifest = Manifest {
            media_type: Some(manifest_type.to_owned()),
            config: self.put_document(config_type, config, lease).await?,
            layers: layers.to_vec(),
            annotations: Default::default(),
            subject: None,
            artifact_type: None,
        };
        let manifest = encode(&manifest)?;
        let Descriptor {
            media_type,
            digest,
            size,
            ..
        } = self.put_document(manifest_type, manifest, lease).await?;
        Ok(Target {
            media_type,
            digest,
            size,
        })
    }

    /// Stores a document that was made here.
    ///
    /// # Errors
    /// As the store's `put`.
    pub(crate) async fn put_document(
        &self,
        media_type: &str,
        bytes: Vec<u8>,
        lease: &LeaseOf<H>,
    ) -> Result<Descriptor> {
        let digest = Digest::sha256(&bytes);
        let size = bytes.len() as u64;
        self.store.put(&digest, bytes, lease).await?;
        Ok(Descriptor::new(media_type, digest, size))
    }
}

/// What instructions that are refused are to a caller.
pub(crate) fn refused(error: InstructionError) -> Error {
    match error {
        InstructionError::TooMuch(text) => Error::QuotaExceeded(text),
        error => Error::InvalidArgument(error.to_string()),
    }
}

/// Whether a layer's media type is one of Docker's.
fn is_docker(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.")
}

/// The one way a document is written: members in their order, sets sorted, no spaces.
fn encode(document: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use strata_oci::{Document, config::ContainerConfig};

    use super::*;
    use crate::catalog::fixture::engine;
    use crate::memory::Held;

    /// The target, and the manifest there, of an image of these layers.
    fn put(layers: &[&str]) -> (Target, Manifest) {
        let engine = engine();
        let digest = Digest::sha256(b"layer");
        let layers = layers.iter();
        let layers = layers.map(|media_type| Descriptor::new(*media_type, digest.clone(), 5));
        let layers: Vec<Descriptor> = layers.collect();
        let config = ImageConfig::default();
        let target = block_on(engine.put_image(&config, &layers, &lease(&engine))).unwrap();
        let bytes = engine.store.bytes(&target.digest).unwrap();
        assert_eq!(target.size, bytes.len() as u64);
        let Ok(Document::Manifest(manifest)) = Document::parse(&target.media_type, &bytes) else {
            panic!("no manifest");
        };
        assert!(engine.store.has(&manifest.config.digest));
        (target, manifest)
    }

    fn lease(engine: &crate::catalog::fixture::TestEngine) -> Held {
        block_on(engine.store.acquire_lease()).unwrap()
    }

    #[test]
    fn documents_are_of_the_family_of_the_lowest_layer() {
        let oci = (media_type::OCI_MANIFEST, media_type::OCI_CONFIG);
        let docker = (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG);
        for (layers, (manifest_type, config_type)) in [
            (&[][..], oci),
            (&[media_type::OCI_LAYER_GZIP], oci),
            (&[media_type::DOCKER_LAYER_GZIP], docker),
            (&[media_type::DOCKER_FOREIGN_LAYER], docker),
            (&[media_type::OCI_LAYER, media_type::DOCKER_LAYER], oci),
        ] {
            let (target, manifest) = put(layers);
            assert_eq!(target.media_type, manifest_type);
            assert_eq!(manifest.media_type.as_deref(), Some(manifest_type));
            assert_eq!(manifest.config.media_type, config_type);
            let listed = manifest
                .layers
                .iter()
                .map(|layer| layer.media_type.as_str());
            assert!(listed.eq(layers.iter().copied()));
            assert_eq!(put(layers).0, target);
        }
    }

    #[test]
    fn a_config_nobody_could_read_is_not_written() {
        let engine = engine();
        let config = ImageConfig {
            config: Some(ContainerConfig {
                user: "u".repeat(MAX_CONFIG_BYTES),
                ..ContainerConfig::default()
            }),
            ..ImageConfig::default()
        };
        let refused = block_on(engine.put_image(&config, &[], &lease(&engine)));
        assert!(matches!(refused, Err(Error::QuotaExceeded(_))));
        assert_eq!(engine.store.len(), 0);
    }
}
