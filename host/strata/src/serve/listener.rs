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

use super::{
    connection::Accepted,
    guard, inherited,
    slots::Slots,
    socket::{self, Socket},
    tls::Tls,
};
use crate::{Error, Result};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A TCP address: on the loopback interface, or behind TLS.
    Tcp(SocketAddr),
    /// A Unix socket, readable and writable by its owner alone.
    Unix(PathBuf),
    /// The sockets that whoever started this process has opened for it, as systemd does.
    Inherited,
}

impl FromStr for Listener {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::Listen {
            address: text.to_owned(),
            reason: reason.to_owned(),
        };
        if text == "fd://" {
            return Ok(Self::Inherited);
        }
        if let Some(path) = text.strip_prefix("unix://") {
            if path.starts_with('/') {
                return Ok(Self::Unix(path.into()));
            }
            return Err(invalid(
                "a unix socket needs an absolute path: unix:///path",
            ));
        }
        let Some(address) = text.strip_prefix("tcp://") else {
            return Err(invalid("write tcp://ADDRESS:PORT, unix:///path or fd://"));
        };
        let address = address.replacen("localhost:", "127.0.0.1:", 1);
        let address = address.parse().map_err(|_| {
            invalid("write an IP address and a port, for example tcp://127.0.0.1:2375")
        })?;
        Ok(Self::Tcp(address))
    }
}

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Certificates, for every TCP listener. Without them only loopback addresses are served.
    pub tls: Option<Tls>,
    /// Host names, besides those of a loopback address, that TCP listeners without TLS answer to.
    pub allowed_hosts: Vec<String>,
}

impl Access {
    /// An entry that could never be met would be taken for a door that is open.
    fn check(&self) -> Result<()> {
        let odd = self.allowed_hosts.iter().find(|host| !guard::is_host(host));
        odd.map_or(Ok(()), |host| {
            Err(Error::Setting {
                setting: "allow-host",
                reason: format!(
                    "{host:?} is no host: give a name or an IP address, such as build.lan"
                ),
            })
        })
    }

    /// Whoever reaches the API owns the store, and it asks for no password.
    pub(super) fn judge(&self, address: SocketAddr) -> Result<()> {
        if self.tls.is_some() || address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(Error::Listen {
            address: format!("tcp://{address}"),
            reason: "without TLS only loopback addresses are served, because the API has no authentication: \
                     give --tls-cert, --tls-key and --tls-client-ca, or use an SSH tunnel"
                .to_owned(),
        })
    }
}

/// Listeners that are open.
pub struct Bound {
    listeners: Vec<(String, Open)>,
    allowed_hosts: Vec<String>,
}

/// One open listener.
pub(super) enum Open {
    Tcp(TcpListener, Option<Tls>),
    Unix {
        listener: UnixListener,
        /// Lives as long as the listener; who opened the socket for us keeps the file.
        _file: Option<RemoveOnDrop>,
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
        let listeners = self.listeners.iter();
        listeners.map(|(address, _)| address.clone()).collect()
    }

    /// The listeners, and the host names they answer to.
    pub(super) fn into_parts(self) -> (impl Iterator<Item = Open>, Vec<String>) {
        let listeners = self.listeners.into_iter().map(|(_, open)| open);
        (listeners, self.allowed_hosts)
    }
}

/// Opens listeners.
///
/// # Errors
/// [`Error::Listen`] if one cannot be opened, or would be open to the network;
/// [`Error::Setting`] if an allowed host is none.
pub async fn bind(listeners: Vec<Listener>, access: Access) -> Result<Bound> {
    access.check()?;
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        match listener {
            Listener::Tcp(address) => {
                access.judge(address)?;
                let failed = |error: io::Error| Error::Listen {
                    address: format!("tcp://{address}"),
                    reason: error.to_string(),
                };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let local = listener.local_addr().map_err(failed)?;
                bound.push((
                    format!("tcp://{local}"),
                    Open::Tcp(listener, access.tls.clone()),
                ));
            }
            Listener::Unix(path) => {
                let address = format!("unix://{}", path.display());
                let listener = bind_unix(&path).await.map_err(|error| Error::Listen {
                    address: address.clone(),
                    reason: error.to_string(),
                })?;
                let _file = Some(RemoveOnDrop(path));
                bound.push((address, Open::Unix { listener, _file }));
            }
            Listener::Inherited => bound.append(&mut inherited::sockets(&access)?),
        }
    }
    Ok(Bound {
        listeners: bound,
        allowed_hosts: access.allowed_hosts,
    })
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
    pub(super) async fn accept(&self, slots: &Slots) -> Accepted {
        loop {
            let accepted = match self {
                Self::Tcp(listener, tls) => listener.accept().await.and_then(|(stream, _)| {
                    socket::prepare(&stream)?;
                    Ok(match tls {
                        Some(tls) => Accepted::Tls(stream, tls.clone()),
                        None => Accepted::Plain(Socket::Tcp(stream)),
                    })
                }),
                Self::Unix { listener, .. } => listener
                    .accept()
                    .await
                    .map(|(stream, _)| Accepted::Plain(Socket::Unix(stream))),
            };
            match accepted {
                Ok(accepted) => return accepted,
                Err(error) if is_exhausted(&error) => {
                    // One that is idle makes room; where none is, one will end.
                    tracing::warn!("cannot accept a connection: {error}");
                    slots.make_room();
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                // The client has left already.
                Err(error) => tracing::debug!("a connection ended at once: {error}"),
            }
        }
    }
}

/// Whether there is too little of something for another connection.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| {
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&errno)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_in_full() {
        for (text, accepted) in [
            ("tcp://127.0.0.1:2375", true),
            ("tcp://localhost:0", true),
            ("tcp://[::1]:2375", true),
            ("unix:///run/strata.sock", true),
            ("fd://", true),
            ("fd://3", false),
            ("tcp://0.0.0.0:2375", true),
            ("tcp://strata.example:2375", false),
            ("tcp://127.0.0.1", false),
            ("unix://strata.sock", false),
            ("127.0.0.1:2375", false),
        ] {
            assert_eq!(text.parse::<Listener>().is_ok(), accepted, "{text}");
        }
    }

    #[tokio::test]
    async fn what_no_client_can_ask_for_is_no_allowed_host() {
        for (host, accepted) in [
            ("build.lan", true),
            ("build", true),
            ("build.lan:2375", true),
            ("192.0.2.1", true),
            ("2001:db8::1", true),
            ("[2001:db8::1]:2375", true),
            ("", false),
            ("*", false),
            ("*.lan", false),
            ("http://build.lan", false),
            ("build.lan/v1", false),
            ("build.lan,other.lan", false),
        ] {
            let access = Access {
                allowed_hosts: vec![host.to_owned()],
                ..Access::default()
            };
            assert_eq!(bind(Vec::new(), access).await.is_ok(), accepted, "{host}");
        }
    }

    #[tokio::test]
    async fn without_tls_only_loopback_addresses_are_served() {
        for (address, accepted) in [
            ("127.0.0.1:0", true),
            ("127.0.0.2:0", true),
            ("0.0.0.0:0", false),
            ("192.0.2.1:0", false),
            ("[::]:0", false),
            ("[::ffff:192.0.2.1]:0", false),
        ] {
            let listener = Listener::Tcp(address.parse().unwrap());
            let bound = bind(vec![listener], Access::default()).await;
            assert_eq!(bound.is_ok(), accepted, "{address}");
            if let Err(error) = bound {
                assert!(error.to_string().contains("--tls-cert"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_alone_and_replaces_a_dead_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("strata.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let bound = bind(vec![Listener::Unix(path.clone())], Access::default())
            .await
            .unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            bind(vec![Listener::Unix(path.clone())], Access::default())
                .await
                .is_err()
        );
        drop(bound);
        assert!(!path.exists());
    }
}
