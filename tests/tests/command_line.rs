//! The `strata` command without a server, on a store of its own.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use strata_tests::client::{skopeo, strata, strata_fed};
use strata_tests::image::{Image, small};
use strata_tests::registry::Registry;
use strata_tests::server::{Server, command};
use strata_tests::{layout, store, workspace};

/// Runs `strata COMMAND --store FOLDER ARGS`.
async fn on(folder: &Path, name: &str, args: &[&str]) -> Result<strata_tests::client::Output> {
    let folder = folder.display().to_string();
    strata(&[&[name, "--store", &folder], args].concat()).await
}

/// Every JSON document of an output: one, or one per line.
fn documents(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect::<Result<_, _>>()
        .context(text.to_owned())?;
    Ok(documents)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_works_without_a_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start().await?;
    let image = small("on the command line")?;
    let reference = registry.push("command/line", "1", &image).await?;
    let store = folder.path();

    on(store, "pull", &[&reference]).await?.ok()?;
    let table = on(store, "images", &[]).await?.ok()?;
    ensure!(
        table.contains("command/line") && table.contains(image.short_id()),
        "{table}"
    );
    let listed = on(store, "images", &["--format", "json"]).await?.ok()?;
    documents(&listed)?;
    ensure!(
        listed.contains(image.digest()) || listed.contains(image.short_id()),
        "{listed}"
    );

    let inspected = on(store, "inspect", &["--format", "json", &reference])
        .await?
        .ok()?;
    documents(&inspected)?;
    ensure!(inspected.contains(image.digest()), "{inspected}");
    let history = on(store, "history", &["--format", "json", &reference])
        .await?
        .ok()?;
    documents(&history)?;
    ensure!(history.contains("/etc/name"), "{history}");

    on(store, "tag", &[&reference, "mine:v1"]).await?.ok()?;
    ensure!(store::names(store)?.contains(&"docker.io/library/mine:v1".to_owned()));
    skopeo(&[
        "inspect",
        &format!("oci:{}:docker.io/library/mine:v1", store.display()),
    ])
    .await?
    .ok()?;
    on(store, "rmi", &["mine:v1"]).await?.ok()?;
    on(store, "rmi", &[&reference]).await?.ok()?;
    on(store, "prune", &["--force"]).await?.ok()?;
    ensure!(
        store::blobs(store)?.is_empty(),
        "{:?}",
        store::blobs(store)?
    );
    let missing = on(store, "inspect", &[&reference]).await?.failed()?;
    ensure!(
        missing.contains("No such image") || missing.contains("no such image"),
        "{missing}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_absent_is_said_in_one_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path();
    let image: Image = small("here")?;
    layout::write(store, &[("docker.io/library/here:1", &image)])?;
    let file = folder.path().join("oci-layout").display().to_string();
    // What ends a command must not disturb what its engine is still at: a matter of chance.
    for _ in 0..4 {
        let found = on(store, "inspect", &["here:1"]).await?;
        ensure!(found.status == 0 && found.stderr.is_empty(), "{found:?}");
        for (name, args, status, said) in [
            ("inspect", vec!["none:1"], 1, "none:1"),
            ("inspect", vec!["here:1", "none:1"], 1, "none:1"),
            (
                "cp",
                vec![&file, "nobody:/"],
                1,
                "No such container: nobody",
            ),
            (
                "cp",
                vec!["nobody:/etc/passwd", "-"],
                1,
                "No such container: nobody",
            ),
            (
                "cp",
                vec!["nobody:/etc/passwd", &file],
                1,
                "No such container: nobody",
            ),
        ] {
            let output = on(store, name, &args).await?;
            ensure!(output.status == status, "{output:?}");
            let lines: Vec<&str> = output.stderr.lines().collect();
            let is_said = lines.len() == 1 && lines[0].contains(said);
            ensure!(is_said, "{output:?}");
            for word in ["panicked", "worker", "ERROR"] {
                ensure!(!output.stderr.contains(word), "{output:?}");
            }
        }
        let store = store.display().to_string();
        let args = ["cp", "--store", &store, "-", "nobody:/"];
        let output = strata_fed(&args, &[0; 1024]).await?;
        ensure!(output.status == 1, "{output:?}");
        ensure!(
            output.stderr.contains("No such container: nobody"),
            "{output:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_prints_json_for_machines() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start().await?;
    let image = small("for machines")?;
    let reference = registry.push("machines", "1", &image).await?;
    let printed = on(folder.path(), "pull", &["--format", "json", &reference])
        .await?
        .ok()?;
    documents(&printed)?;
    ensure!(printed.contains(image.digest()), "{printed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_another_tool_wrote_are_adopted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image: Image = small("adopted")?;
    layout::write(folder.path(), &[("docker.io/library/adopted:1", &image)])?;
    let listed = on(folder.path(), "images", &["--format", "json"])
        .await?
        .ok()?;
    ensure!(listed.contains("adopted"), "{listed}");

    let registry = Registry::start().await?;
    let reference = registry.push("copied", "1", &small("copied")?).await?;
    let target = format!("oci:{}:docker.io/library/copied:1", folder.path().display());
    let source = format!("docker://{reference}");
    skopeo(&["copy", "--src-tls-verify=false", &source, &target])
        .await?
        .ok()?;
    let server = Server::start(folder.path(), &[]).await?;
    for name in ["adopted:1", "copied:1"] {
        server
            .http
            .get(&format!("/images/{name}/json"))
            .await?
            .expect_status(&[200])?;
    }
    store::check(folder.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_works_alone_in_another_place() -> Result<()> {
    let place = tempfile::tempdir()?;
    let copy = place.path().join("strata");
    std::fs::copy(workspace::strata()?, &copy)?;
    let store = place.path().join("store");
    let output = command(&copy, place.path())
        .args(["images", "--store"])
        .arg(&store)
        .current_dir(place.path())
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn help_teaches_and_mistakes_are_named() -> Result<()> {
    let help = strata(&["--help"]).await?.ok()?;
    for name in [
        "serve", "pull", "images", "inspect", "history", "tag", "rmi", "prune",
    ] {
        ensure!(help.contains(name), "--help does not mention {name}");
    }
    let serve = strata(&["serve", "--help"]).await?.ok()?;
    for option in ["--listen", "--store", "--mirror", "--insecure-registry"] {
        ensure!(
            serve.contains(option),
            "serve --help does not mention {option}"
        );
    }
    let folder = tempfile::tempdir()?;
    let wrong = on(folder.path(), "pull", &["Not/A/Reference"])
        .await?
        .failed()?;
    ensure!(wrong.contains("must be lowercase"), "{wrong}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unix_socket_is_private_and_goes_with_the_server() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[]).await?;
    let answer = strata_tests::http::get_unix(&server.socket, "/_ping").await?;
    assert_eq!(answer.text(), "OK");
    let mode = std::fs::metadata(&server.socket)?.permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let status = server.terminate().await?;
    ensure!(status.success(), "SIGTERM ended it with {status}");
    Ok(())
}
