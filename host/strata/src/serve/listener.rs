//! Where strata listens, and who may connect.

use std::{
    fs::Permissions,
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::Socket;
use crate::{Error, Result};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A loopback TCP address.
    Tcp(SocketAddr),
    /// A Unix socket, readable and writable by its owner alone.
    Unix(PathBuf),
}

impl FromStr for Listener {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::Listen {
            address: text.to_owned(),
            reason: reason.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix://") {
            if path.starts_with('/') {
                return Ok(Self::Unix(path.into()));
            }
            return Err(invalid(
                "a unix socket needs an absolute path: unix:///path",
            ));
        }
        let Some(address) = text.strip_prefix("tcp://") else {
            return Err(invalid("write tcp://ADDRESS:PORT or unix:///path"));
        };
        let address = address.replacen("localhost:", "127.0.0.1:", 1);
        let address: SocketAddr = address.parse().map_err(|_| {
            invalid("write an IP address and a port, for example tcp://127.0.0.1:2375")
        })?;
        // Whoever reaches the API owns the store, and it asks for no password.
        if !address.ip().is_loopback() {
            return Err(invalid(
                "only loopback addresses are served, because the API has no authentication; use an SSH tunnel to reach it from elsewhere",
            ));
        }
        Ok(Self::Tcp(address))
    }
}

/// Listeners that are open.
pub struct Bound(Vec<(String, Open)>);

/// One open listener.
pub(super) enum Open {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Lives as long as the listener.
        _file: RemoveOnDrop,
    },
}

/// Removes a socket file with its listener.
pub(super) struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        // Another server may have replaced it, or somebody removed it: fine.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Bound {
    /// Where clients connect, for example `tcp://127.0.0.1:2375`, port 0 resolved.
    pub fn addresses(&self) -> Vec<String> {
        self.0.iter().map(|(address, _)| address.clone()).collect()
    }

    pub(super) fn into_listeners(self) -> impl Iterator<Item = Open> {
        self.0.into_iter().map(|(_, open)| open)
    }
}

/// Opens listeners.
///
/// # Errors
/// [`Error::Listen`] if one cannot be opened.
pub async fn bind(listeners: Vec<Listener>) -> Result<Bound> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        bound.push(match listener {
            Listener::Tcp(address) => {
                let failed = |error: io::Error| Error::Listen {
                    address: format!("tcp://{address}"),
                    reason: error.to_string(),
                };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let local = listener.local_addr().map_err(failed)?;
                (format!("tcp://{local}"), Open::Tcp(listener))
            }
            Listener::Unix(path) => {
                let address = format!("unix://{}", path.display());
                let listener = bind_unix(&path).await.map_err(|error| Error::Listen {
                    address: address.clone(),
                    reason: error.to_string(),
                })?;
                let _file = RemoveOnDrop(path);
                (address, Open::Unix { listener, _file })
            }
        });
    }
    Ok(Bound(bound))
}

/// Replaces the socket of a server that was killed; leaves a living one alone.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Ok(metadata) = std::fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(io::Error::other("the file exists and is no socket"));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::other("another server listens there"));
        }
        std::fs::remove_file(path)?;
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Bound under another name, so that nobody connects before the mode is set.
    let hidden = path.with_extension(format!("{}.new", std::process::id()));
    let listener = UnixListener::bind(&hidden)?;
    std::fs::set_permissions(&hidden, Permissions::from_mode(0o600))?;
    std::fs::rename(&hidden, path)?;
    Ok(listener)
}

impl Open {
    /// The next client. A failure of one connection is not one of the listener.
    pub(super) async fn accept(&self) -> Result<Box<dyn Socket>> {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.and_then(|(stream, _)| {
                    // Progress is many small writes.
                    stream.set_nodelay(true)?;
                    Ok(Box::new(stream) as Box<dyn Socket>)
                }),
                Self::Unix { listener, .. } => listener
                    .accept()
                    .await
                    .map(|(stream, _)| Box::new(stream) as Box<dyn Socket>),
            };
            match accepted {
                Ok(socket) => return Ok(socket),
                Err(error) => {
                    // Out of descriptors, most likely: give connections time to end.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_absolute_sockets_are_served() {
        for (text, accepted) in [
            ("tcp://127.0.0.1:2375", true),
            ("tcp://localhost:0", true),
            ("tcp://[::1]:2375", true),
            ("unix:///run/strata.sock", true),
            ("tcp://0.0.0.0:2375", false),
            ("tcp://10.0.0.1:2375", false),
            ("unix://strata.sock", false),
            ("127.0.0.1:2375", false),
        ] {
            assert_eq!(text.parse::<Listener>().is_ok(), accepted, "{text}");
        }
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_alone_and_replaces_a_dead_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("strata.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let bound = bind(vec![Listener::Unix(path.clone())]).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(bind(vec![Listener::Unix(path.clone())]).await.is_err());
        drop(bound);
        assert!(!path.exists());
    }
}
