//! No web page may ask.

use super::furnished;
use anyhow::{Result, ensure};
use strata_tests::http::get_unix;
use strata_tests::raw::{Raw, ask, status};

/// What a page of `evil.example` has a browser send, and what it is told.
const ATTACKS: [(&str, u16); 6] = [
    ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
    ("Host: localhost\r\nOrigin: null\r\n", 403),
    ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ("Host: evil.example:2375\r\n", 421),
    ("Host: localhost.evil.example\r\n", 421),
    ("Host: evil.example\r\nOrigin: http://evil.example\r\n", 403),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_page_reads_or_changes_anything() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &[], 10).await?;
    for line in [
        "GET /images/json",
        "GET /images/get?names=some/image:1",
        "POST /images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D",
        "POST /images/some/image:1/tag?repo=stolen",
        "DELETE /images/some/image:1",
        "OPTIONS /images/json",
    ] {
        for (headers, expected) in ATTACKS {
            let request = format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
            let answer = ask(&server.host, request).await?;
            ensure!(status(&answer) == expected, "{line} {headers}: {answer}");
            ensure!(answer.contains("\r\nContent-Type: application/json\r\n"));
            ensure!(answer.contains("{\"message\":\""), "{answer}");
            ensure!(!answer.to_lowercase().contains("access-control"));
        }
    }
    let absolute = "GET http://evil.example/images/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    ensure!(status(&ask(&server.host, absolute).await?) == 421);
    // All is as it was.
    let list = server.http.get("/images/json").await?.json()?;
    ensure!(
        list[0]["RepoTags"] == serde_json::json!(["some/image:1"]),
        "{list}"
    );
    ensure!(list[1].is_null());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_uploads_is_told_as_well() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &[], 10).await?;
    let body = super::tar(8 << 20)?;
    let head = format!(
        "POST /images/load HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let answer = ask(&server.host, [head.as_bytes(), &body].concat()).await?;
    ensure!(status(&answer) == 403, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_clients_go_on() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &["--allow-host", "build.lan"], 10).await?;
    for host in [
        "localhost",
        "localhost:2375",
        "127.0.0.1",
        "[::1]:2375",
        "api.moby.localhost",
        "build.lan:2375",
    ] {
        let request =
            format!("GET /images/json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = ask(&server.host, request).await?;
        ensure!(status(&answer) == 200, "{host}: {answer}");
    }
    let old = ask(&server.host, "GET /_ping HTTP/1.0\r\n\r\n").await?;
    ensure!(status(&old) == 200, "{old}");

    // No page reaches a socket, and clients call it what they like.
    let mut raw = Raw::unix(&server.socket).await?;
    raw.send("GET /_ping HTTP/1.1\r\nHost: docker\r\nOrigin: x\r\nConnection: close\r\n\r\n")
        .await?;
    let answer = String::from_utf8_lossy(&raw.rest().await?).into_owned();
    ensure!(status(&answer) == 200, "{answer}");
    get_unix(&server.socket, "/_ping")
        .await?
        .expect_status(&[200])?;
    Ok(())
}
