//! Sockets that whoever started this process has opened for it, as systemd does for a socket unit.
//!
//! The protocol: <https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html>.

use std::{
    io,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
};

use listenfd::ListenFd;

use super::listener::{Access, Open};
use crate::{Error, Result};

/// All of them, with their addresses. They are taken: a second call finds none.
///
/// # Errors
/// [`Error::Listen`] if there is none, or one is open to more people than one that is opened here.
pub(super) fn sockets(access: &Access) -> Result<Vec<(String, Open)>> {
    let mut given = ListenFd::from_env();
    if given.len() == 0 {
        return Err(refused(
            "this process was given no socket: start it by a systemd socket unit, or name an address",
        ));
    }
    let mut sockets = Vec::new();
    for index in 0..given.len() {
        if let Ok(Some(listener)) = given.take_unix_listener(index) {
            sockets.push(unix(listener)?);
            continue;
        }
        match given.take_tcp_listener(index) {
            Ok(Some(listener)) => sockets.push(tcp(listener, access)?),
            Ok(None) => {}
            Err(error) => return Err(refused(&format!("socket {index} that was given: {error}"))),
        }
    }
    Ok(sockets)
}

fn unix(listener: UnixListener) -> Result<(String, Open)> {
    let address = listener.local_addr().map_err(failed)?;
    let Some(path) = address.as_pathname() else {
        return Err(refused(
            "a socket without a file is open to every user of this machine: give it a path",
        ));
    };
    let mode = std::fs::metadata(path)
        .map_err(failed)?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(refused(&format!(
            "{} has mode {:o}, and who reaches it may do everything: write SocketMode=0600 in its unit",
            path.display(),
            mode & 0o777
        )));
    }
    let address = format!("unix://{}", path.display());
    listens(&listener).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
    let _file = None;
    Ok((address, Open::Unix { listener, _file }))
}

fn tcp(listener: TcpListener, access: &Access) -> Result<(String, Open)> {
    let address = listener.local_addr().map_err(failed)?;
    access.judge(address)?;
    listens(&listener).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    Ok((
        format!("tcp://{address}"),
        Open::Tcp(listener, access.tls.clone()),
    ))
}

/// With `Accept=yes` a unit hands over connections instead, one a process.
fn listens(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    match rustix::net::sockopt::socket_acceptconn(socket.as_fd())? {
        true => Ok(()),
        false => Err(io::Error::other(
            "it is a connection: write Accept=no in its unit",
        )),
    }
}

fn failed(error: io::Error) -> Error {
    refused(&error.to_string())
}

fn refused(reason: &str) -> Error {
    Error::Listen {
        address: "fd://".to_owned(),
        reason: reason.to_owned(),
    }
}
