//! A connection on which a test decides every byte.

use crate::poll::within;
use anyhow::{Context, Result};
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// The connection.
pub struct Raw(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Raw {
    /// Connects to `tcp://ADDRESS`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn tcp(host: &str) -> Result<Self> {
        let address = host.strip_prefix("tcp://").context("not tcp://")?;
        Ok(Self(Box::new(TcpStream::connect(address).await?)))
    }

    /// Connects to `tcp://ADDRESS` as a client that will be killed: dropping this resets the
    /// connection. One that closes says no more than that it has nothing further to send.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn abrupt(host: &str) -> Result<Self> {
        let address = host.strip_prefix("tcp://").context("not tcp://")?;
        let stream = TcpStream::connect(address).await?;
        stream.set_zero_linger()?;
        Ok(Self(Box::new(stream)))
    }

    /// Connects to a unix socket.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn unix(path: &Path) -> Result<Self> {
        Ok(Self(Box::new(UnixStream::connect(path).await?)))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.0.write_all(bytes.as_ref()).await?;
        Ok(self.0.flush().await?)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn half_close(&mut self) -> Result<()> {
        Ok(self.0.shutdown().await?)
    }

    /// Reads to the end of the connection; one that is reset ends, too.
    ///
    /// # Errors
    /// When there is no end.
    pub async fn rest(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let _ = within("the end of a connection", self.0.read_to_end(&mut all)).await?;
        Ok(all)
    }

    /// Reads until what was read contains `words`.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn until(&mut self, words: &str) -> Result<String> {
        let mut all = Vec::new();
        let reading = async {
            let mut piece = vec![0; 64 * 1024];
            while !String::from_utf8_lossy(&all).contains(words) {
                let read = self.0.read(&mut piece).await?;
                anyhow::ensure!(
                    read > 0,
                    "no {words:?} in {:?}",
                    String::from_utf8_lossy(&all)
                );
                all.extend_from_slice(piece.get(..read).unwrap_or_default());
            }
            Ok(())
        };
        within(words, reading).await??;
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

/// One request as it is written, on a connection of its own, and all of the answer.
///
/// # Errors
/// When nobody listens there, or the answer has no end.
pub async fn ask(host: &str, request: impl AsRef<[u8]>) -> Result<String> {
    let mut raw = Raw::tcp(host).await?;
    // A server that refuses may stop reading; its answer is what counts.
    let _ = raw.send(request).await;
    Ok(String::from_utf8_lossy(&raw.rest().await?).into_owned())
}

/// The status of an answer as it came; 0 if there is none.
#[must_use]
pub fn status(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1);
    word.and_then(|word| word.parse().ok()).unwrap_or_default()
}
