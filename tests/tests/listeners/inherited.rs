//! Sockets that the server is given, as a systemd socket unit does it.

use anyhow::{Context, Result, ensure};
use std::fs::Permissions;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use strata_tests::client::{Docker, home};
use strata_tests::poll::within;
use strata_tests::server::command;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// `strata serve` that is given a socket, in a store of its own.
fn given(socket: BorrowedFd<'_>, store: &std::path::Path) -> Result<Command> {
    // Whoever starts it leaves the descriptor open.
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty())?;
    let mut strata = command(&strata_tests::workspace::strata()?, &home()?);
    strata
        .args(["serve", "--listen", "fd://", "--store"])
        .arg(store)
        .env("LISTEN_FDS", "1")
        // systemd always gives 3 and up, which is taken in this process.
        .env("LISTEN_FDS_FIRST_FD", socket.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(strata)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_given_is_served_and_its_file_stays() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("strata.sock");
    let socket = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    let mut process = given(socket.as_fd(), &folder.path().join("store"))?.spawn()?;
    let host = format!("unix://{}", path.display());
    let stdout = process.stdout.take().context("no pipe from strata")?;
    let mut lines = BufReader::new(stdout).lines();
    let first = within("a line", lines.next_line()).await??;
    ensure!(first == Some(format!("listening on {host}")), "{first:?}");
    Docker::new(&host)?.run(&["images"]).await?.ok()?;

    let pid = process
        .id()
        .and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    rustix::process::kill_process(pid.context("it ended")?, rustix::process::Signal::TERM)?;
    let status = within("the end", process.wait()).await??;
    ensure!(
        status.success() && path.exists(),
        "{status} {}",
        path.exists()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_open_to_others_is_refused_with_what_to_write() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("store");
    let path = folder.path().join("strata.sock");
    let socket = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    let network = std::net::TcpListener::bind("0.0.0.0:0")?;
    let file = std::fs::File::open("/dev/null")?;
    for (socket, words) in [
        (socket.as_fd(), "SocketMode=0600"),
        (network.as_fd(), "--tls-cert"),
        (file.as_fd(), "is not a socket"),
    ] {
        let output = given(socket, &store)?.output();
        let output = within(words, output).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && said.contains(words),
            "{words}: {said}"
        );
    }
    let mut nothing = given(socket.as_fd(), &store)?;
    let output = within("nothing", nothing.env_remove("LISTEN_FDS").output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.contains("was given no socket"), "{said}");
    Ok(())
}
