//! An archive kept in memory, for tests.

use crate::{ArchiveSink, Body as _, Result, memory::Bytes};

/// Keeps what is written.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<u8>);

impl ArchiveSink<Bytes> for Kept {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.0.extend(bytes);
        Ok(())
    }

    async fn copy(&mut self, mut body: Bytes, length: u64) -> Result<()> {
        let start = self.0.len() as u64;
        while let Some(chunk) = body.chunk().await? {
            self.0.extend(chunk);
        }
        assert_eq!(self.0.len() as u64 - start, length);
        Ok(())
    }
}
