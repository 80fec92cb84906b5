//! `docker import` of real root file systems: every compression, every instruction, and what others read of it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use strata_tests::client::{program, skopeo};
use strata_tests::debian;
use strata_tests::house::House;
use strata_tests::layer::listing::{difference, listing};
use strata_tests::layer::{sha256, tar};
use strata_tests::registry::Registry;
use strata_tests::store;

/// A root file system as a tar: the files of a package.
fn root() -> Result<Vec<u8>> {
    tar(&debian::package("base-files")?)
}

/// What a program makes of bytes on its standard input.
async fn piped(name: &str, args: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    program(name, args, input).await?.archive()
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

/// The manifest behind an image's ID.
fn manifest(house: &House, id: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&blob(house, id)?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_compression_is_taken_from_files_and_pipes() -> Result<()> {
    let house = House::new().await?;
    let folder = tempfile::tempdir()?;
    let root = root()?;
    let layer = "application/vnd.oci.image.layer.v1.tar";
    // What is plain, gzip or zstd stays as it came; the rest is stored in one of these.
    for (name, program, suffix) in [
        ("plain", &["cat"][..], Some("")),
        ("gz", &["gzip", "-c"], Some("+gzip")),
        ("zst", &["zstd", "-c"], Some("+zstd")),
        ("bz2", &["bzip2", "-c"], None),
        ("xz", &["xz", "-c"], None),
    ] {
        let (program, args) = program.split_first().context("no program")?;
        let bytes = piped(program, args, &root).await?;
        let file = folder.path().join(name);
        std::fs::write(&file, &bytes)?;
        let from_file = format!("import/{name}:file");
        let id = house
            .ok(&["import", &file.display().to_string(), &from_file])
            .await?;
        let from_pipe = format!("import/{name}:pipe");
        let args = ["import", "-", &from_pipe];
        let fed = house.docker.fed(&args, &bytes).await?;
        fed.ok().context(name)?;

        let found = inspected(&house, &from_file).await?;
        ensure!(found["Id"] == id.as_str(), "{name}: {id} {found}");
        for reference in [&from_file, &from_pipe] {
            let found = inspected(&house, reference).await?;
            let layers = json!([sha256(&root)]);
            ensure!(found["RootFS"]["Layers"] == layers, "{name}: {found}");
            let id = found["Id"].as_str().unwrap_or_default();
            let stored = &manifest(&house, id)?["layers"][0];
            if let Some(suffix) = suffix {
                let media_type = format!("{layer}{suffix}");
                ensure!(stored["mediaType"] == media_type, "{stored}");
                ensure!(stored["digest"] == sha256(&bytes), "{stored}");
            }
        }
    }
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_has_one_layer_one_history_entry_and_the_hosts_platform() -> Result<()> {
    let house = House::new().await?;
    let root = root()?;
    let import = async |args: &[&str], name: &str| -> Result<Value> {
        let args = [&["import"], args, &["-", name]].concat();
        house.docker.fed(&args, &root).await?.ok()?;
        inspected(&house, name).await
    };
    let plain = import(&[], "plain").await?;
    ensure!(plain["RepoTags"] == json!(["plain:latest"]), "{plain}");
    let said = import(&["-m", "told so"], "said:2").await?;
    ensure!(said["RepoTags"] == json!(["said:2"]), "{said}");
    for (name, comment) in [("plain", "Imported from -"), ("said:2", "told so")] {
        let format = "{{.ID}}|{{.CreatedBy}}|{{.Comment}}";
        let history = house
            .ok(&["history", "--no-trunc", "--format", format, name])
            .await?;
        let id = inspected(&house, name).await?["Id"].clone();
        let expected = format!("{}||{comment}", id.as_str().unwrap_or_default());
        ensure!(history == expected, "{history}");
    }
    ensure!(plain["Os"] == "linux", "{plain}");
    let version = house.server.http.get("/version").await?.json()?;
    ensure!(plain["Architecture"] == version["Arch"], "{plain}");
    let other = import(&["--platform", "linux/arm/v7"], "other").await?;
    ensure!(other["Architecture"] == "arm", "{other}");
    ensure!(other["Variant"] == "v7", "{other}");
    let created = plain["Created"].as_str().unwrap_or_default();
    ensure!(
        !created.starts_with("0001") && created.ends_with('Z'),
        "{plain}"
    );
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_make_the_config() -> Result<()> {
    let house = House::new().await?;
    let root = root()?;
    let changes = [
        "CMD [\"serve\", \"--all\"]",
        "ENTRYPOINT [\"/bin/tool\"]",
        "ENV A=1 B=\"two words\"",
        "ENV C $A-three",
        "EXPOSE 80 443/tcp 53/udp",
        "HEALTHCHECK --interval=5s --retries=3 CMD true",
        "LABEL made.of=debian \"two words\"='x y'",
        "ONBUILD RUN echo built",
        "STOPSIGNAL SIGQUIT",
        "USER ann:staff",
        "VOLUME /data /more",
        "WORKDIR /srv",
        "workdir below",
    ];
    let mut args = vec!["import"];
    for change in changes {
        args.extend(["-c", change]);
    }
    args.extend(["-", "changed:1"]);
    house.docker.fed(&args, &root).await?.ok()?;
    let found = inspected(&house, "changed:1").await?;
    let config = &found["Config"];
    for (member, expected) in [
        ("Cmd", json!(["serve", "--all"])),
        ("Entrypoint", json!(["/bin/tool"])),
        ("Env", json!(["A=1", "B=two words", "C=1-three"])),
        (
            "ExposedPorts",
            json!({"80/tcp": {}, "443/tcp": {}, "53/udp": {}}),
        ),
        (
            "Healthcheck",
            json!({"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000_u64, "Retries": 3}),
        ),
        ("Labels", json!({"made.of": "debian", "two words": "x y"})),
        ("OnBuild", json!(["RUN echo built"])),
        ("StopSignal", json!("SIGQUIT")),
        ("User", json!("ann:staff")),
        ("Volumes", json!({"/data": {}, "/more": {}})),
        ("WorkingDir", json!("/srv/below")),
    ] {
        ensure!(config[member] == expected, "{member}: {config}");
    }
    let shell = ["import", "-c", "CMD echo $HOME", "-", "shell:1"];
    house.docker.fed(&shell, &root).await?.ok()?;
    let found = inspected(&house, "shell:1").await?;
    let expected = json!(["/bin/sh", "-c", "echo $HOME"]);
    ensure!(found["Config"]["Cmd"] == expected, "{found}");

    for (change, text) in [
        ("RUN true", "is not a valid change command"),
        ("FROM scratch", "is not a valid change command"),
        ("NONSENSE x", "is not a valid change command"),
        ("ENV A", "ENV must have two arguments"),
    ] {
        let args = ["import", "-c", change, "-", "refused:1"];
        let said = house.docker.fed(&args, &root).await?.failed()?;
        let said = said.to_lowercase();
        ensure!(said.contains(&text.to_lowercase()), "{change}: {said}");
    }
    house.failed(&["image", "inspect", "refused:1"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_moves_to_what_is_imported_last() -> Result<()> {
    let house = House::new().await?;
    let root = root()?;
    let first = ["import", "-m", "first", "-", "moved:1"];
    let first = house.docker.fed(&first, &root).await?.ok()?;
    let second = ["import", "-m", "second", "-", "moved:1"];
    let second = house.docker.fed(&second, &root).await?.ok()?;
    ensure!(first != second, "{first}");
    ensure!(inspected(&house, "moved:1").await?["Id"] == second.as_str());
    let dangling = ["images", "--filter", "dangling=true", "-q", "--no-trunc"];
    ensure!(house.ok(&dangling).await? == first);

    // Without a name nothing else than the ID leads to it.
    let nameless = ["import", "-m", "nameless", "-"];
    let nameless = house.docker.fed(&nameless, &root).await?.ok()?;
    let found = inspected(&house, &nameless).await?;
    ensure!(found["RepoTags"] == json!([]), "{found}");
    let dangling = house.ok(&dangling).await?;
    ensure!(dangling.contains(&nameless), "{dangling}");
    house.ok(&["image", "prune", "-f"]).await?;
    ensure!(house.images(&["-a"]).await? == ["moved:1"]);
    house.ok(&["rmi", "moved:1"]).await?;
    let left = store::blobs(house.store.path())?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_leaves_nothing() -> Result<()> {
    let house = House::new().await?;
    let root = root()?;
    let gzip = piped("gzip", &["-c"], &root).await?;
    let zstd = piped("zstd", &["-c"], &root).await?;
    let xz = piped("xz", &["-c"], &root).await?;
    let middle = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let digest = format!("name@{}", sha256(b""));
    for (what, body, name, text) in [
        ("text", b"no tar\n".repeat(200), "bad:1", ""),
        ("a torn tar", middle(&root), "bad:1", ""),
        ("a torn gzip", middle(&gzip), "bad:1", ""),
        ("a torn zstd", middle(&zstd), "bad:1", ""),
        ("a torn xz", middle(&xz), "bad:1", ""),
        ("an upper-case name", root.clone(), "Bad:1", "lowercase"),
        ("a digest", root.clone(), &digest, "digest reference"),
    ] {
        let args = ["import", "-", name];
        let fed = house.docker.fed(&args, &body).await?;
        let said = fed.failed().context(what)?;
        ensure!(!said.is_empty() && said.contains(text), "{what}: {said}");
    }
    ensure!(house.images(&["-a"]).await?.is_empty());
    house.ok(&["image", "prune", "-af"]).await?;
    let left = store::blobs(house.store.path())?;
    ensure!(left.is_empty(), "{left:?}");
    // No body at all is a root without files.
    house.ok(&["import", "-", "empty:1"]).await?;
    house.server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn others_read_what_was_imported() -> Result<()> {
    let house = House::new().await?;
    let elsewhere = Registry::start().await?;
    let folder = tempfile::tempdir()?;
    let root = root()?;
    let labels = ["import", "-c", "LABEL made.of=debian"];
    for (name, compressor) in [
        ("plain", &["cat"][..]),
        ("gzip", &["gzip", "-c"]),
        ("xz", &["xz", "-c"]),
    ] {
        let (program, args) = compressor.split_first().context("no program")?;
        let body = piped(program, args, &root).await?;
        let reference = format!("{}/imported/{name}:1", elsewhere.host);
        let args = [&labels[..], &["-", &reference]].concat();
        let id = house.docker.fed(&args, &body).await?.ok()?;

        let file = folder.path().join(name).display().to_string();
        house.ok(&["save", "-o", &file, &reference]).await?;
        let archive = format!("docker-archive:{file}:{reference}");
        let seen = skopeo(&["inspect", &archive]).await?.ok()?;
        let seen: Value = serde_json::from_str(&seen)?;
        ensure!(seen["Labels"]["made.of"] == "debian", "{name}: {seen}");

        house.ok(&["push", &reference]).await?;
        let copy = folder.path().join(format!("{name}.layout"));
        let target = format!("oci:{}:copy", copy.display());
        let source = format!("docker://{reference}");
        skopeo(&["copy", "--src-tls-verify=false", &source, &target])
            .await?
            .ok()?;
        house.ok(&["rmi", &reference]).await?;
        house.ok(&["pull", &reference]).await?;
        let pulled = inspected(&house, &reference).await?;
        ensure!(pulled["Id"] == id.as_str(), "{name}: {pulled}");

        // The files are those that went in.
        let create = ["create", "--name", name, &reference, "true"];
        house.ok(&create).await?;
        let exported = house.docker.run(&["export", name]).await?.archive()?;
        let found = difference(&listing(&root)?, &listing(&exported)?);
        ensure!(found.is_none(), "{name}: {}", found.unwrap_or_default());
        house.ok(&["rm", name]).await?;
    }
    store::settles(house.store.path()).await
}
