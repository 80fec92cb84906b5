//! `docker cp`, `diff` and `export` of containers: what goes in comes out, and nothing leaves the container's root.

use anyhow::{Context, Result, ensure};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use strata_tests::debian::{Content, Entry};
use strata_tests::house::House;
use strata_tests::image::{Image, Schema, layered};
use strata_tests::layer::listing::{difference, extracted, listing, stacked};
use strata_tests::layer::{Compression, Layer, noise, sha256, tar};
use strata_tests::store;
use tempfile::TempDir;

/// A house with a container `box` of the layered image, and a folder of this machine to copy from and to.
struct Copies {
    house: House,
    layers: Vec<Layer>,
    folder: TempDir,
}

impl Copies {
    async fn new() -> Result<Self> {
        let house = House::new().await?;
        let (image, layers) = layered("copies")?;
        let reference = house.pulled("copies", "1", &image).await?;
        house.ok(&["create", "--name", "box", &reference]).await?;
        let folder = tempfile::tempdir()?;
        Ok(Self {
            house,
            layers,
            folder,
        })
    }

    /// A path in the folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as a word of a command line.
    fn word(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file with all folders on the way.
    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        Ok(std::fs::write(path, content)?)
    }

    /// `docker cp ARGS SOURCE TARGET`, which succeeds.
    async fn cp(&self, args: &[&str], source: &str, target: &str) -> Result<()> {
        self.house
            .ok(&[&["cp"], args, &[source, target]].concat())
            .await?;
        Ok(())
    }

    /// The error of `docker cp SOURCE TARGET`.
    async fn refused(&self, source: &str, target: &str) -> Result<String> {
        self.house.failed(&["cp", source, target]).await
    }

    /// The tar that `docker cp box:PATH -` writes.
    async fn tar(&self, path: &str) -> Result<Vec<u8>> {
        let source = format!("box:{path}");
        self.house
            .docker
            .run(&["cp", &source, "-"])
            .await?
            .archive()
    }

    /// The content of one file of the container.
    async fn content(&self, path: &str) -> Result<String> {
        let listed = listing(&self.tar(path).await?)?;
        let (_, member) = listed.first_key_value().context("an empty tar")?;
        member
            .content
            .clone()
            .with_context(|| format!("{path} is {member:?}"))
    }

    /// `docker diff box`, line by line.
    async fn diff(&self) -> Result<Vec<String>> {
        let printed = self.house.ok(&["diff", "box"]).await?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// `docker export box`.
    async fn export(&self) -> Result<Vec<u8>> {
        self.house.docker.run(&["export", "box"]).await?.archive()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_in_puts_files_and_folders_where_docker_puts_them() -> Result<()> {
    let copies = Copies::new().await?;
    copies.write("file", b"file")?;
    copies.write("tree/inner/deep", b"deep")?;
    copies.write("tree/top", b"top")?;
    let (file, tree) = (copies.word("file"), copies.word("tree"));
    let contents = format!("{tree}/.");
    for (source, target, path, content) in [
        (&file, "/opt/renamed", "/opt/renamed", "file"),
        (&file, "/opt/keep", "/opt/keep", "file"),
        (&file, "/opt/full", "/opt/full/file", "file"),
        (&file, "/opt/", "/opt/file", "file"),
        (&tree, "/opt/fresh", "/opt/fresh/inner/deep", "deep"),
        (&tree, "/opt/full", "/opt/full/tree/inner/deep", "deep"),
        (&contents, "/opt/sticky", "/opt/sticky/top", "top"),
        (&contents, "/opt/born", "/opt/born/inner/deep", "deep"),
        (&file, "relative", "/relative", "file"),
    ] {
        let target = format!("box:{target}");
        copies.cp(&[], source, &target).await?;
        let found = copies.content(path).await.context(target.clone())?;
        ensure!(found == sha256(content.as_bytes()), "{source} to {target}");
    }
    // Beside what came, what was there.
    let full = listing(&copies.tar("/opt/full").await?)?;
    ensure!(full.contains_key("full/new"), "{:?}", full.keys());
    ensure!(!full.contains_key("full/old"), "{:?}", full.keys());

    for (source, target, text) in [
        (&file, "box:/nosuch/", "no such directory"),
        (&file, "box:/nosuch/file", "Could not find the file /nosuch"),
        (&tree, "box:/opt/keep", "cannot copy directory"),
        (&file, "nosuch:/opt", "No such container: nosuch"),
    ] {
        let said = copies.refused(source, target).await?;
        ensure!(said.contains(text), "{source} to {target}: {said}");
    }
    store::settles(copies.house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_out_writes_files_and_folders_where_docker_writes_them() -> Result<()> {
    let copies = Copies::new().await?;
    std::fs::create_dir(copies.path("there"))?;
    for (source, target, path, content) in [
        ("/opt/keep", "renamed", "renamed", "keep\n"),
        ("/opt/keep", "there", "there/keep", "keep\n"),
        ("/opt/full", "fresh", "fresh/new", "new\n"),
        ("/opt/full", "there", "there/full/new", "new\n"),
        ("/opt/full/.", "there", "there/new", "new\n"),
        ("opt/hard-b", "linked", "linked", "hard-a\n"),
        ("/opt/../opt/./keep", "cleaned", "cleaned", "keep\n"),
    ] {
        let (source, target) = (format!("box:{source}"), copies.word(target));
        copies.cp(&[], &source, &target).await?;
        let found = std::fs::read_to_string(copies.path(path));
        let found = found.with_context(|| format!("{source} to {target}"))?;
        ensure!(found == content, "{source} to {target}: {found:?}");
    }
    // A link is copied as a link, or followed inside the container.
    copies
        .cp(&[], "box:/opt/link", &copies.word("link"))
        .await?;
    let link = std::fs::read_link(copies.path("link"))?;
    ensure!(link == Path::new("/opt/keep"), "{link:?}");
    let target = copies.word("followed");
    copies.cp(&["-L"], "box:/opt/link", &target).await?;
    ensure!(std::fs::read_to_string(&target)? == "keep\n");
    let metadata = std::fs::symlink_metadata(&target)?;
    ensure!(metadata.is_file() && metadata.permissions().mode() & 0o777 == 0o640);

    for (source, text) in [
        (
            "box:/opt/gone",
            "Could not find the file /opt/gone in container box",
        ),
        ("box:/opt/full/old", "Could not find the file /opt/full/old"),
        ("box:/opt/keep/below", "keep/below"),
        ("nosuch:/opt", "No such container: nosuch"),
    ] {
        let said = copies.refused(source, &copies.word("no")).await?;
        ensure!(said.contains(text), "{source}: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_this_machine_are_copied_as_links_or_followed() -> Result<()> {
    let copies = Copies::new().await?;
    copies.write("real", b"real")?;
    symlink("real", copies.path("link"))?;
    let link = copies.word("link");
    copies.cp(&[], &link, "box:/opt/as-link").await?;
    copies.cp(&["-L"], &link, "box:/opt/as-file").await?;
    let listed = listing(&copies.tar("/opt/as-link").await?)?;
    ensure!(listed["as-link"].link == "real", "{listed:?}");
    ensure!(copies.content("/opt/as-file").await? == sha256(b"real"));

    // Through a link of the container's, to where it leads in there.
    copies
        .cp(&[], &copies.word("real"), "box:/opt/link")
        .await?;
    let listed = listing(&copies.tar("/opt").await?)?;
    ensure!(
        listed["opt/keep"].content == Some(sha256(b"real")),
        "{listed:?}"
    );
    ensure!(listed["opt/link"].link == "/opt/keep", "{listed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_owners_times_and_long_names_survive_both_ways() -> Result<()> {
    let copies = Copies::new().await?;
    let (long, wide) = ("n".repeat(200), "d".repeat(120));
    let deep = format!("tree/{wide}/{wide}/{long}");
    copies.write(&deep, b"deep")?;
    copies.write("tree/setuid", b"setuid")?;
    copies.write("tree/déjà vu \"quoted\"", b"name")?;
    let setuid = copies.path("tree/setuid");
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(&setuid, Some(1234), Some(99_999))?;
    }
    std::fs::set_permissions(&setuid, std::fs::Permissions::from_mode(0o6751))?;
    let past = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_111_111_111);
    std::fs::File::open(&setuid)?.set_modified(past)?;
    let owner = std::fs::metadata(&setuid)?;
    let owner = (u64::from(owner.uid()), u64::from(owner.gid()));

    copies
        .cp(&[], &copies.word("tree"), "box:/opt/kept")
        .await?;
    let listed = listing(&copies.tar("/opt/kept").await?)?;
    let found = &listed["kept/setuid"];
    ensure!(found.mode == 0o6751, "{found:?}");
    ensure!(found.modified == 1_111_111_111, "{found:?}");
    ensure!(found.owner == owner, "{found:?}");
    let name = format!("kept/{wide}/{wide}/{long}");
    ensure!(listed[&name].content == Some(sha256(b"deep")));
    ensure!(listed["kept/déjà vu \"quoted\""].content == Some(sha256(b"name")));

    // With -a all of it belongs to the container's user, who is root here.
    copies
        .cp(&["-a"], &copies.word("tree"), "box:/opt/owned-by-user")
        .await?;
    let listed = listing(&copies.tar("/opt/owned-by-user/setuid").await?)?;
    ensure!(!root || listed["setuid"].owner == owner, "{listed:?}");

    copies
        .cp(&[], "box:/opt/kept", &copies.word("back"))
        .await?;
    let back = std::fs::metadata(copies.path("back/setuid"))?;
    ensure!(back.permissions().mode() & 0o7777 == 0o6751, "{back:?}");
    ensure!(back.modified()? == past, "{back:?}");
    let deep = copies.path(&format!("back/{wide}/{wide}/{long}"));
    ensure!(std::fs::read(deep)? == b"deep");

    // What the image's layers say comes out as well.
    let listed = listing(&copies.tar("/opt").await?)?;
    ensure!(listed["opt/setuid"].mode == 0o4755, "{listed:?}");
    ensure!(listed["opt/sticky"].mode == 0o1777, "{listed:?}");
    ensure!(listed["opt/owned"].owner == (1000, 100), "{listed:?}");
    ensure!(
        listed["opt/old-time"].modified == 1_000_000_000,
        "{listed:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_with_archive_belong_to_the_containers_user() -> Result<()> {
    let copies = Copies::new().await?;
    let image = copies.house.images(&[]).await?.concat();
    copies
        .house
        .ok(&["create", "--name", "mine", "--user", "4321:8765", &image])
        .await?;
    copies.write("file", b"file")?;
    let file = copies.word("file");
    copies.cp(&["-a"], &file, "mine:/opt/archived").await?;
    copies.cp(&[], &file, "mine:/opt/copied").await?;
    let tar = copies.house.docker.run(&["cp", "mine:/opt", "-"]).await?;
    let listed = listing(&tar.archive()?)?;
    ensure!(listed["opt/archived"].owner == (4321, 8765), "{listed:?}");
    let own = std::fs::metadata(copies.path("file"))?;
    let own = (u64::from(own.uid()), u64::from(own.gid()));
    ensure!(listed["opt/copied"].owner == own, "{listed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_go_in_and_out_through_pipes_and_may_take_files_away() -> Result<()> {
    let copies = Copies::new().await?;
    let file = |path: &str, text: &'static str| Entry {
        path: path.to_owned(),
        mode: 0o600,
        content: Content::File(text.into()),
    };
    let plain = tar(&[
        file("piped/a", "a"),
        file(".wh.keep", ""),
        file("full/.wh.new", ""),
    ])?;
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
        let archive = Layer::from_tar(&plain, compression)?.bytes;
        copies.house.ok(&["rm", "box"]).await?;
        let image = copies.house.images(&[]).await?.concat();
        copies
            .house
            .ok(&["create", "--name", "box", &image])
            .await?;
        let fed = copies.house.docker.fed(&["cp", "-", "box:/opt"], &archive);
        fed.await?.ok()?;
        let expected = [
            "C /opt",
            "C /opt/full",
            "D /opt/full/new",
            "D /opt/keep",
            "A /opt/piped",
            "A /opt/piped/a",
        ];
        let diff = copies.diff().await?;
        ensure!(diff == expected, "{compression:?}: {diff:?}");
    }
    let out = listing(&copies.tar("/opt/piped").await?)?;
    ensure!(out["piped/a"].mode == 0o600, "{out:?}");

    // Into another container, as docker's users do it.
    let image = copies.house.images(&[]).await?.concat();
    copies
        .house
        .ok(&["create", "--name", "other", &image])
        .await?;
    let piped = copies.tar("/opt/piped").await?;
    let fed = copies.house.docker.fed(&["cp", "-", "other:/etc"], &piped);
    fed.await?.ok()?;
    let diff = copies.house.ok(&["diff", "other"]).await?;
    ensure!(diff == "C /etc\nA /etc/piped\nA /etc/piped/a", "{diff}");

    // What is torn or no tar changes nothing.
    let before = copies.export().await?;
    for (what, broken) in [
        ("torn", &plain[..700]),
        ("no tar", &b"this is not a tar".repeat(100)[..]),
    ] {
        let fed = copies.house.docker.fed(&["cp", "-", "box:/opt"], broken);
        fed.await?.failed().context(what)?;
        ensure!(copies.export().await? == before, "{what}");
    }
    let said = copies
        .house
        .docker
        .fed(&["cp", "-", "box:/opt/owned"], &plain);
    let said = said.await?.failed()?;
    ensure!(said.contains("must be a directory"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_nowhere_outside_the_container() -> Result<()> {
    let house = House::new().await?;
    let outside = tempfile::tempdir()?;
    std::fs::write(outside.path().join("secret"), "secret of this machine")?;
    let host = outside.path().display().to_string();
    let link = |path: &str, target: String| Entry {
        path: path.to_owned(),
        mode: 0o777,
        content: Content::Symlink(target),
    };
    let secret = Entry {
        path: format!("{}/inside", host.trim_start_matches('/')),
        mode: 0o644,
        content: Content::File("inside".into()),
    };
    let entries = [
        link("absolute", host.clone()),
        link("upwards", format!("../../../../../../..{host}")),
        link("chain", "absolute".to_owned()),
        link("circle", "circle".to_owned()),
        link("nowhere", "/nosuch/folder".to_owned()),
        secret,
    ];
    let layer = Layer::from_entries(&entries, Compression::Gzip)?;
    let image = Image::builder(Schema::Oci)
        .layer(layer, "COPY links /")
        .config("Cmd", serde_json::json!(["true"]))
        .build();
    let reference = house.pulled("links", "1", &image).await?;
    house.ok(&["create", "--name", "box", &reference]).await?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file").display().to_string();
    std::fs::write(&file, "copied")?;
    for way in ["absolute", "upwards", "chain"] {
        let target = format!("box:/{way}/{way}");
        house.ok(&["cp", &file, &target]).await?;
        let stolen = format!("box:/{way}/secret");
        let said = house.failed(&["cp", &stolen, "-"]).await?;
        ensure!(said.contains("Could not find the file"), "{way}: {said}");
        let inside = format!("box:/{way}/inside");
        let tar = house.docker.run(&["cp", &inside, "-"]).await?.archive()?;
        let found = listing(&tar)?["inside"].content.clone();
        ensure!(found == Some(sha256(b"inside")), "{way}");
    }
    for way in ["circle", "nowhere"] {
        house
            .failed(&["cp", &file, &format!("box:/{way}/")])
            .await?;
    }
    // Each landed in the container's folder of that name, and there is one more file of this machine: none.
    let exported = house.docker.run(&["export", "box"]).await?.archive()?;
    let exported = listing(&exported)?;
    for way in ["absolute", "upwards", "chain"] {
        let path = format!("{}/{way}", host.trim_start_matches('/'));
        ensure!(exported.contains_key(&path), "no {path}");
    }
    let left: Vec<_> = std::fs::read_dir(outside.path())?.collect();
    ensure!(left.len() == 1, "written outside: {left:?}");

    // Entries of an archive that would climb out are refused as a whole. The tar crate refuses to write them.
    for name in ["../climbed", "a/../../climbed"] {
        let mut header = tar::Header::new_gnu();
        let field = header.as_old_mut().name.get_mut(..name.len());
        field
            .context("a name too long")?
            .copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_size(0);
        header.set_cksum();
        let mut archive = header.as_bytes().to_vec();
        archive.resize(archive.len() + 1024, 0);
        let fed = house.docker.fed(&["cp", "-", "box:/absolute"], &archive);
        fed.await?.failed().context(name)?;
    }
    house.server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_pass_whole_both_ways() -> Result<()> {
    const SIZE: usize = 64 << 20;
    let copies = Copies::new().await?;
    let content = noise(7, SIZE);
    copies.write("large", &content)?;
    copies
        .cp(&[], &copies.word("large"), "box:/opt/large")
        .await?;
    copies
        .cp(&[], "box:/opt/large", &copies.word("back"))
        .await?;
    ensure!(std::fs::read(copies.path("back"))? == content);
    let size = copies
        .house
        .ok(&["inspect", "--size", "--format", "{{.SizeRw}}", "box"]);
    let size = size.await?;
    ensure!(size == SIZE.to_string(), "{size}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_tells_what_was_added_changed_and_deleted() -> Result<()> {
    let copies = Copies::new().await?;
    ensure!(copies.diff().await?.is_empty());
    copies.write("file", b"file")?;
    copies.write("tree/inner", b"inner")?;
    let file = copies.word("file");
    copies.cp(&[], &file, "box:/etc/issue").await?;
    copies.cp(&[], &file, "box:/opt/full/added").await?;
    copies
        .cp(&[], &copies.word("tree"), "box:/opt/tree")
        .await?;
    let gone = tar(&[Entry {
        path: ".wh.sticky".to_owned(),
        mode: 0o644,
        content: Content::File("".into()),
    }])?;
    let fed = copies.house.docker.fed(&["cp", "-", "box:/opt"], &gone);
    fed.await?.ok()?;
    let expected = [
        "C /etc",
        "C /etc/issue",
        "C /opt",
        "C /opt/full",
        "A /opt/full/added",
        "D /opt/sticky",
        "A /opt/tree",
        "A /opt/tree/inner",
    ];
    let diff = copies.diff().await?;
    ensure!(diff == expected, "{diff:?}");
    let missing = copies.house.failed(&["diff", "nosuch"]).await?;
    ensure!(missing.contains("No such container: nosuch"), "{missing}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn export_is_what_the_layers_and_the_copies_come_to() -> Result<()> {
    let copies = Copies::new().await?;
    let expected = stacked(&copies.layers).await?;
    let exported = extracted(&copies.export().await?).await?;
    let found = difference(&expected, &exported);
    ensure!(found.is_none(), "{}", found.unwrap_or_default());

    let text = |path: &str, text: &'static str| Entry {
        path: path.to_owned(),
        mode: 0o644,
        content: Content::File(text.into()),
    };
    // What was a directory becomes a file, and a file a directory: only a pipe can say so.
    let changes = tar(&[
        text("opt/.wh.hard-a", ""),
        text("opt/.wh.full", ""),
        text("opt/added", "added"),
        text("etc/name", "changed"),
    ])?;
    let fed = copies.house.docker.fed(&["cp", "-", "box:/"], &changes);
    fed.await?.ok()?;
    let full = tar(&[text("full", "now a file")])?;
    let fed = copies.house.docker.fed(&["cp", "-", "box:/opt"], &full);
    fed.await?.ok()?;
    let mut layers = copies.layers.clone();
    layers.push(Layer::from_tar(&changes, Compression::Plain)?);
    let again = tar(&[text("opt/full", "now a file")])?;
    layers.push(Layer::from_tar(&again, Compression::Plain)?);
    let expected = stacked(&layers).await?;
    let exported = extracted(&copies.export().await?).await?;
    let found = difference(&expected, &exported);
    ensure!(found.is_none(), "{}", found.unwrap_or_default());
    // The other name of a file that lost one still has the content.
    ensure!(exported["opt/hard-b"].content == Some(sha256(b"hard-a\n")));

    let file = copies.word("exported.tar");
    copies.house.ok(&["export", "-o", &file, "box"]).await?;
    ensure!(std::fs::read(&file)? == copies.export().await?);
    let missing = copies
        .house
        .failed(&["export", "-o", &file, "nosuch"])
        .await?;
    ensure!(missing.contains("No such container: nosuch"), "{missing}");
    store::settles(copies.house.store.path()).await
}
