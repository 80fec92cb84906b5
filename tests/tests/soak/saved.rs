//! What a save has written.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read as _;
use strata_tests::image::Image;
use strata_tests::layer::sha256;

/// An archive of one image, every blob of which is what its name says.
pub(crate) struct Saved {
    /// The digest the index names.
    pub(crate) root: String,
    blobs: HashMap<String, Vec<u8>>,
}

impl Saved {
    pub(crate) fn read(archive: &[u8]) -> Result<Self> {
        let (mut blobs, mut index) = (HashMap::new(), None);
        for member in tar::Archive::new(archive).entries()? {
            let mut member = member?;
            let path = member.path()?.to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes)?;
            if let Some(encoded) = path.strip_prefix("blobs/sha256/")
                && !encoded.is_empty()
            {
                let digest = sha256(&bytes);
                ensure!(digest.ends_with(encoded), "{path} hashes to {digest}");
                blobs.insert(digest, bytes);
            } else if path == "index.json" {
                index = Some(serde_json::from_slice::<Value>(&bytes)?);
            }
        }
        let index = index.context("an archive without index.json")?;
        let root = index["manifests"][0]["digest"].as_str();
        Ok(Self {
            root: root.context("nothing in index.json")?.to_owned(),
            blobs,
        })
    }

    fn blob(&self, digest: &str) -> Result<&[u8]> {
        let blob = self.blobs.get(digest).map(Vec::as_slice);
        blob.with_context(|| format!("{digest} is not in the archive"))
    }

    /// It has all of the image, byte for byte.
    pub(crate) fn holds(&self, image: &Image) -> Result<()> {
        for blob in image.contents() {
            ensure!(self.blob(&blob.digest)? == blob.bytes, "{}", blob.digest);
        }
        Ok(())
    }

    /// It has all that its manifest names.
    pub(crate) fn is_whole(&self) -> Result<()> {
        let manifest: Value = serde_json::from_slice(self.blob(&self.root)?)?;
        let layers = manifest["layers"].as_array().context("no layers")?;
        for part in layers.iter().chain([&manifest["config"]]) {
            self.blob(part["digest"].as_str().context("no digest")?)?;
        }
        Ok(())
    }
}
