//! `docker commit` of containers that never ran: one layer with what was changed, the same for the same changes.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use strata_tests::debian::{Content, Entry};
use strata_tests::house::House;
use strata_tests::image::{Image, Schema, layered, short};
use strata_tests::layer::listing::{difference, extracted, listing, stacked};
use strata_tests::layer::{Compression, Layer, sha256, tar};
use strata_tests::registry::Registry;
use strata_tests::store;

/// A container `name` of an image, with these changes.
async fn created(house: &House, name: &str, reference: &str, changes: &[u8]) -> Result<()> {
    house.ok(&["create", "--name", name, reference]).await?;
    let target = format!("{name}:/");
    let copy = ["cp", "-", &target];
    house.docker.fed(&copy, changes).await?.ok()?;
    Ok(())
}

/// A change of each kind: a new file, another content, something gone, a directory of other content.
fn changes() -> Result<Vec<u8>> {
    let file = |path: &str, text: &'static str| Entry {
        path: path.to_owned(),
        mode: 0o644,
        content: Content::File(text.into()),
    };
    tar(&[
        file("opt/added", "added"),
        file("etc/name", "changed"),
        file("opt/.wh.keep", ""),
        file("opt/sticky/.wh..wh..opq", ""),
    ])
}

/// What `docker image inspect` says about one image.
async fn inspected(house: &House, name: &str) -> Result<Value> {
    let printed = house.ok(&["image", "inspect", name]).await?;
    let mut documents: Vec<Value> = serde_json::from_str(&printed)?;
    documents.pop().context("nothing inspected")
}

/// A blob of the house's store.
fn blob(house: &House, digest: &str) -> Result<Vec<u8>> {
    let (algorithm, encoded) = digest.split_once(':').context("no digest")?;
    let path = Path::new("blobs").join(algorithm).join(encoded);
    std::fs::read(house.store.path().join(path)).with_context(|| format!("no blob {digest}"))
}

/// The layers' descriptors of an image of one platform.
fn layers(house: &House, id: &str) -> Result<Vec<Value>> {
    let manifest: Value = serde_json::from_slice(&blob(house, id)?)?;
    let layers = manifest["layers"].as_array();
    layers.cloned().context("a manifest without layers")
}

/// Digest of a layer's descriptor.
fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_adds_one_layer_with_the_changes() -> Result<()> {
    let house = House::new().await?;
    let (image, below) = layered("committed")?;
    let reference = house.pulled("committed", "1", &image).await?;
    let changes = changes()?;
    created(&house, "box", &reference, &changes).await?;
    let id = house.ok(&["commit", "box", "mine:1"]).await?;
    let found = inspected(&house, "mine:1").await?;
    ensure!(found["Id"] == id.as_str(), "{id}: {found}");

    let stored = layers(&house, &id)?;
    ensure!(stored.len() == below.len() + 1, "{stored:?}");
    for (descriptor, layer) in stored.iter().zip(&below) {
        ensure!(digest(descriptor) == layer.digest, "{descriptor}");
    }
    let top = blob(&house, digest(&stored[below.len()]))?;
    let diff_ids = found["RootFS"]["Layers"].as_array().context("no layers")?;
    ensure!(diff_ids[below.len()] == sha256(&top), "{diff_ids:?}");
    let listed = listing(&top)?;
    let mut names: Vec<&str> = listed
        .iter()
        .filter(|(_, member)| member.kind.is_file())
        .map(|(path, _)| path.as_str())
        .collect();
    // A folder that had nothing in it may be said to be emptied, or need not.
    names.retain(|name| *name != "opt/sticky/.wh..wh..opq");
    ensure!(
        names == ["etc/name", "opt/.wh.keep", "opt/added"],
        "{names:?}"
    );
    ensure!(listed["etc/name"].content == Some(sha256(b"changed")));

    // The whole is what GNU tar makes of the layers, here and of a container of the new image.
    let mut all = below.clone();
    all.push(Layer::from_tar(&changes, Compression::Plain)?);
    let expected = stacked(&all).await?;
    house.ok(&["create", "--name", "next", "mine:1"]).await?;
    for name in ["box", "next"] {
        let exported = house.docker.run(&["export", name]).await?.archive()?;
        let found = difference(&expected, &extracted(&exported).await?);
        ensure!(found.is_none(), "{name}: {}", found.unwrap_or_default());
    }
    ensure!(house.ok(&["diff", "next"]).await?.is_empty());
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_changes_give_the_same_layer() -> Result<()> {
    let house = House::new().await?;
    let (image, _) = layered("repeated")?;
    let reference = house.pulled("repeated", "1", &image).await?;
    let changes = changes()?;
    created(&house, "one", &reference, &changes).await?;
    created(&house, "two", &reference, &changes).await?;
    // In two steps, and with one that was taken back.
    created(
        &house,
        "three",
        &reference,
        &tar(&[Entry {
            path: "opt/late".to_owned(),
            mode: 0o600,
            content: Content::File("late".into()),
        }])?,
    )
    .await?;
    let back = tar(&[Entry {
        path: "opt/.wh.late".to_owned(),
        mode: 0o600,
        content: Content::File("".into()),
    }])?;
    for step in [&back, &changes] {
        let fed = house.docker.fed(&["cp", "-", "three:/"], step);
        fed.await?.ok()?;
    }
    let mut tops = Vec::new();
    for name in ["one", "one", "two", "three"] {
        let id = house.ok(&["commit", name]).await?;
        let stored = layers(&house, &id)?;
        tops.push(stored.last().map(|top| digest(top).to_owned()));
    }
    ensure!(tops.iter().all(|top| top == &tops[0]), "{tops:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_changes_give_no_layer() -> Result<()> {
    let house = House::new().await?;
    let (image, below) = layered("unchanged")?;
    let reference = house.pulled("unchanged", "1", &image).await?;
    house.ok(&["create", "--name", "box", &reference]).await?;
    let id = house
        .ok(&["commit", "-m", "nothing new", "box", "same:1"])
        .await?;
    ensure!(layers(&house, &id)?.len() == below.len());
    let format = "{{.CreatedBy}}|{{.Comment}}|{{.Size}}";
    let history = house
        .ok(&["history", "--human=false", "--format", format, "same:1"])
        .await?;
    let lines: Vec<&str> = history.lines().collect();
    ensure!(lines.len() == 5, "{history}");
    ensure!(lines[0] == "hostname|nothing new|0", "{history}");
    ensure!(lines[1].starts_with("CMD "), "{history}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn options_make_author_comment_and_config() -> Result<()> {
    let house = House::new().await?;
    let (image, _) = layered("options")?;
    let reference = house.pulled("options", "1", &image).await?;
    let create = [
        "create", "--name", "box", "--env", "ADDED=1", "--label", "own=1", &reference, "tool", "-x",
    ];
    house.ok(&create).await?;
    let commit = [
        "commit",
        "--pause=false",
        "-a",
        "Ann <ann@example.org>",
        "-m",
        "as told",
        "-c",
        "ENV MORE=2",
        "-c",
        "USER 1000",
        "-c",
        "CMD [\"other\"]",
        "box",
        "mine/options:2",
    ];
    house.ok(&commit).await?;
    let found = inspected(&house, "mine/options:2").await?;
    ensure!(found["Author"] == "Ann <ann@example.org>", "{found}");
    ensure!(found["Comment"] == "as told", "{found}");
    let config = &found["Config"];
    ensure!(config["Cmd"] == json!(["other"]), "{config}");
    ensure!(config["User"] == "1000", "{config}");
    let labels = json!({"made.of": "debian", "own": "1"});
    ensure!(config["Labels"] == labels, "{config}");
    let env = config["Env"].as_array().context("no Env")?;
    for variable in ["PATH=/usr/bin:/bin", "ADDED=1", "MORE=2"] {
        ensure!(env.contains(&json!(variable)), "{variable}: {config}");
    }
    let format = "{{.CreatedBy}}|{{.Comment}}";
    let history = house
        .ok(&[
            "history",
            "--no-trunc",
            "--format",
            format,
            "mine/options:2",
        ])
        .await?;
    ensure!(history.starts_with("tool -x|as told\n"), "{history}");

    // The author stays when nobody else says he is.
    house
        .ok(&["create", "--name", "next", "mine/options:2"])
        .await?;
    house.ok(&["commit", "next", "next:1"]).await?;
    let found = inspected(&house, "next:1").await?;
    ensure!(found["Author"] == "Ann <ann@example.org>", "{found}");

    for (args, text) in [
        (&["nosuch", "no:1"][..], "No such container: nosuch"),
        (&["box", "Upper:1"], "lowercase"),
        (
            &["-c", "RUN true", "box", "no:1"],
            "is not a valid change command",
        ),
    ] {
        let said = house.failed(&[&["commit"], args].concat()).await?;
        ensure!(said.contains(text), "{args:?}: {said}");
    }
    house.failed(&["image", "inspect", "no:1"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_image_is_whole_elsewhere() -> Result<()> {
    let house = House::new().await?;
    let elsewhere = Registry::start().await?;
    let target = format!("{}/committed/again:1", elsewhere.host);
    for (schema, compression) in [
        (Schema::Oci, Compression::Zstd),
        (Schema::Docker, Compression::Gzip),
    ] {
        let layer = Layer::from_package("hostname", compression)?;
        let image = Image::builder(schema)
            .layer(layer, "COPY hostname /")
            .config("Cmd", json!(["hostname"]))
            .build();
        let name = format!("parents/{}", short(image.digest()));
        let reference = house.pulled(&name, "1", &image).await?;
        let added = tar(&[Entry {
            path: "srv/added".to_owned(),
            mode: 0o600,
            content: Content::File("added".into()),
        }])?;
        created(&house, "box", &reference, &added).await?;
        let id = house.ok(&["commit", "box", &target]).await?;
        let before = house.docker.run(&["export", "box"]).await?.archive()?;
        house.ok(&["push", &target]).await?;

        let there = House::new().await?;
        there.ok(&["pull", &target]).await?;
        let found = inspected(&there, &target).await?;
        ensure!(found["Id"] == id.as_str(), "{schema:?}: {found}");
        there.ok(&["create", "--name", "box", &target]).await?;
        let after = there.docker.run(&["export", "box"]).await?.archive()?;
        let found = difference(&listing(&before)?, &listing(&after)?);
        ensure!(found.is_none(), "{schema:?}: {}", found.unwrap_or_default());
        ensure!(listing(&after)?["srv/added"].mode == 0o600);
        house.ok(&["rm", "box"]).await?;
        // One family of media types: a registry or client may refuse a mixture.
        let docker = layers(&there, &id)?
            .iter()
            .filter_map(|layer| layer["mediaType"].as_str())
            .all(|media_type| media_type.contains("docker") == (schema == Schema::Docker));
        ensure!(docker, "{schema:?}: {:?}", layers(&there, &id)?);
    }
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_a_name_dangles_and_a_name_moves() -> Result<()> {
    let house = House::new().await?;
    let (image, _) = layered("named")?;
    let reference = house.pulled("named", "1", &image).await?;
    created(&house, "box", &reference, &changes()?).await?;
    let nameless = house.ok(&["commit", "-m", "nameless", "box"]).await?;
    let dangling = ["images", "--filter", "dangling=true", "-q", "--no-trunc"];
    ensure!(house.ok(&dangling).await? == nameless);
    let first = house.ok(&["commit", "-m", "first", "box", "moved"]).await?;
    let second = house
        .ok(&["commit", "-m", "second", "box", "moved"])
        .await?;
    ensure!(first != second);
    let found = inspected(&house, "moved:latest").await?;
    ensure!(found["Id"] == second.as_str(), "{found}");
    let printed = house.ok(&dangling).await?;
    ensure!(printed.contains(&first), "{printed}");

    house.ok(&["rm", "box"]).await?;
    house.ok(&["rmi", &reference]).await?;
    house.ok(&["image", "prune", "-f"]).await?;
    house.ok(&["create", "--name", "still", "moved"]).await?;
    let tar = house.docker.run(&["cp", "still:/opt/added", "-"]).await?;
    let listed = listing(&tar.archive()?)?;
    ensure!(listed["added"].content == Some(sha256(b"added")));
    store::settles(house.store.path()).await
}
