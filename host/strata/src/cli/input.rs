//! Where a stream of bytes comes from: stdin, or a file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use super::Usage;
use super::terminal::Terminal;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// Chunks read ahead: 1 MiB.
const AHEAD: usize = 4;

/// An input that was opened.
pub(crate) struct Input {
    /// Its bytes.
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    /// How many there are, where a file says so.
    pub(crate) size: Option<u64>,
}

impl Input {
    /// Opens the file, or stdin where there is none, unless that is a terminal.
    ///
    /// # Errors
    ///
    /// If stdin is a terminal, or the file cannot be read.
    pub(crate) async fn open(path: Option<&Path>, terminal: &Terminal) -> anyhow::Result<Input> {
        let Some(path) = path else {
            if terminal.can_ask {
                let text = "a tar is nothing to type; name a file, or redirect stdin";
                return Err(Usage(anyhow::anyhow!(text)).into());
            }
            let reader = Box::new(tokio::io::stdin());
            return Ok(Input { reader, size: None });
        };
        let opened = async {
            let file = tokio::fs::File::open(path).await?;
            let metadata = file.metadata().await?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let size = metadata.is_file().then_some(metadata.len());
            Ok((file, size))
        };
        let opened: io::Result<_> = opened.await;
        let (file, size) = opened.with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Input {
            reader: Box::new(Ahead::new(file.into_std().await)),
            size,
        })
    }
}

/// A file that a thread reads ahead of whoever wants it.
struct Ahead {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    /// What is left of the last one.
    chunk: Bytes,
}

impl Ahead {
    fn new(mut file: File) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            loop {
                let (mut chunk, start) = strata_codec::buffer(CHUNK);
                let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk);
                let is_last = !matches!(read, Ok(1..));
                let read = read.map(|_| Bytes::from(chunk).slice(start..));
                // Nobody may want more.
                if sender.blocking_send(read).is_err() || is_last {
                    return;
                }
            }
        });
        Self {
            chunks,
            chunk: Bytes::new(),
        }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.chunk.is_empty()
            && let Some(chunk) = ready!(self.chunks.poll_recv(cx))
        {
            self.chunk = chunk?;
        }
        let length = self.chunk.len().min(buffer.remaining());
        buffer.put_slice(&self.chunk[..length]);
        self.chunk.advance(length);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::tests::captured;

    #[tokio::test]
    async fn a_file_says_its_size_and_what_is_none_says_why() {
        let (mut terminal, _) = captured();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        std::fs::write(&path, "1234").unwrap();
        let input = Input::open(Some(&path), &terminal).await.unwrap();
        assert_eq!(input.size, Some(4));
        for missing in [folder.path(), Path::new("/nonexistent")] {
            let error = Input::open(Some(missing), &terminal).await.err().unwrap();
            assert!(error.to_string().starts_with("cannot read /"), "{error}");
        }
        terminal.can_ask = true;
        let error = Input::open(None, &terminal).await.err().unwrap();
        assert!(error.is::<Usage>());
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_end_and_a_failure_is_no_end() {
        use tokio::io::AsyncReadExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        for size in [0, 1, CHUNK, CHUNK + 1, 6 * CHUNK + 7] {
            let bytes: Vec<u8> = (0..251).cycle().take(size).collect();
            std::fs::write(&path, &bytes).unwrap();
            let mut read = Vec::new();
            let mut ahead = Ahead::new(File::open(&path).unwrap());
            ahead.read_to_end(&mut read).await.unwrap();
            assert!(read == bytes, "{size}");
        }
        // Opens, and fails when it is read.
        let mut ahead = Ahead::new(File::open(folder.path()).unwrap());
        assert!(ahead.read_to_end(&mut Vec::new()).await.is_err());
    }
}
