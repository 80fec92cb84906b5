//! Whether bytes are a tar a layer may be: whole, and nothing in it leads outside.

use strata_oci::{
    archive::ArchiveError,
    layer::{Parser, Step},
};

use crate::{Error, Result};

/// Looks at a tar as it goes by.
#[derive(Default)]
pub(super) struct Check {
    parser: Parser,
    is_over: bool,
}

impl Check {
    /// The next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            // Tars are padded to whole records, and some are followed by more, which no reader sees.
            if self.is_over {
                return Ok(());
            }
            let (used, step) = self.parser.step(bytes).map_err(fault)?;
            self.is_over = step == Step::End;
            bytes = bytes.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// No more bytes come.
    pub(super) fn finish(&self) -> Result<()> {
        match self.parser.finish() {
            // Nothing at all is an empty file system, as it is to dockerd.
            Err(ArchiveError::Empty) => Ok(()),
            finished => finished.map_err(fault),
        }
    }
}

fn fault(error: ArchiveError) -> Error {
    match error {
        ArchiveError::Header { offset: 0, .. } => Error::InvalidArgument(
            "what is to be imported is no tar, plain or compressed with gzip, zstd, bzip2 or xz"
                .to_owned(),
        ),
        error => Error::archive(error),
    }
}
