//! Blobs that change, become shorter or vanish at rest, and the ways to bring them back.

use crate::worker::Worker;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use strata_tests::store;

impl Worker {
    /// Damages a blob of an image and mends it.
    pub(crate) async fn damage(&mut self) -> Result<()> {
        // Every other time before its layers were unpacked for the first time.
        let at = match self.dice.below(2) {
            0 => self.publish(100_000).await?,
            _ => self.some_known(),
        };
        let name = self.known[at].reference.clone();
        if self.model.image(&name).is_none() && !self.pulls(at).await? {
            return Ok(());
        }
        let known = &self.known[at];
        // The lowest layer is everybody's.
        let parts = [
            &known.image.root,
            &known.image.configs[0],
            &known.image.layers[1],
        ];
        let digest = self.dice.pick(&parts).context("no parts")?.digest.clone();
        let kind = self.dice.below(3);
        self.damaged.push(at);
        harm(self.world.store(), &digest, kind)?;
        self.world
            .tally
            .fault(["bits flipped", "blobs cut short", "blobs deleted"][usize::try_from(kind)?]);
        // It is damaged, and nothing else is: who is asked about it says so.
        for (what, method, path) in [
            ("list", Method::GET, "/images/json".to_owned()),
            ("inspect", Method::GET, format!("/images/{name}/json")),
            ("prune", Method::POST, "/images/prune".to_owned()),
        ] {
            if let Some(answer) = self.ask(what, method, &path, "").await? {
                let well = answer.status == 200 || what == "prune" && answer.status == 409;
                ensure!(well || what == "inspect", "{path}: {}", answer.text());
            }
        }
        let mended = match self.dice.below(3) {
            0 => {
                self.checks(&[]).await?;
                self.pulls(at).await?
            }
            1 => {
                self.checks(&["--repair"]).await?;
                true
            }
            _ => self.loads(at).await?,
        };
        if mended {
            self.is_mended(at, &digest)?;
        }
        Ok(())
    }

    fn is_mended(&mut self, at: usize, digest: &str) -> Result<()> {
        let bytes = fs::read(store::blob(self.world.store(), digest)).context("mended")?;
        ensure!(
            strata_tests::layer::sha256(&bytes) == digest,
            "{digest} is not mended"
        );
        self.damaged.retain(|damaged| *damaged != at);
        self.world.tally.operation("mended");
        Ok(())
    }

    /// Mends what was damaged when the server ended.
    pub(crate) async fn mends(&mut self) -> Result<()> {
        for at in self.damaged.clone() {
            ensure!(self.loads(at).await?, "not loaded again");
            let contents: Vec<String> = self.known[at]
                .image
                .contents()
                .map(|blob| blob.digest.clone())
                .collect();
            for digest in contents {
                self.is_mended(at, &digest)?;
            }
        }
        Ok(())
    }
}

/// What a disk may do to a file.
fn harm(store: &Path, digest: &str, kind: u64) -> Result<()> {
    let file = store::blob(store, digest);
    fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    match kind {
        0 => {
            let mut bytes = fs::read(&file)?;
            let middle = bytes.len() / 2;
            *bytes.get_mut(middle).context("an empty blob")? ^= 1;
            fs::write(&file, bytes)?;
        }
        1 => fs::File::options().write(true).open(&file)?.set_len(7)?,
        _ => fs::remove_file(&file)?,
    }
    Ok(())
}
