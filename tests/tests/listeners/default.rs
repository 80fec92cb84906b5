//! Where a server listens whom nobody told where.

use anyhow::{Context, Result, ensure};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use strata_tests::client::{Docker, home};
use strata_tests::poll::within;
use strata_tests::server::command;
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_socket_of_the_users_own_and_docker_is_told_how_to_use_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut process = command(&strata_tests::workspace::strata()?, &home()?)
        .args(["serve", "--store"])
        .arg(folder.path().join("store"))
        .env("XDG_RUNTIME_DIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("no pipe from strata")?;
    let mut lines = BufReader::new(stdout).lines();
    let socket = folder.path().join("strata.sock");
    let host = format!("unix://{}", socket.display());
    let mut next = async || {
        within("a line", lines.next_line())
            .await??
            .context("no line")
    };
    ensure!(next().await? == format!("listening on {host}"));
    let invitation = next().await?;
    let words = format!("docker context create strata --docker host={host}");
    ensure!(invitation.contains(&words), "{invitation}");

    let mode = std::fs::metadata(&socket)?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    let docker = Docker::new(&host)?;
    docker.run(&["images"]).await?.ok()?;
    // The context works as printed.
    let context = Docker::new("")?;
    let create: Vec<_> = words.split(' ').skip(1).collect();
    context.run(&create).await?.ok()?;
    context
        .run(&["--context", "strata", "images"])
        .await?
        .ok()?;
    Ok(())
}
