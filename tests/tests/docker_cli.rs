//! The unmodified docker CLI pulls through `strata serve` from the real docker-registry.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use strata_tests::client::skopeo;
use strata_tests::house::{House, package_image};
use strata_tests::image::{Image, Schema, short, small};
use strata_tests::layer::{Compression, Layer};
use strata_tests::poll::until;
use strata_tests::registry::{PASSWORD, Registry, USER};
use strata_tests::store;

#[tokio::test(flavor = "multi_thread")]
async fn pull_prints_what_docker_prints_for_every_kind_of_image() -> Result<()> {
    let house = House::new().await?;
    for (name, schema, compression) in [
        ("oci-gzip", Schema::Oci, Compression::Gzip),
        ("oci-zstd", Schema::Oci, Compression::Zstd),
        ("oci-plain", Schema::Oci, Compression::Plain),
        ("docker-gzip", Schema::Docker, Compression::Gzip),
    ] {
        let image = package_image(schema, compression)?;
        let repository = format!("kinds/{name}");
        let reference = house.registry.push(&repository, "1", &image).await?;
        let printed = house.ok(&["pull", &reference]).await?;
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(
            lines[0],
            format!("1: Pulling from {repository}"),
            "{printed}"
        );
        for layer in &image.layers {
            for status in ["Pulling fs layer", "Pull complete"] {
                let line = format!("{}: {status}", short(&layer.digest));
                // Docker and OCI images share blobs here: what is in the store already needs no line.
                let known = schema == Schema::Docker;
                assert!(
                    known || lines.contains(&line.as_str()),
                    "no {line:?} in:\n{printed}"
                );
            }
        }
        let end = [
            format!("Digest: {}", image.digest()),
            format!("Status: Downloaded newer image for {reference}"),
            reference.clone(),
        ];
        assert_eq!(lines[lines.len() - 3..], end, "{printed}");
        let id = house
            .ok(&["image", "inspect", "--format", "{{.Id}}", &reference])
            .await?;
        assert_eq!(id, image.digest());
    }
    store::check(house.store.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn pulling_again_says_that_the_image_is_up_to_date() -> Result<()> {
    let house = House::new().await?;
    let image = small("again")?;
    let reference = house.pulled("again", "1", &image).await?;
    let printed = house.ok(&["pull", &reference]).await?;
    let expected = format!(
        "1: Pulling from again\nDigest: {}\nStatus: Image is up to date for {reference}\n{reference}",
        image.digest()
    );
    assert_eq!(printed, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_by_digest_names_the_digest() -> Result<()> {
    let house = House::new().await?;
    let image = small("by digest")?;
    house.registry.push("by/digest", "1", &image).await?;
    let reference = format!("{}/by/digest@{}", house.registry.host, image.digest());
    let printed = house.ok(&["pull", &reference]).await?;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], format!("{reference}: Pulling from by/digest"));
    assert_eq!(
        lines[lines.len() - 2],
        format!("Status: Downloaded newer image for {reference}")
    );
    assert_eq!(lines[lines.len() - 1], reference);
    let id = house
        .ok(&["image", "inspect", "--format", "{{.Id}}", &reference])
        .await?;
    assert_eq!(id, image.digest());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_all_tags_brings_every_tag() -> Result<()> {
    let house = House::new().await?;
    for tag in ["1", "2", "latest"] {
        house.registry.push("many/tags", tag, &small(tag)?).await?;
    }
    let name = format!("{}/many/tags", house.registry.host);
    house.ok(&["pull", "-a", &name]).await?;
    let expected: Vec<String> = ["1", "2", "latest"]
        .iter()
        .map(|tag| format!("{name}:{tag}"))
        .collect();
    assert_eq!(house.images(&[]).await?, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_and_inspect_choose_the_platform() -> Result<()> {
    let house = House::new().await?;
    let one = |platform: &str| -> Result<Image> {
        let layer = Layer::from_text("platform", platform, Compression::Gzip)?;
        Ok(Image::builder(Schema::Oci)
            .platform(platform)
            .layer(layer, "COPY platform /")
            .build())
    };
    let (amd64, arm64) = (one("linux/amd64")?, one("linux/arm64")?);
    let index = Image::index(Schema::Oci)
        .image(&amd64, Some("linux/amd64"))
        .image(&arm64, Some("linux/arm64"))
        .attestation(&amd64)
        .build();
    let reference = house.registry.push("platforms", "1", &index).await?;

    let refused = house
        .failed(&["pull", "--platform", "linux/s390x", &reference])
        .await?;
    let text = "no matching manifest for linux/s390x in the manifest list entries";
    assert!(refused.contains(text), "{refused}");

    let printed = house
        .ok(&["pull", "--platform", "linux/arm64", &reference])
        .await?;
    assert!(
        printed.contains(&format!("Digest: {}", index.digest())),
        "{printed}"
    );
    let inspect = [
        "image",
        "inspect",
        "--format",
        "{{.Id}} {{.Architecture}}",
        &reference,
    ];
    let chosen = [&inspect[..], &["--platform", "linux/arm64"]].concat();
    assert_eq!(
        house.ok(&chosen).await?,
        format!("{} arm64", arm64.digest())
    );
    let absent = house
        .failed(&[&inspect[..], &["--platform", "linux/amd64"]].concat())
        .await?;
    assert!(
        absent.contains("does not provide the specified platform (linux/amd64)"),
        "{absent}"
    );

    house
        .ok(&["pull", "--platform", "linux/amd64", &reference])
        .await?;
    assert_eq!(
        house.ok(&inspect).await?,
        format!("{} amd64", index.digest())
    );
    store::check(house.store.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named_in_the_error() -> Result<()> {
    let house = House::new().await?;
    house.registry.push("there", "1", &small("there")?).await?;
    let reference = format!("{}/there:2", house.registry.host);
    let expected = format!(
        "Error response from daemon: failed to resolve reference \"{reference}\": {reference}: not found"
    );
    assert_eq!(house.failed(&["pull", &reference]).await?, expected);
    for command in [
        &["image", "inspect", "nosuch"][..],
        &["history", "nosuch"],
        &["tag", "nosuch", "other"],
    ] {
        let printed = house.failed(command).await?;
        assert!(
            printed.contains("No such image: nosuch:latest"),
            "{command:?}: {printed}"
        );
    }
    let invalid = house.failed(&["image", "inspect", "In/Valid:"]).await?;
    assert!(invalid.contains("invalid reference format"), "{invalid}");
    house.server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_registry_takes_the_password_of_docker_login() -> Result<()> {
    let house = House::new().await?;
    let registry = Registry::with_password().await?;
    let reference = registry.push("private", "1", &small("private")?).await?;
    let refused = house.failed(&["pull", &reference]).await?;
    assert!(refused.contains("no basic auth credentials"), "{refused}");

    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let config = json!({"auths": {&registry.host: {"auth": auth}}});
    std::fs::write(
        house.docker.config().join("config.json"),
        config.to_string(),
    )?;
    house.ok(&["pull", &reference]).await?;
    assert!(
        !house.server.log()?.contains(PASSWORD),
        "the log holds the password"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_reads_the_store_while_it_is_served() -> Result<()> {
    let house = House::new().await?;
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let reference = house.pulled("read/by/skopeo", "1", &image).await?;
    house.ok(&["tag", &reference, "renamed:1"]).await?;
    let expected = ["docker.io/library/renamed:1", &reference];
    let folder = house.store.path();
    // The layout's index is written shortly after the names change.
    until("both names in index.json", async || {
        let names = store::names(folder).ok()?;
        expected
            .iter()
            .all(|name| names.iter().any(|known| known == name))
            .then_some(())
    })
    .await?;
    for name in expected {
        let inspected = skopeo(&["inspect", &format!("oci:{}:{name}", folder.display())])
            .await?
            .ok()?;
        let inspected: Value = serde_json::from_str(&inspected)?;
        assert_eq!(inspected["Digest"], image.digest());
        assert_eq!(inspected["Labels"]["made.of"], "debian");
    }
    store::check(folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_reads_and_writes_the_server_at_its_old_version() -> Result<()> {
    let house = House::new().await?;
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let reference = house.pulled("old/skopeo", "1", &image).await?;
    let folder = tempfile::tempdir()?;
    let layout = format!("oci:{}:x", folder.path().display());
    let daemon = house.server.host.replacen("tcp://", "http://", 1);
    skopeo(&[
        "copy",
        "--src-daemon-host",
        &daemon,
        &format!("docker-daemon:{reference}"),
        &layout,
    ])
    .await?
    .ok()?;
    let copy = "docker-daemon:written/by-old-skopeo:1";
    skopeo(&["copy", "--dest-daemon-host", &daemon, &layout, copy])
        .await?
        .ok()?;
    let images = house.images(&[]).await?;
    ensure!(
        images.contains(&"written/by-old-skopeo:1".to_owned()),
        "{images:?}"
    );
    Ok(())
}
