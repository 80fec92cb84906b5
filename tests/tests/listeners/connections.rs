//! Clients that have closed their half, do nothing, or are too many.

use super::furnished;
use anyhow::{Result, ensure};
use strata_tests::http::get_unix;
use strata_tests::poll::until;
use strata_tests::raw::{Raw, status};

/// Long enough that its save does not fit into the buffers of a connection.
const LARGE: usize = 24 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_sent_everything_gets_its_answer() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &[], 1 << 20).await?;
    let saved = server.http.get("/images/some/image:1/get").await?.body;
    let load = format!(
        "POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n\r\n",
        saved.len()
    );
    for (request, words) in [
        (
            b"GET /images/json HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            "some/image:1",
        ),
        (
            b"GET /images/some/image:1/get HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            "manifest.json",
        ),
        (
            [load.replace(": d", ": localhost").as_bytes(), &saved].concat(),
            "Loaded",
        ),
    ] {
        for socket in [false, true] {
            let mut raw = match socket {
                true => Raw::unix(&server.socket).await?,
                false => Raw::tcp(&server.host).await?,
            };
            raw.send(&request).await?;
            raw.half_close().await?;
            let answer = raw.rest().await?;
            let answer = String::from_utf8_lossy(&answer);
            ensure!(
                answer.contains(words),
                "{words} over socket {socket}: {}",
                answer.len()
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_lock_nobody_out() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &["--connections", "8"], 10).await?;
    let mut idle = Vec::new();
    for number in 0..20 {
        let mut raw = Raw::tcp(&server.host).await?;
        // Some asked something before, some are in the midst of asking.
        if number % 3 == 1 {
            raw.send("GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await?;
            raw.until("OK").await?;
        } else if number % 3 == 2 {
            raw.send("GET /_ping HTTP/1.1\r\nHost: loc").await?;
        }
        idle.push(raw);
    }
    server.answers().await?;
    get_unix(&server.socket, "/images/json")
        .await?
        .expect_status(&[200])?;
    // The first ones went.
    ensure!(idle.remove(0).rest().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stands_still_is_cut() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &["--stall-limit", "1"], LARGE).await?;
    let mut silent = Raw::tcp(&server.host).await?;
    let mut half_head = Raw::tcp(&server.host).await?;
    half_head.send("GET /_ping HTTP/1.1\r\nHost: loc").await?;
    let mut half_body = Raw::tcp(&server.host).await?;
    half_body
        .send("POST /images/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nhalf")
        .await?;
    let mut reader = Raw::tcp(&server.host).await?;
    reader
        .send("GET /images/some/image:1/get HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    ensure!(silent.rest().await?.is_empty());
    let late = half_head.rest().await?;
    ensure!(status(&String::from_utf8_lossy(&late)) == 408);
    half_body.rest().await?;
    // One that takes nothing: the server lets go of it, and of the rest of the answer with it.
    until("the reader to be cut", async || {
        connections(server.pid())
            .is_ok_and(|count| count == 0)
            .then_some(())
    })
    .await?;
    ensure!(reader.rest().await?.len() < LARGE);
    server.answers().await
}

/// How many connections a server has over TCP.
fn connections(pid: u32) -> Result<usize> {
    let mut sockets = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        if let Ok(target) = std::fs::read_link(entry?.path()) {
            sockets.push(target.display().to_string());
        }
    }
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    let is_open = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let inode = words.get(9).map(|inode| format!("socket:[{inode}]"));
        words.get(3) != Some(&"0A") && inode.is_some_and(|inode| sockets.contains(&inode))
    };
    Ok(table.lines().skip(1).filter(is_open).count())
}
