//! The Docker Engine API as bytes: lists, inspections, filters, and what tag, delete and prune answer.

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use strata_tests::house::{House, package_image};
use strata_tests::image::{Schema, small};
use strata_tests::layer::Compression;
use strata_tests::server::escape;
use strata_tests::store;

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_the_shape_of_the_requested_version() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    assert_eq!(http.get("/images/json").await?.text(), "[]\n");
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let reference = house.pulled("listed", "1", &image).await?;
    let repository = reference.trim_end_matches(":1");
    for version in ["1.41", "1.47", "1.51", "1.52", "1.54"] {
        let answer = http
            .get(&format!("/v{version}/images/json?manifests=1"))
            .await?
            .expect_status(&[200])?;
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("api-version"), "1.54");
        let list = answer.json()?;
        let entry = &list[0];
        assert_eq!(entry["Id"], image.digest());
        assert_eq!(entry["ParentId"], "");
        assert_eq!(entry["RepoTags"], json!([reference]));
        assert_eq!(
            entry["RepoDigests"],
            json!([format!("{repository}@{}", image.digest())])
        );
        assert_eq!(entry["Created"], 1_704_164_645);
        assert_eq!(entry["SharedSize"], -1);
        assert_eq!(entry["Labels"], json!({"made.of": "debian"}));
        ensure!(
            entry["Size"].as_u64().is_some_and(|size| size > 0),
            "{entry}"
        );
        let at_least = |minimum: &str| number(version) >= number(minimum);
        assert_eq!(
            entry["Containers"],
            if at_least("1.51") { 0 } else { -1 },
            "{version}"
        );
        let present = |member: &str| entry.get(member).is_some();
        assert_eq!(
            present("VirtualSize"),
            !at_least("1.44"),
            "VirtualSize in {version}"
        );
        assert_eq!(
            present("Descriptor"),
            at_least("1.48"),
            "Descriptor in {version}"
        );
        assert_eq!(
            present("Manifests"),
            at_least("1.47"),
            "Manifests in {version}"
        );
        if at_least("1.47") {
            let manifest = &entry["Manifests"][0];
            assert_eq!(manifest["ID"], image.digest());
            assert_eq!(
                (&manifest["Available"], &manifest["Kind"]),
                (&json!(true), &json!("image"))
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_has_the_shape_of_the_requested_version() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let reference = house.pulled("inspected", "1", &image).await?;
    let config: Value = serde_json::from_slice(&image.configs[0].bytes)?;
    for version in ["1.41", "1.47", "1.51", "1.52", "1.54"] {
        let inspected = http
            .get(&format!("/v{version}/images/{reference}/json"))
            .await?;
        let inspected = inspected.expect_status(&[200])?.json()?;
        assert_eq!(inspected["Id"], image.digest());
        assert_eq!(inspected["RepoTags"], json!([reference]));
        assert_eq!(inspected["Created"], "2024-01-02T03:04:05Z");
        assert_eq!(
            (&inspected["Architecture"], &inspected["Os"]),
            (&json!("amd64"), &json!("linux"))
        );
        assert_eq!(
            inspected["RootFS"],
            json!({"Type": "layers", "Layers": config["rootfs"]["diff_ids"]})
        );
        assert_eq!(inspected["Config"]["Cmd"], json!(["hostname"]));
        assert_eq!(inspected["Config"]["Labels"], json!({"made.of": "debian"}));
        ensure!(
            inspected["Metadata"]["LastTagTime"].is_string(),
            "{inspected}"
        );
        let at_least = |minimum: &str| number(version) >= number(minimum);
        let has = |value: &Value, member: &str| value.get(member).is_some();
        for member in [
            "Parent",
            "Comment",
            "Author",
            "DockerVersion",
            "GraphDriver",
        ] {
            assert_eq!(
                has(&inspected, member),
                !at_least("1.52"),
                "{member} in {version}"
            );
        }
        for member in ["Container", "ContainerConfig"] {
            assert_eq!(
                has(&inspected, member),
                !at_least("1.45"),
                "{member} in {version}"
            );
        }
        assert_eq!(
            has(&inspected, "VirtualSize"),
            !at_least("1.44"),
            "VirtualSize in {version}"
        );
        assert_eq!(
            has(&inspected, "Descriptor"),
            at_least("1.48"),
            "Descriptor in {version}"
        );
        assert_eq!(
            has(&inspected["Config"], "Hostname"),
            !at_least("1.50"),
            "Hostname in {version}"
        );
        assert_eq!(
            has(&inspected["Config"], "Entrypoint"),
            !at_least("1.52"),
            "Entrypoint in {version}"
        );
        if has(&inspected["Config"], "Entrypoint") {
            assert_eq!(inspected["Config"]["Entrypoint"], Value::Null, "{version}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_ids_find_the_same_image() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    let image = small("found")?;
    let reference = house.pulled("some/path/found", "1", &image).await?;
    let repository = reference.trim_end_matches(":1");
    let encoded = image.digest().trim_start_matches("sha256:");
    for name in [
        reference.clone(),
        escape(&reference),
        format!("{repository}@{}", image.digest()),
        format!("{reference}@{}", image.digest()),
        image.digest().to_owned(),
        encoded.to_owned(),
        encoded[..12].to_owned(),
        format!("sha256:{}", &encoded[..12]),
    ] {
        let answer = http.get(&format!("/images/{name}/json")).await?;
        assert_eq!(
            answer.expect_status(&[200]).context(name)?.json()?["Id"],
            image.digest()
        );
    }
    for (name, message) in [
        (
            "nosuch".to_owned(),
            "No such image: nosuch:latest".to_owned(),
        ),
        (
            "deadbeef".to_owned(),
            "No such image: deadbeef:latest".to_owned(),
        ),
        (
            format!("sha256:{}", "0".repeat(64)),
            format!("No such image: sha256:{}", "0".repeat(64)),
        ),
        (
            format!("other@{}", image.digest()),
            format!("No such image: other@{}", image.digest()),
        ),
    ] {
        http.get(&format!("/images/{name}/json"))
            .await?
            .expect_error(404, &message)?;
    }
    assert_eq!(http.get("/images/In%2FValid/json").await?.status, 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_filters_are_named() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    for (filters, message) in [
        (r#"{"foo":["1"]}"#, "invalid filter 'foo'"),
        (
            r#"{"dangling":["maybe"]}"#,
            "invalid filter 'dangling=[maybe]'",
        ),
        (r#"{"dangling":[]}"#, "invalid filter 'dangling'"),
        ("not json", "invalid filter"),
    ] {
        for path in ["/images/json", "/images/prune"] {
            let method = if path.ends_with("json") {
                Method::GET
            } else {
                Method::POST
            };
            let answer = http
                .send(
                    method,
                    &format!("{path}?filters={}", escape(filters)),
                    &[],
                    "",
                )
                .await?;
            answer
                .expect_error(400, message)
                .with_context(|| format!("{path} {filters}"))?;
        }
    }
    for filters in [
        r#"{"dangling":{"true":true}}"#,
        r#"{"dangling":["1"]}"#,
        r#"{"dangling":["0"]}"#,
        "{}",
        "",
    ] {
        http.get(&format!("/images/json?filters={}", escape(filters)))
            .await?
            .expect_status(&[200])?;
    }
    let answer = http.get("/v1.54/images/json?identity=1").await?;
    answer.expect_error(400, "conflicting options: identity requires manifests=1")
}

#[tokio::test(flavor = "multi_thread")]
async fn tag_answers_201_and_without_a_name_200() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    let reference = house.pulled("to/tag", "1", &small("to tag")?).await?;
    let tagged = http
        .post(&format!("/images/{reference}/tag?repo=mine&tag=v1"))
        .await?;
    assert_eq!(
        (
            tagged.status,
            tagged.body.len(),
            tagged.header("content-type")
        ),
        (201, 0, "")
    );
    let nothing = http.post(&format!("/images/{reference}/tag")).await?;
    assert_eq!((nothing.status, nothing.body.len()), (200, 0));
    let inside = http
        .post(&format!("/images/{reference}/tag?repo=mine:v2"))
        .await?;
    assert_eq!(inside.status, 201);
    http.post("/images/nosuch/tag?repo=mine")
        .await?
        .expect_error(404, "No such image: nosuch:latest")?;
    let digest = format!("mine@sha256:{}", "0".repeat(64));
    let answer = http
        .post(&format!("/images/{reference}/tag?repo={}", escape(&digest)))
        .await?;
    answer.expect_error(400, "cannot import digest reference")?;
    let answer = http
        .post(&format!("/images/{reference}/tag?repo=sha256"))
        .await?;
    let text = "refusing to create an ambiguous tag using digest algorithm as name";
    answer.expect_error(400, text)?;
    let list = http.get("/images/json").await?.json()?;
    let mut tags = list[0]["RepoTags"]
        .as_array()
        .context("no RepoTags")?
        .clone();
    tags.sort_by_key(ToString::to_string);
    assert_eq!(tags, [json!(reference), json!("mine:v1"), json!("mine:v2")]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_and_prune_answer_with_what_went() -> Result<()> {
    let house = House::new().await?;
    let http = &house.server.http;
    let image = small("to delete")?;
    let reference = house.pulled("to/delete", "1", &image).await?;
    http.post(&format!("/images/{reference}/tag?repo=mine&tag=v1"))
        .await?;
    let untagged = http
        .delete("/images/mine:v1")
        .await?
        .expect_status(&[200])?;
    assert_eq!(untagged.json()?, json!([{"Untagged": "mine:v1"}]));
    let deleted = http
        .delete(&format!("/images/{reference}"))
        .await?
        .expect_status(&[200])?;
    assert_eq!(
        deleted.json()?,
        json!([{"Untagged": reference}, {"Deleted": image.digest()}])
    );
    let message = format!("No such image: {reference}");
    http.delete(&format!("/images/{reference}"))
        .await?
        .expect_error(404, &message)?;

    let nothing = http.post("/images/prune").await?.expect_status(&[200])?;
    assert_eq!(
        nothing.text(),
        "{\"ImagesDeleted\":null,\"SpaceReclaimed\":0}\n"
    );
    house.pulled("to/delete", "1", &image).await?;
    let filters = escape(r#"{"dangling":["false"]}"#);
    let pruned = http
        .post(&format!("/images/prune?filters={filters}"))
        .await?
        .json()?;
    assert_eq!(
        pruned["ImagesDeleted"],
        json!([{"Untagged": reference}, {"Deleted": image.digest()}])
    );
    let size: usize = image.contents().map(|blob| blob.bytes.len()).sum();
    assert_eq!(pruned["SpaceReclaimed"], size);
    assert_eq!(store::blobs(house.store.path())?, Vec::<String>::new());
    Ok(())
}

/// `1.51` as a number that compares.
fn number(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
