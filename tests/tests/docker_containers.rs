//! The unmodified docker CLI creates, lists and removes containers that never run, and images know who uses them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use strata_tests::client::Docker;
use strata_tests::house::House;
use strata_tests::image::{Image, Schema, layered, short, small};
use strata_tests::layer::{Compression, Layer};
use strata_tests::server::Server;
use strata_tests::store;

/// An image that says what to run, in the house's store.
async fn pulled(house: &House, name: &str) -> Result<(String, Image)> {
    let layer = Layer::from_text("etc/name", name, Compression::Gzip)?;
    let image = Image::builder(Schema::Oci)
        .layer(layer, "COPY name /etc/name")
        .config("Cmd", json!(["hostname", "--fqdn"]))
        .config("Env", json!(["PATH=/usr/bin:/bin", "KEPT=image"]))
        .config("WorkingDir", json!("/etc"))
        .labels(json!({"from": "image", "tier": "image"}))
        .build();
    let reference = house.pulled(name, "1", &image).await?;
    Ok((reference, image))
}

/// What `docker inspect` says about one container or image.
async fn inspected(house: &House, name: &str) -> Result<Value> {
    let printed = house.ok(&["inspect", name]).await?;
    let mut documents: Vec<Value> = serde_json::from_str(&printed)?;
    documents.pop().context("nothing inspected")
}

/// `docker ps -a ARGS` as names, sorted.
async fn names(house: &House, args: &[&str]) -> Result<Vec<String>> {
    let command = [&["ps", "-a", "--format", "{{.Names}}"], args].concat();
    let printed = house.ok(&command).await?;
    let mut names: Vec<String> = printed.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

#[tokio::test(flavor = "multi_thread")]
async fn create_takes_a_name_an_id_or_a_prefix() -> Result<()> {
    let house = House::new().await?;
    let (reference, image) = pulled(&house, "created").await?;
    for (name, asked) in [
        ("by-name", reference.as_str()),
        ("by-id", image.digest()),
        ("by-prefix", image.short_id()),
    ] {
        let id = house.ok(&["create", "--name", name, asked]).await?;
        let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(id.len() == 64 && hex, "not an ID: {id:?}");
        for handle in [name, &id, &id[..12]] {
            let found = inspected(&house, handle).await?;
            ensure!(found["Id"] == id.as_str(), "{handle}: {found}");
            ensure!(found["Name"] == format!("/{name}"), "{handle}: {found}");
            ensure!(found["Image"] == image.digest(), "{handle}: {found}");
            ensure!(found["Config"]["Image"] == asked, "{handle}: {found}");
        }
    }
    // Without a name docker's users expect one made up.
    let id = house.ok(&["create", &reference]).await?;
    let found = inspected(&house, &id).await?;
    let name = found["Name"].as_str().unwrap_or_default();
    ensure!(name.len() > 1 && name.starts_with('/'), "{found}");
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_the_config_of_its_image_under_its_own() -> Result<()> {
    let house = House::new().await?;
    let (reference, _) = pulled(&house, "config").await?;
    house.ok(&["create", "--name", "plain", &reference]).await?;
    house
        .ok(&[
            "create",
            "--name",
            "changed",
            "--env",
            "KEPT=container",
            "--env",
            "ADDED=1",
            "--label",
            "tier=container",
            "--user",
            "1000:100",
            "--workdir",
            "/opt",
            "--hostname",
            "here",
            "--memory",
            "64m",
            "--volume",
            "/data",
            "--publish",
            "127.0.0.1:8080:80",
            &reference,
            "true",
            "x y",
        ])
        .await?;

    let plain = inspected(&house, "plain").await?;
    ensure!(plain["State"]["Status"] == "created", "{plain}");
    ensure!(plain["State"]["Running"] == false, "{plain}");
    ensure!(plain["Path"] == "hostname", "{plain}");
    ensure!(plain["Args"] == json!(["--fqdn"]), "{plain}");
    let config = &plain["Config"];
    ensure!(config["Cmd"] == json!(["hostname", "--fqdn"]), "{config}");
    let env = json!(["PATH=/usr/bin:/bin", "KEPT=image"]);
    ensure!(config["Env"] == env, "{config}");
    ensure!(config["WorkingDir"] == "/etc", "{config}");
    let labels = json!({"from": "image", "tier": "image"});
    ensure!(config["Labels"] == labels, "{config}");

    let changed = inspected(&house, "changed").await?;
    ensure!(changed["Path"] == "true", "{changed}");
    ensure!(changed["Args"] == json!(["x y"]), "{changed}");
    let host = &changed["HostConfig"];
    ensure!(host["Memory"] == 64 << 20, "{host}");
    let port = &host["PortBindings"]["80/tcp"][0]["HostPort"];
    ensure!(port == "8080", "{host}");
    let config = &changed["Config"];
    let mut env: Vec<&str> = config["Env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    env.sort_unstable();
    let expected = ["ADDED=1", "KEPT=container", "PATH=/usr/bin:/bin"];
    ensure!(env == expected, "{config}");
    ensure!(config["User"] == "1000:100", "{config}");
    ensure!(config["WorkingDir"] == "/opt", "{config}");
    ensure!(config["Hostname"] == "here", "{config}");
    let labels = json!({"from": "image", "tier": "container"});
    ensure!(config["Labels"] == labels, "{config}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_created_is_said_as_docker_says_it() -> Result<()> {
    let house = House::new().await?;
    let (reference, _) = pulled(&house, "refused").await?;
    let id = house.ok(&["create", "--name", "taken", &reference]).await?;

    let taken = house
        .failed(&["create", "--name", "taken", &reference])
        .await?;
    let text = format!(
        "Conflict. The container name \"/taken\" is already in use by container \"{id}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    );
    ensure!(taken.contains(&text), "{taken}");

    let invalid = house
        .failed(&["create", "--name", "in/valid", &reference])
        .await?;
    let text = "Invalid container name (in/valid), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed";
    ensure!(invalid.contains(text), "{invalid}");

    // The CLI pulls what is missing, by the word that no such image is here.
    let missing = house.failed(&["create", "127.0.0.1:1/nosuch:1"]).await?;
    let text = "Unable to find image '127.0.0.1:1/nosuch:1' locally";
    ensure!(missing.contains(text), "{missing}");
    ensure!(missing.contains("connection refused"), "{missing}");
    let late = small_with_command(&house, "late").await?;
    house.ok(&["create", "--name", "late", &late]).await?;

    let never = house
        .failed(&["create", "--pull", "never", "127.0.0.1:1/nosuch:1"])
        .await?;
    ensure!(
        never.contains("No such image: 127.0.0.1:1/nosuch:1"),
        "{never}"
    );
    let nothing = house.pulled("nothing", "1", &small("nothing")?).await?;
    let idle = house.failed(&["create", &nothing]).await?;
    ensure!(idle.contains("no command specified"), "{idle}");
    house
        .ok(&["create", "--name", "told", &nothing, "true"])
        .await?;

    let other = house
        .failed(&[
            "create",
            "--platform",
            "linux/s390x",
            "--pull",
            "never",
            &reference,
        ])
        .await?;
    ensure!(other.contains("linux/s390x"), "{other}");
    ensure!(names(&house, &[]).await? == ["late", "taken", "told"]);
    house.server.answers().await
}

/// A reference that only the registry knows.
async fn small_with_command(house: &House, name: &str) -> Result<String> {
    let layer = Layer::from_text("etc/name", name, Compression::Gzip)?;
    let image = Image::builder(Schema::Oci)
        .layer(layer, "COPY name /etc/name")
        .config("Cmd", json!(["true"]))
        .build();
    house.registry.push(name, "1", &image).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ps_shows_filters_and_counts() -> Result<()> {
    let house = House::new().await?;
    let (first, image) = pulled(&house, "listed/first").await?;
    let (second, _) = pulled(&house, "listed/second").await?;
    let mut ids = Vec::new();
    for (name, reference, label) in [
        ("one", &first, "rank=1"),
        ("two", &second, "rank=2"),
        ("three", &second, "rank=3"),
    ] {
        let id = house
            .ok(&["create", "--name", name, "--label", label, reference])
            .await?;
        ids.push(id);
    }

    let table = house.ok(&["ps", "-a"]).await?;
    let heading: Vec<&str> = table
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let columns = [
        "CONTAINER",
        "ID",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
        "NAMES",
    ];
    ensure!(heading == columns, "{table}");
    let format = "{{.ID}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.State}}|{{.Names}}";
    let rows = house.ok(&["ps", "-a", "--format", format]).await?;
    let row = |id: &str, image: &str, name: &str| {
        format!(
            "{}|{image}|\"hostname --fqdn\"|Created|created|{name}",
            &id[..12]
        )
    };
    let expected = [
        row(&ids[2], &second, "three"),
        row(&ids[1], &second, "two"),
        row(&ids[0], &first, "one"),
    ];
    ensure!(rows == expected.join("\n"), "{rows}");

    // Nothing runs, so without -a there is nothing.
    ensure!(house.ok(&["ps", "-q"]).await?.is_empty());
    let all = house.ok(&["ps", "-aq", "--no-trunc"]).await?;
    ensure!(all.lines().rev().eq(ids.iter()), "{all}");
    ensure!(house.ok(&["ps", "-ql"]).await? == ids[2][..12]);
    ensure!(house.ok(&["ps", "-q", "-n", "2"]).await?.lines().count() == 2);

    let id = format!("id={}", &ids[1][..12]);
    let ancestor = format!("ancestor={first}");
    let ancestor_id = format!("ancestor={}", image.short_id());
    for (filter, expected) in [
        ("name=t", &["three", "two"][..]),
        ("name=^/one$", &["one"]),
        (&id, &["two"]),
        ("label=rank", &["one", "three", "two"]),
        ("label=rank=3", &["three"]),
        ("label=from=image", &["one", "three", "two"]),
        (&ancestor, &["one"]),
        (&ancestor_id, &["one"]),
        ("status=created", &["one", "three", "two"]),
        ("status=running", &[]),
        ("before=two", &["one"]),
        ("since=two", &["three"]),
    ] {
        let found = names(&house, &["--filter", filter]).await?;
        ensure!(found == expected, "--filter {filter}: {found:?}");
    }
    let refused = house.failed(&["ps", "--filter", "nonsense=1"]).await?;
    ensure!(refused.contains("invalid filter 'nonsense'"), "{refused}");
    let size = house
        .ok(&["ps", "-as", "--filter", "name=one", "--format", "{{.Size}}"])
        .await?;
    ensure!(size.starts_with("0B (virtual "), "{size}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_run_a_container_says_that_nothing_runs_here() -> Result<()> {
    let house = House::new().await?;
    let (reference, _) = pulled(&house, "started").await?;
    house.ok(&["create", "--name", "idle", &reference]).await?;

    let start = house.docker.run(&["start", "idle"]).await?;
    ensure!(start.status == 1, "{start:?}");
    ensure!(start.stderr.contains("not supported"), "{start:?}");
    let run = house
        .docker
        .run(&["run", "-d", "--name", "run", &reference])
        .await?;
    ensure!(run.status == 125, "{run:?}");
    ensure!(run.stderr.contains("not supported"), "{run:?}");
    // In the foreground the CLI attaches before it starts, and with `--rm` waits for the removal.
    let names = ["ps", "-a", "--format", "{{.Names}}"];
    let before = house.ok(&names).await?;
    for options in [
        &["run", "--rm"][..],
        &["run", "--rm", "-i"],
        &["run", "--rm", "-d"],
    ] {
        let run = house.docker.run(&[options, &[&reference]].concat()).await?;
        ensure!(run.status == 125, "{run:?}");
        ensure!(run.stderr.contains("not supported"), "{run:?}");
        ensure!(!run.stderr.contains("rror waiting"), "{run:?}");
        let after = house.ok(&names).await?;
        ensure!(after == before, "{options:?} left {after}");
    }
    for (command, text) in [
        (&["exec", "idle", "true"][..], "not "),
        (&["restart", "idle"], "not supported"),
        (&["kill", "idle"], "is not running"),
        (&["pause", "idle"], "is not running"),
        (&["start", "nosuch"], "No such container: nosuch"),
    ] {
        let said = house.failed(command).await?;
        ensure!(said.contains(text), "{command:?}: {said}");
    }
    // What has nothing to stop is stopped.
    house.ok(&["stop", "idle"]).await?;
    let state = inspected(&house, "idle").await?["State"].clone();
    ensure!(state["Status"] == "created", "{state}");
    house.server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rm_takes_names_and_ids_and_prune_takes_the_rest() -> Result<()> {
    let house = House::new().await?;
    let (reference, _) = pulled(&house, "removed").await?;
    for name in ["one", "two", "three", "four"] {
        house.ok(&["create", "--name", name, &reference]).await?;
    }
    let two = inspected(&house, "two").await?;
    let two = two["Id"].as_str().unwrap_or_default()[..12].to_owned();
    ensure!(house.ok(&["rm", "one", &two]).await? == format!("one\n{two}"));
    ensure!(house.ok(&["rm", "-f", "-v", "three"]).await? == "three");
    let missing = house.failed(&["rm", "one"]).await?;
    ensure!(missing.contains("No such container: one"), "{missing}");
    ensure!(names(&house, &[]).await? == ["four"]);

    // The name is free again, also after a prune.
    house.ok(&["create", "--name", "one", &reference]).await?;
    let printed = house.ok(&["container", "prune", "-f"]).await?;
    ensure!(printed.starts_with("Deleted Containers:\n"), "{printed}");
    ensure!(printed.contains("Total reclaimed space: "), "{printed}");
    ensure!(names(&house, &[]).await?.is_empty());
    house.ok(&["create", "--name", "one", &reference]).await?;
    house.ok(&["rm", "one"]).await?;

    house.ok(&["rmi", &reference]).await?;
    let left = store::blobs(house.store.path())?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_image_stays_until_it_is_forced_and_its_content_longer() -> Result<()> {
    let house = House::new().await?;
    let (image, layers) = layered("used")?;
    let reference = house.pulled("used", "1", &image).await?;
    let id = house.ok(&["create", "--name", "user", &reference]).await?;

    let refused = house.failed(&["rmi", &reference]).await?;
    let text = format!(
        "Error response from daemon: conflict: unable to delete {reference} (must be forced) - \
         container {} is using its referenced image {}",
        &id[..12],
        image.short_id()
    );
    ensure!(refused == text, "{refused}");
    let refused = house.failed(&["rmi", image.short_id()]).await?;
    let text = format!(
        "conflict: unable to delete {} (must be forced) - image is being used by stopped container {}",
        image.short_id(),
        &id[..12]
    );
    ensure!(refused.contains(&text), "{refused}");
    ensure!(count(&house, &image).await? == 1);

    let printed = house.ok(&["rmi", "-f", &reference]).await?;
    ensure!(printed == format!("Untagged: {reference}"), "{printed}");
    ensure!(house.images(&[]).await? == ["<none>:<none>"]);
    ensure!(count(&house, &image).await? == 1);
    // Used by a container, it is no prune's.
    let pruned = house.ok(&["image", "prune", "-af"]).await?;
    ensure!(pruned == "Total reclaimed space: 0B", "{pruned}");
    let kept = store::blobs(house.store.path())?;
    for layer in &layers {
        ensure!(kept.contains(&layer.digest), "{} is gone", layer.digest);
    }
    let found = inspected(&house, "user").await?;
    ensure!(found["Image"] == image.digest(), "{found}");
    let tar = house.docker.run(&["cp", "user:/etc/name", "-"]).await?;
    ensure!(tar.archive()?.len() > 512);

    // By ID even the image goes, but not what the container reads.
    house.ok(&["rmi", "-f", image.short_id()]).await?;
    house.ok(&["image", "prune", "-af"]).await?;
    let tar = house.docker.run(&["cp", "user:/opt/keep", "-"]).await?;
    ensure!(tar.archive()?.len() > 512);

    house.ok(&["rm", "user"]).await?;
    house.ok(&["image", "prune", "-af"]).await?;
    let left = store::blobs(house.store.path())?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

/// How many containers the API says use an image.
async fn count(house: &House, image: &Image) -> Result<i64> {
    let listed = house.server.http.get("/images/json").await?.json()?;
    let images = listed.as_array().context("no list")?;
    let found = images.iter().find(|found| found["Id"] == image.digest());
    let found = found.with_context(|| format!("{} is not listed", short(image.digest())))?;
    found["Containers"].as_i64().context("no count")
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_with_all_keeps_the_name_a_container_was_made_by() -> Result<()> {
    let house = House::new().await?;
    let (used, image) = pulled(&house, "pruned/used").await?;
    let (unused, other) = pulled(&house, "pruned/unused").await?;
    house.ok(&["tag", &used, "spare:1"]).await?;
    house.ok(&["create", "--name", "user", &used]).await?;
    ensure!(count(&house, &image).await? == 1);
    ensure!(count(&house, &other).await? == 0);

    let printed = house.ok(&["image", "prune", "-af"]).await?;
    for line in [
        format!("untagged: {unused}"),
        "untagged: spare:1".to_owned(),
        format!("deleted: {}", other.digest()),
    ] {
        ensure!(printed.contains(&line), "no {line:?} in:\n{printed}");
    }
    ensure!(house.images(&[]).await? == [used.as_str()]);
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_outlive_the_server() -> Result<()> {
    let house = House::new().await?;
    let (reference, image) = pulled(&house, "outlived").await?;
    let id = house.ok(&["create", "--name", "kept", &reference]).await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("file"), "copied")?;
    let file = folder.path().join("file").display().to_string();
    house.ok(&["cp", &file, "kept:/etc/copied"]).await?;
    let House { server, store, .. } = house;
    server.kill().await?;

    let server = Server::start(store.path(), &[]).await?;
    let docker = Docker::new(&server.host)?;
    let listed = docker
        .run(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}"])
        .await?
        .ok()?;
    ensure!(listed == format!("{id} kept"), "{listed}");
    let diff = docker.run(&["diff", "kept"]).await?.ok()?;
    ensure!(diff == "C /etc\nA /etc/copied", "{diff}");
    let listed = server.http.get("/images/json").await?.json()?;
    ensure!(listed[0]["Id"] == image.digest(), "{listed}");
    ensure!(listed[0]["Containers"] == 1, "{listed}");
    store::settles(store.path()).await
}
