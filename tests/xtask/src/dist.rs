//! What people install: a tarball, and a Debian package of the same files.
//!
//! The binary is static, so that it runs on any Linux of its architecture. Two runs in one folder give the same bytes:
//! every time is that of the last commit, or of `SOURCE_DATE_EPOCH`. The host has no paths of this machine in it, the
//! component still has.
//! <https://reproducible-builds.org/docs/source-date-epoch/>

use crate::build::{self, CODE};
use crate::cargo::{cargo, command, output, root, run, target_dir};
use crate::peers;
use anyhow::{Context, Result};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The architecture, as Rust, and as Debian names it.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];
/// The version of everything in this workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds and packs. Prints nothing; returns the files.
pub(crate) fn all() -> Result<Vec<PathBuf>> {
    let architecture = std::env::consts::ARCH;
    let (_, debian) = ARCHITECTURES
        .into_iter()
        .find(|(rust, _)| *rust == architecture)
        .with_context(|| format!("{architecture} is no architecture that strata is built for"))?;
    peers::install(&peers::FOR_DIST)?;
    let binary = binary(&format!("{architecture}-unknown-linux-musl"))?;
    let epoch = epoch()?;

    let dist = target_dir()?.join("dist");
    remove(&dist)?;
    let name = format!("strata-{VERSION}-{architecture}-linux");
    let tree = dist.join(&name);
    furnish(&tree, &binary)?;
    let tarball = dist.join(format!("{name}.tar.gz"));
    readable(&tree)?;
    tar(&dist, &name, &tarball, epoch)?;

    let package = dist.join(format!("strata_{VERSION}_{debian}.deb"));
    let build = dist.join("deb");
    install_tree(&tree, &build.join("usr"), debian)?;
    readable(&build)?;
    run(command("dpkg-deb")
        .args(["--build", "--root-owner-group", "-Zxz"])
        .args([&build, &package])
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .stdout(std::io::stderr()))?;
    remove(&build)?;

    let sums = dist.join("SHA256SUMS");
    let names = [&tarball, &package].map(|file| file.file_name().unwrap_or_default());
    let text = output(command("sha256sum").args(names).current_dir(&dist))?;
    write(&sums, text.as_bytes(), false)?;
    Ok(vec![tarball, package, sums])
}

/// The static binary.
fn binary(triple: &str) -> Result<PathBuf> {
    build::target(triple)?;
    let target = target_dir()?;
    let code = build::component_code(&target)?;
    let home = output(command("sh").args(["-c", "printf %s \"${CARGO_HOME:-$HOME/.cargo}\""]))?;
    let flags = [
        format!("--remap-path-prefix={}=strata", root().display()),
        format!("--remap-path-prefix={home}=cargo"),
        "-Cstrip=symbols".to_owned(),
    ];
    // Of C sources the assertions name their files.
    let c = format!(
        "-ffile-prefix-map={}=strata -ffile-prefix-map={home}=cargo",
        root().display()
    );
    run(cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "-p",
            "strata",
            "--target",
            triple,
        ])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CFLAGS", c)
        .env(CODE, &code))?;
    Ok(target.join(triple).join("release/strata"))
}

/// Seconds since 1970 that every file gets.
fn epoch() -> Result<u64> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let text = match given {
        Some(given) => given,
        None => output(command("git").args(["log", "-1", "--format=%ct"]))
            .context("the time of the last commit is not known; set SOURCE_DATE_EPOCH")?,
    };
    let text = text.trim();
    text.parse()
        .with_context(|| format!("{text:?} are no seconds since 1970"))
}

/// Puts everything where it is below `/usr` or `/usr/local`.
fn furnish(tree: &Path, binary: &Path) -> Result<()> {
    let share = tree.join("share");
    write(&tree.join("bin/strata"), &fs::read(binary)?, true)?;
    let strata = tree.join("bin/strata");
    for (shell, file) in [
        ("bash", "bash-completion/completions/strata"),
        ("zsh", "zsh/site-functions/_strata"),
        ("fish", "fish/vendor_completions.d/strata.fish"),
    ] {
        let script = output(command(&strata).args(["completion", shell]))?;
        write(&share.join(file), script.as_bytes(), false)?;
    }
    let pages = share.join("man/man1");
    run(command(&strata).arg("man").arg(&pages))?;
    for unit in ["strata.socket", "strata.service"] {
        let text = fs::read(root().join("host/strata/systemd").join(unit))?;
        write(&tree.join("lib/systemd/user").join(unit), &text, false)?;
    }
    for text in ["README.md", "LICENSE", "CHANGELOG.md"] {
        let to = share.join("doc/strata").join(text);
        write(&to, &fs::read(root().join(text))?, false)?;
    }
    Ok(())
}

/// The same below `usr`, as Debian's policy wants it: pages compressed, the licence under its name.
/// <https://www.debian.org/doc/debian-policy/ch-docs.html>
fn install_tree(tree: &Path, usr: &Path, architecture: &str) -> Result<()> {
    make(usr)?;
    run(command("cp").arg("-a").arg(tree.join(".")).arg(usr))?;
    let doc = usr.join("share/doc/strata");
    fs::rename(doc.join("LICENSE"), doc.join("copyright"))?;
    let mut pages = vec![doc.join("CHANGELOG.md")];
    for page in fs::read_dir(usr.join("share/man/man1"))? {
        pages.push(page?.path());
    }
    run(command("gzip").args(["-9", "--no-name"]).args(pages))?;
    let size = output(command("du").args(["-sk", "--apparent-size"]).arg(usr))?;
    let size = size.split_whitespace().next().unwrap_or("0").to_owned();
    let control = format!(
        "Package: strata\n\
         Version: {VERSION}\n\
         Architecture: {architecture}\n\
         Maintainer: The strata authors <strata@localhost>\n\
         Installed-Size: {size}\n\
         Recommends: ca-certificates\n\
         Section: admin\n\
         Priority: optional\n\
         Description: container-image engine in a WebAssembly sandbox\n \
         Pulls, pushes, saves, loads and serves container images, to the docker\n \
         command line as well. What reads the bytes of strangers runs in a sandbox;\n \
         images are kept in an OCI image layout.\n"
    );
    let folder = usr.with_file_name("DEBIAN");
    write(&folder.join("control"), control.as_bytes(), false)
}

/// A gzip-compressed tar of a folder, whose bytes depend on the files only.
fn tar(within: &Path, folder: &str, to: &Path, epoch: u64) -> Result<()> {
    run(command("tar")
        .args(["--sort=name", "--format=ustar", "--owner=0", "--group=0"])
        .args(["--numeric-owner", "--use-compress-program=gzip -9n"])
        .arg(format!("--mtime=@{epoch}"))
        .arg("-C")
        .arg(within)
        .arg("-cf")
        .args([to.as_os_str(), folder.as_ref()]))
}

fn write(path: &Path, bytes: &[u8], is_program: bool) -> Result<()> {
    if let Some(folder) = path.parent() {
        make(folder)?;
    }
    let mode = if is_program { 0o755 } else { 0o644 };
    fs::write(path, bytes)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .with_context(|| format!("could not write {}", path.display()))
}

/// Modes that do not depend on the umask: who may execute a file, everybody may.
fn readable(tree: &Path) -> Result<()> {
    run(command("chmod").args(["-R", "u=rwX,go=rX"]).arg(tree))
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
