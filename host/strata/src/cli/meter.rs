//! Counts the bytes that pass through a reader or a writer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use indicatif::ProgressBar;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where passing bytes are shown; nowhere is a place, too. Clones show in the same place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Option<ProgressBar>);

impl Meter {
    /// Shows them on this bar.
    pub(crate) fn on(bar: ProgressBar) -> Meter {
        Meter(Some(bar))
    }

    /// Counts what passes through `inner`.
    pub(crate) fn around<T>(self, inner: T) -> Metered<T> {
        Metered {
            inner,
            meter: self,
            passed: 0,
        }
    }

    fn add(&self, count: usize) {
        if let Some(bar) = &self.0 {
            bar.inc(count as u64);
        }
    }
}

/// A reader or writer whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Metered<T> {
    inner: T,
    meter: Meter,
    passed: u64,
}

impl<T> Metered<T> {
    /// Bytes that passed.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// What they passed through.
    pub(crate) fn into_inner(self) -> T {
        self.inner
    }

    fn count(&mut self, count: usize) {
        self.passed = self.passed.saturating_add(count as u64);
        self.meter.add(count);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.count(buffer.filled().len().saturating_sub(before));
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.count(count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_are_counted_once_in_both_directions() {
        let bar = ProgressBar::hidden();
        let mut reader = Meter::on(bar.clone()).around(&b"0123456789"[..]);
        let mut start = [0; 4];
        reader.read_exact(&mut start).await.unwrap();
        assert_eq!((reader.passed(), bar.position()), (4, 4));
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert_eq!((reader.passed(), bar.position()), (10, 10));
        let mut writer = Meter::default().around(Vec::new());
        writer.write_all(b"abc").await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(writer.passed(), 3);
        assert_eq!(writer.into_inner(), b"abc");
    }
}
