//! The Docker Engine API as bytes: versions, headers, and the order of a pull's stream.

use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use strata_tests::house::{House, package_image};
use strata_tests::image::{Schema, short, small};
use strata_tests::layer::Compression;
use strata_tests::server::{escape, pull_path};

#[tokio::test(flavor = "multi_thread")]
async fn ping_names_the_server_and_its_version() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    let answer = http.get("/_ping").await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "OK"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("api-version"), "1.54");
    assert_eq!(answer.header("ostype"), "linux");
    assert_eq!(answer.header("docker-experimental"), "false");
    assert_eq!(
        answer.header("cache-control"),
        "no-cache, no-store, must-revalidate"
    );
    assert_eq!(answer.header("pragma"), "no-cache");
    assert_eq!(answer.header("swarm"), "inactive");
    ensure!(["1", "2"].contains(&answer.header("builder-version")));
    ensure!(
        answer.header("server").starts_with("Docker/"),
        "{}",
        answer.header("server")
    );
    let head = http.send(Method::HEAD, "/_ping", &[], "").await?;
    assert_eq!(
        (head.status, head.header("api-version"), head.body.len()),
        (200, "1.54", 0)
    );
    assert_eq!(head.header("content-length"), "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn version_and_info_say_what_clients_look_for() -> Result<()> {
    let house = House::new().await?;
    let version = house
        .server
        .http
        .get("/version")
        .await?
        .expect_status(&[200])?
        .json()?;
    assert_eq!(version["ApiVersion"], "1.54");
    assert_eq!(version["MinAPIVersion"], "1.12");
    assert_eq!(version["Os"], "linux");
    assert_eq!(version["Components"][0]["Name"], "Engine");
    for member in [
        "Version",
        "Arch",
        "GitCommit",
        "GoVersion",
        "KernelVersion",
        "BuildTime",
    ] {
        ensure!(version[member].is_string(), "no {member} in {version}");
    }
    let info = house
        .server
        .http
        .get("/v1.54/info")
        .await?
        .expect_status(&[200])?
        .json()?;
    assert_eq!(info["Images"], 0);
    assert_eq!(info["OSType"], "linux");
    assert_eq!(info["IndexServerAddress"], "https://index.docker.io/v1/");
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    // So clients tell the store that keeps images as they came from the one that unpacks them.
    let store = json!(["driver-type", "io.containerd.snapshotter.v1"]);
    let status = info["DriverStatus"].as_array();
    ensure!(
        status.is_some_and(|rows| rows.contains(&store)),
        "{}",
        info["DriverStatus"]
    );
    for member in [
        "ID",
        "Driver",
        "Architecture",
        "ServerVersion",
        "Name",
        "SystemTime",
    ] {
        ensure!(info[member].is_string(), "no {member} in {info}");
    }
    house.ok(&["version"]).await?;
    house.ok(&["info"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_out_of_range_are_refused_with_the_range() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    let new = http.get("/v1.99/images/json").await?;
    new.expect_error(
        400,
        "client version 1.99 is too new. Maximum supported API version is 1.54",
    )?;
    assert_eq!(new.header("api-version"), "1.54");
    let old = http.get("/v1.11/images/json").await?;
    assert_eq!(old.status, 400);
    let text = "client version 1.11 is too old. Minimum supported API version is 1.12, please upgrade your client to a newer version";
    ensure!(old.text().contains(text), "{}", old.text());
    ensure!(
        !old.text().starts_with('{'),
        "before 1.24 errors are plain text"
    );
    for version in ["1.12", "1.22", "1.24", "1.41", "1.54"] {
        http.get(&format!("/v{version}/images/json"))
            .await?
            .expect_status(&[200])?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_wrong_methods_are_page_not_found() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    for (method, path) in [
        (Method::GET, "/nonsense"),
        (Method::GET, "/v1.54/nonsense"),
        (Method::PUT, "/images/json"),
        (Method::POST, "/_ping"),
        (Method::GET, "/images/prune"),
        (Method::GET, "/"),
    ] {
        let answer = http.send(method.clone(), path, &[], "").await?;
        ensure!(answer.status == 404, "{method} {path}: {}", answer.status);
        assert_eq!(
            answer.json()?,
            json!({"message": "page not found"}),
            "{method} {path}"
        );
        assert_eq!(answer.header("api-version"), "", "{method} {path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_streams_its_lines_in_dockers_order() -> Result<()> {
    let house = House::new().await?;
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let reference = house.registry.push("streamed/image", "1", &image).await?;
    let answer = house
        .server
        .http
        .post(&pull_path(&reference))
        .await?
        .expect_status(&[200])?;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("api-version"), "1.54");
    let text = answer.text();
    ensure!(text.ends_with("\r\n"), "the last message has no CRLF");
    let lines: Vec<&str> = text.trim_end_matches("\r\n").split("\r\n").collect();
    assert_eq!(
        lines[0],
        r#"{"status":"Pulling from streamed/image","id":"1"}"#
    );
    let digest = format!(r#"{{"status":"Digest: {}"}}"#, image.digest());
    let status = format!(r#"{{"status":"Status: Downloaded newer image for {reference}"}}"#);
    assert_eq!(lines[lines.len() - 2..], [digest, status]);
    let messages: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    for layer in &image.layers {
        let id = short(&layer.digest);
        let own: Vec<&Value> = messages
            .iter()
            .filter(|message| message["id"] == id)
            .collect();
        ensure!(
            own.iter()
                .all(|message| message["progressDetail"].is_object()),
            "{own:?}"
        );
        let mut phases: Vec<&str> = own
            .iter()
            .filter_map(|message| message["status"].as_str())
            .collect();
        phases.dedup();
        // Downloading and Extracting are polled: a quick layer may show neither.
        phases.retain(|phase| !["Downloading", "Extracting", "Waiting"].contains(phase));
        assert_eq!(
            phases,
            ["Pulling fs layer", "Download complete", "Pull complete"]
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_fails_at_once_has_a_status() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    let host = &house.registry.host;
    house.registry.push("there", "1", &small("there")?).await?;
    let missing = http.post(&pull_path(&format!("{host}/there:2"))).await?;
    let text = format!("failed to resolve reference \"{host}/there:2\": {host}/there:2: not found");
    missing.expect_error(404, &text)?;
    let scratch = http
        .post("/images/create?fromImage=scratch&tag=latest")
        .await?;
    scratch.expect_error(403, "'scratch' is a reserved name")?;
    let upper = http
        .post("/images/create?fromImage=In%2FValid&tag=1")
        .await?;
    ensure!(
        upper.status == 400 && upper.text().contains("must be lowercase"),
        "{}",
        upper.text()
    );
    let tag = http
        .post(&format!(
            "/images/create?fromImage={}&tag=-",
            escape(&format!("{host}/there"))
        ))
        .await?;
    assert_eq!(tag.status, 400);
    let platform = format!(
        "{}&platform=linux%2Fno%2Fsuch%2Fplace",
        pull_path(&format!("{host}/there:1"))
    );
    assert_eq!(http.post(&platform).await?.status, 400);
    Ok(())
}
