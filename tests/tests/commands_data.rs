//! The `strata` commands that move data: push, save, load, import, commit, and containers, without a server.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use strata_tests::client::{Output, skopeo, strata, strata_fed};
use strata_tests::debian;
use strata_tests::image::{Image, layered, small};
use strata_tests::layer::listing::{difference, extracted, listing, stacked};
use strata_tests::layer::{sha256, tar};
use strata_tests::registry::{PASSWORD, Registry, USER};
use strata_tests::store;
use tempfile::TempDir;

/// A store, a registry, and a folder for files.
struct Desk {
    store: TempDir,
    folder: TempDir,
    registry: Registry,
}

impl Desk {
    async fn new() -> Result<Self> {
        Ok(Self {
            store: tempfile::tempdir()?,
            folder: tempfile::tempdir()?,
            registry: Registry::start().await?,
        })
    }

    /// Runs `strata COMMAND --store FOLDER ARGS` with `input`.
    async fn fed(&self, command: &str, args: &[&str], input: &[u8]) -> Result<Output> {
        let store = self.store.path().display().to_string();
        strata_fed(&[&[command, "--store", &store], args].concat(), input).await
    }

    /// What the command prints.
    async fn ok(&self, command: &str, args: &[&str]) -> Result<String> {
        self.fed(command, args, &[]).await?.ok()
    }

    /// The JSON document or lines that the command prints with `--format json`.
    async fn json(&self, command: &str, args: &[&str]) -> Result<Vec<Value>> {
        let args = [&["--format", "json"], args].concat();
        let printed = self.ok(command, &args).await?;
        let documents = serde_json::Deserializer::from_str(&printed).into_iter();
        let documents: Result<Vec<Value>, _> = documents.collect();
        documents.context(printed)
    }

    /// The error the command prints.
    async fn failed(&self, command: &str, args: &[&str]) -> Result<String> {
        self.fed(command, args, &[]).await?.failed()
    }

    /// A path in the folder.
    fn word(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Pushes an image to the registry and pulls it.
    async fn pulled(&self, name: &str, image: &Image) -> Result<String> {
        let reference = self.registry.push(name, "1", image).await?;
        self.ok("pull", &[&reference]).await?;
        Ok(reference)
    }

    /// A container `box` of the layered image.
    async fn created(&self) -> Result<(String, Image)> {
        let (image, _) = layered("desk")?;
        let reference = self.pulled("desk", &image).await?;
        self.ok("create", &["--name", "box", &reference]).await?;
        Ok((reference, image))
    }

    /// `strata export box`.
    async fn export(&self) -> Result<Vec<u8>> {
        self.fed("export", &["box"], &[]).await?.archive()
    }
}

/// Whether any document says this text anywhere.
fn says(documents: &[Value], text: &str) -> bool {
    documents
        .iter()
        .any(|document| document.to_string().contains(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn push_sends_what_was_pulled() -> Result<()> {
    let desk = Desk::new().await?;
    let elsewhere = Registry::start().await?;
    let (image, _) = layered("pushed")?;
    let reference = desk.pulled("pushed", &image).await?;
    let mut targets = Vec::new();
    for tag in ["1", "2"] {
        let target = format!("{}/pushed/again:{tag}", elsewhere.host);
        desk.ok("tag", &[&reference, &target]).await?;
        targets.push(target);
    }
    let printed = desk.ok("push", &[&targets[0]]).await?;
    ensure!(printed.contains(&targets[0]), "{printed}");
    let repository = targets[0].trim_end_matches(":1");
    let documents = desk.json("push", &["-a", repository]).await?;
    ensure!(says(&documents, image.digest()), "{documents:?}");
    for target in &targets {
        let source = format!("docker://{target}");
        let seen = skopeo(&["inspect", "--tls-verify=false", &source]).await?;
        let seen: Value = serde_json::from_str(&seen.ok()?)?;
        ensure!(seen["Digest"] == image.digest(), "{seen}");
    }
    let missing = desk.failed("push", &["127.0.0.1:1/nosuch:1"]).await?;
    ensure!(missing.contains("127.0.0.1:1/nosuch:1"), "{missing}");

    // A registry that asks who it is.
    let guarded = Registry::with_password().await?;
    let target = format!("{}/guarded:1", guarded.host);
    desk.ok("tag", &[&reference, &target]).await?;
    desk.failed("push", &[&target]).await?;
    let args = ["--username", USER, "--password-stdin", &target];
    let printed = desk.fed("push", &args, PASSWORD.as_bytes()).await?;
    ensure!(!printed.stderr.contains(PASSWORD), "{printed:?}");
    printed.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_loads_and_saves_to_the_same_bytes() -> Result<()> {
    let desk = Desk::new().await?;
    let (first, _) = layered("saved")?;
    let second = small("saved too")?;
    let one = desk.pulled("saved/one", &first).await?;
    let two = desk.pulled("saved/two", &second).await?;
    let (a, b) = (desk.word("a.tar"), desk.word("b.tar"));
    desk.ok("save", &["-o", &a, &one, &two]).await?;
    let saved = std::fs::read(&a)?;
    let piped = desk.fed("save", &[&one, &two], &[]).await?.archive()?;
    ensure!(piped == saved, "a pipe gets another archive");
    for name in [&one, &two] {
        let archive = format!("docker-archive:{a}:{name}");
        skopeo(&["inspect", &archive]).await?.ok()?;
    }

    let wipe = async || -> Result<()> {
        desk.ok("rmi", &[&one, &two]).await?;
        desk.ok("prune", &["--all", "--force"]).await?;
        let left = store::blobs(desk.store.path())?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    };
    wipe().await?;
    let printed = desk.ok("load", &["-i", &a]).await?;
    ensure!(
        printed.contains(&one) && printed.contains(&two),
        "{printed}"
    );
    desk.ok("save", &["-o", &b, &one, &two]).await?;
    ensure!(std::fs::read(&b)? == saved, "the second archive differs");
    wipe().await?;
    let piped = desk
        .fed("load", &["--format", "json"], &saved)
        .await?
        .ok()?;
    ensure!(piped.contains(&one) && piped.contains(&two), "{piped}");
    for line in piped.lines() {
        serde_json::from_str::<Value>(line).context(line.to_owned())?;
    }
    desk.ok("save", &["-o", &b, &one, &two]).await?;
    ensure!(std::fs::read(&b)? == saved, "the third archive differs");
    store::settles(desk.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_no_file_and_no_image() -> Result<()> {
    let desk = Desk::new().await?;
    let (reference, _) = desk.created().await?;
    let folder = || -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(desk.folder.path())? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    };
    let file = desk.word("file.tar");
    for (command, args) in [
        ("save", &["-o", &file, "nosuch:1"][..]),
        ("save", &["-o", &file, &reference, "nosuch:1"]),
        (
            "save",
            &["-o", &desk.word("no/such/folder.tar"), &reference],
        ),
        ("export", &["-o", &file, "nosuch"]),
        ("export", &["-o", &desk.word("no/such/folder.tar"), "box"]),
        ("cp", &["box:/nosuch", &file]),
        ("cp", &["nosuch:/etc", &file]),
    ] {
        desk.failed(command, args).await?;
        let left = folder()?;
        ensure!(left.is_empty(), "{command} {args:?} left {left:?}");
    }
    // What was there stays as it was.
    std::fs::write(&file, "kept")?;
    desk.failed("save", &["-o", &file, "nosuch:1"]).await?;
    desk.failed("export", &["-o", &file, "nosuch"]).await?;
    ensure!(std::fs::read_to_string(&file)? == "kept");

    let before = desk.ok("images", &["-q"]).await?;
    for (command, args) in [
        ("load", &["-i", &file][..]),
        ("load", &["-i", &desk.word("nosuch")]),
        ("import", &[&file, "no:1"]),
        ("import", &[&desk.word("nosuch"), "no:1"]),
        ("commit", &["nosuch", "no:1"]),
        ("create", &["--name", "box", &reference]),
        ("create", &["nosuch:1"]),
    ] {
        let said = desk.failed(command, args).await?;
        ensure!(!said.is_empty(), "{command} {args:?}");
        ensure!(
            desk.ok("images", &["-q"]).await? == before,
            "{command} {args:?}"
        );
    }
    store::settles(desk.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn import_makes_an_image_of_a_file_or_a_pipe() -> Result<()> {
    let desk = Desk::new().await?;
    let root = tar(&debian::package("base-files")?)?;
    let file = desk.word("root.tar");
    std::fs::write(&file, &root)?;
    let args = [
        "-c",
        "CMD [\"x\"]",
        "-c",
        "ENV A=1",
        "-m",
        "by command",
        &file,
        "imported:1",
    ];
    let printed = desk.ok("import", &args).await?;
    let inspected = desk.json("inspect", &["imported:1"]).await?;
    let image = &inspected[0][0];
    let id = image["Id"].as_str().context("no Id")?;
    ensure!(printed.contains(id), "{printed} without {id}");
    ensure!(image["Config"]["Cmd"] == json!(["x"]), "{image}");
    ensure!(image["Config"]["Env"] == json!(["A=1"]), "{image}");
    ensure!(image["RootFS"]["Layers"][0] == sha256(&root), "{image}");
    let history = desk.ok("history", &["--format", "json", "imported:1"]);
    ensure!(history.await?.contains("by command"));

    let args = [
        "--format",
        "json",
        "--platform",
        "linux/arm64",
        "-",
        "imported:2",
    ];
    let piped = desk.fed("import", &args, &root).await?.ok()?;
    let other = desk.json("inspect", &["imported:2"]).await?;
    let other = &other[0][0];
    ensure!(other["Architecture"] == "arm64", "{other}");
    let id = other["Id"].as_str().context("no Id")?;
    ensure!(piped.contains(id), "{piped} without {id}");
    let refused = ["-c", "RUN true", &file, "no:1"];
    let refused = desk.failed("import", &refused).await?;
    ensure!(
        refused.contains("is not a valid change command"),
        "{refused}"
    );
    store::settles(desk.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_created_listed_and_removed() -> Result<()> {
    let desk = Desk::new().await?;
    let (image, _) = layered("desk")?;
    let reference = desk.pulled("desk", &image).await?;
    let args = ["--name", "one", "-e", "A=1", &reference, "cmd", "-x"];
    let id = desk.ok("create", &args).await?;
    ensure!(id.len() == 64, "{id}");
    desk.ok("create", &["--name", "two", image.short_id()])
        .await?;
    let taken = desk
        .failed("create", &["--name", "one", &reference])
        .await?;
    ensure!(taken.contains("already in use"), "{taken}");

    let table = desk.ok("ps", &[]).await?;
    ensure!(table.contains("one") && table.contains("two"), "{table}");
    ensure!(table.contains(&id[..12]), "{table}");
    ensure!(table.contains(&reference), "{table}");
    let listed = desk.json("ps", &[]).await?;
    for text in ["one", "two", &id, image.digest()] {
        ensure!(says(&listed, text), "no {text} in {listed:?}");
    }
    let used = desk.failed("rmi", &[&reference]).await?;
    ensure!(used.contains("container"), "{used}");

    desk.ok("rm", &["one", "two"]).await?;
    let listed = desk.ok("ps", &["--format", "json"]).await?;
    ensure!(!listed.contains("one"), "{listed}");
    let missing = desk.failed("rm", &["one"]).await?;
    ensure!(
        missing.to_lowercase().contains("no such container"),
        "{missing}"
    );
    desk.ok("rmi", &[&reference]).await?;
    let left = store::blobs(desk.store.path())?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_in_and_come_out() -> Result<()> {
    let desk = Desk::new().await?;
    desk.created().await?;
    std::fs::create_dir(desk.word("tree"))?;
    std::fs::write(desk.word("tree/inner"), "inner")?;
    std::fs::write(desk.word("file"), "file")?;
    std::fs::create_dir(desk.word("there"))?;
    let (file, tree) = (desk.word("file"), desk.word("tree"));
    let contents = format!("{tree}/.");
    for (source, target) in [
        (file.as_str(), "box:/opt/renamed"),
        (&file, "box:/opt/full"),
        (&tree, "box:/opt/fresh"),
        (&tree, "box:/opt/full"),
        (&contents, "box:/opt/sticky"),
    ] {
        let done = desk.ok("cp", &[source, target]).await;
        done.with_context(|| format!("{source} to {target}"))?;
    }
    for (source, target, path, content) in [
        ("box:/opt/renamed", "renamed", "renamed", "file"),
        ("box:/opt/full/file", "there", "there/file", "file"),
        ("box:/opt/fresh", "new", "new/inner", "inner"),
        ("box:/opt/full", "there", "there/full/tree/inner", "inner"),
        ("box:/opt/sticky/.", "there", "there/inner", "inner"),
        ("box:/opt/full/new", "old", "old", "new\n"),
    ] {
        let done = desk.ok("cp", &[source, &desk.word(target)]).await;
        done.with_context(|| format!("{source} to {target}"))?;
        let found = std::fs::read_to_string(desk.word(path));
        let found = found.with_context(|| format!("{source} to {target}"))?;
        ensure!(found == content, "{source} to {target}: {found:?}");
    }

    let out = desk.fed("cp", &["box:/opt/full", "-"], &[]).await?;
    let out = out.archive()?;
    let listed = listing(&out)?;
    ensure!(listed["full/tree/inner"].content == Some(sha256(b"inner")));
    desk.fed("cp", &["-", "box:/etc"], &out).await?.ok()?;
    let diff = desk.ok("diff", &["box"]).await?;
    let lines: Vec<&str> = diff.lines().collect();
    for line in [
        "C /etc",
        "A /etc/full",
        "A /etc/full/tree/inner",
        "A /opt/renamed",
    ] {
        ensure!(lines.contains(&line), "no {line:?} in:\n{diff}");
    }
    let documents = desk.json("diff", &["box"]).await?;
    ensure!(says(&documents, "/etc/full/tree/inner"), "{documents:?}");
    store::settles(desk.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn export_and_commit_hold_the_image_and_the_copies() -> Result<()> {
    let desk = Desk::new().await?;
    let (reference, image) = desk.created().await?;
    let (_, layers) = layered("desk")?;
    let expected = stacked(&layers).await?;
    let found = difference(&expected, &extracted(&desk.export().await?).await?);
    ensure!(found.is_none(), "{}", found.unwrap_or_default());

    std::fs::write(desk.word("file"), "file")?;
    desk.ok("cp", &[&desk.word("file"), "box:/opt/file"])
        .await?;
    let file = desk.word("exported.tar");
    desk.ok("export", &["-o", &file, "box"]).await?;
    let exported = std::fs::read(&file)?;
    ensure!(
        exported == desk.export().await?,
        "a pipe gets another archive"
    );

    let args = [
        "-a",
        "Ann",
        "-m",
        "by command",
        "-c",
        "USER 1000",
        "box",
        "mine:1",
    ];
    let printed = desk.ok("commit", &args).await?;
    let inspected = desk.json("inspect", &["mine:1"]).await?;
    let committed = &inspected[0][0];
    let id = committed["Id"].as_str().context("no Id")?;
    ensure!(printed.contains(id), "{printed} without {id}");
    ensure!(id != image.digest());
    ensure!(committed["Author"] == "Ann", "{committed}");
    ensure!(committed["Config"]["User"] == "1000", "{committed}");
    let below = committed["RootFS"]["Layers"].as_array();
    ensure!(below.map(Vec::len) == Some(layers.len() + 1), "{committed}");
    let history = desk.ok("history", &["--format", "json", "mine:1"]);
    ensure!(history.await?.contains("by command"));

    desk.ok("create", &["--name", "next", "mine:1"]).await?;
    let next = desk.fed("export", &["next"], &[]).await?.archive()?;
    let found = difference(&listing(&exported)?, &listing(&next)?);
    ensure!(found.is_none(), "{}", found.unwrap_or_default());
    desk.ok("rm", &["box", "next"]).await?;
    desk.ok("rmi", &[&reference, "mine:1"]).await?;
    let left = store::blobs(desk.store.path())?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn help_tells_of_every_command() -> Result<()> {
    let help = strata(&["--help"]).await?.ok()?;
    for name in [
        "push", "save", "load", "import", "commit", "create", "ps", "rm", "cp", "diff", "export",
    ] {
        let listed = help
            .lines()
            .any(|line| line.split_whitespace().next() == Some(name));
        ensure!(listed, "--help does not list {name}");
        let own = strata(&[name, "--help"]).await?.ok()?;
        ensure!(own.contains("Usage: strata"), "{name}: {own}");
        ensure!(own.contains("--store"), "{name} has no --store");
    }
    for (args, text) in [
        (&["cp", "here", "there"][..], "CONTAINER"),
        (&["cp", "one:/a", "two:/b"], "one side"),
        (&["import"], "Usage"),
        (&["save"], "Usage"),
    ] {
        let folder = tempfile::tempdir()?;
        let store = folder.path().join("store");
        let store = store.display().to_string();
        let (name, rest) = args.split_first().context("no command")?;
        let said = strata(&[&[*name, "--store", &store], rest].concat()).await?;
        let said = said.failed()?.to_lowercase();
        ensure!(said.contains(&text.to_lowercase()), "{args:?}: {said}");
    }
    Ok(())
}
