//! What is a request: as much as dockerd takes, and a sentence for the rest.

use super::{furnished, import};
use anyhow::{Result, ensure};
use strata_tests::raw::{Raw, ask, status};

/// A request that is the last of its connection.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_may_hold_json_as_it_is() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &[], 10).await?;
    import(&server, "other/image", 20).await?;
    for query in [
        "filters={\"reference\":[\"some/image\"]}",
        "filters={\"reference\":{\"some/image\":true}}",
        "filters=%7B\"reference\":[\"some/image\"]%7D&x=<y>|\\^`\u{e9}",
    ] {
        let answer = ask(&server.host, get(&format!("/v1.44/images/json?{query}"))).await?;
        ensure!(status(&answer) == 200, "{query}: {answer}");
        ensure!(
            answer.contains("some/image:1") && !answer.contains("other/image:1"),
            "{answer}"
        );
    }
    // Whatever came before on the connection, bodies of both kinds included.
    let mut raw = Raw::tcp(&server.host).await?;
    let list = "/images/json?filters={\"reference\":[\"some/image\"]}";
    raw.send(format!(
        "POST /containers/prune HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
         2;x=y\r\n{{}}\r\n0\r\nTrailer: x\r\n\r\n\
         POST /containers/prune HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}{}",
        get(list)
    ))
    .await?;
    let answers = String::from_utf8_lossy(&raw.rest().await?).into_owned();
    ensure!(answers.matches("HTTP/1.1 200 OK").count() == 3, "{answers}");
    ensure!(
        answers.contains("some/image:1") && !answers.contains("other/image:1"),
        "{answers}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn long_targets_and_many_headers_are_taken() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &[], 10).await?;
    let id = server.http.get("/images/some/image:1/json").await?.json()?["Id"].clone();
    let id = id.as_str().unwrap_or_default().replace(':', "%3A");
    let names = vec![format!("names={id}"); 1000].join("&");
    let answer = server.http.get("/images/json").await?;
    ensure!(answer.status == 200);
    let mut raw = Raw::tcp(&server.host).await?;
    raw.send(get(&format!("/images/get?{names}"))).await?;
    let answer = raw.rest().await?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(status(&text) == 200 && text.contains("manifest.json"));

    let full = "x".repeat((1 << 20) - "/_ping?".len());
    let answer = ask(&server.host, get(&format!("/_ping?{full}"))).await?;
    ensure!(status(&answer) == 200, "{answer}");
    let answer = ask(&server.host, get(&format!("/_ping?{full}x"))).await?;
    ensure!(
        status(&answer) == 414 && answer.contains("limit of 1048576"),
        "{answer}"
    );

    let headers =
        |count: usize| -> String { (0..count).map(|n| format!("X-{n}: v\r\n")).collect() };
    for (count, expected) in [(2000, 200), (10_001, 431)] {
        let request = get("/_ping").replace("\r\n\r\n", &format!("\r\n{}\r\n", headers(count)));
        let answer = ask(&server.host, request).await?;
        ensure!(status(&answer) == expected, "{count}: {answer}");
    }
    // A client's own header of the name that carries a long query says nothing.
    let forged = "GET /images/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                  Strata-Query: filters=%7B%22reference%22%3A%5B%22none%22%5D%7D\r\n\r\n";
    let answer = ask(&server.host, forged).await?;
    ensure!(answer.contains("some/image:1"), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_with_a_sentence() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &[], 10).await?;
    for (request, expected) in [
        ("GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nbroken\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
            400,
        ),
        ("\u{16}\u{3}\u{1}", 400),
    ] {
        let mut raw = Raw::tcp(&server.host).await?;
        raw.send(request).await?;
        raw.half_close().await?;
        let answer = String::from_utf8_lossy(&raw.rest().await?).into_owned();
        ensure!(status(&answer) == expected, "{request:?}: {answer}");
        ensure!(answer.contains("{\"message\":\""), "{request:?}: {answer}");
    }
    server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn header_names_are_written_as_usual() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = furnished(store.path(), &[], 10).await?;
    let answer = ask(&server.host, get("/_ping")).await?;
    for name in [
        "Api-Version",
        "Cache-Control",
        "Content-Length",
        "Content-Type",
        "Date",
        "Docker-Experimental",
        "Ostype",
        "Pragma",
        "Server",
    ] {
        ensure!(
            answer.contains(&format!("\r\n{name}: ")),
            "{name}: {answer}"
        );
    }
    Ok(())
}
