//! The real programs the tests and the bench talk to, from Debian's packages.

use crate::cargo::{command, run};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program and the first of its packages that the distribution knows is the one installed.
pub(crate) struct Peer {
    program: &'static str,
    packages: &'static [&'static str],
}

const REGISTRY: Peer = Peer {
    program: "docker-registry",
    packages: &["docker-registry"],
};
const SKOPEO: Peer = Peer {
    program: "skopeo",
    packages: &["skopeo"],
};
// Newer Debian splits the client from the daemon.
const DOCKER: Peer = Peer {
    program: "docker",
    packages: &["docker-cli", "docker.io"],
};
// Makes the private authority of the TLS tests.
const OPENSSL: Peer = Peer {
    program: "openssl",
    packages: &["openssl"],
};
const PODMAN: Peer = Peer {
    program: "podman",
    packages: &["podman"],
};

// libFuzzer is C++.
const CXX: Peer = Peer {
    program: "c++",
    packages: &["g++"],
};

// SQLite, zstd, xz and ring are C.
const MUSL: Peer = Peer {
    program: "musl-gcc",
    packages: &["musl-tools"],
};

/// What `cargo xtask dist` needs.
pub(crate) const FOR_DIST: [Peer; 1] = [MUSL];
/// What `cargo xtask test` needs.
pub(crate) const FOR_TESTS: [Peer; 5] = [REGISTRY, SKOPEO, DOCKER, OPENSSL, CXX];
/// What `cargo xtask fuzz` needs.
pub(crate) const FOR_FUZZING: [Peer; 1] = [CXX];
/// What `cargo xtask bench` needs.
pub(crate) const FOR_BENCH: [Peer; 4] = [REGISTRY, SKOPEO, DOCKER, PODMAN];

/// Installs the packages of those peers that are not on `PATH`.
pub(crate) fn install(peers: &[Peer]) -> Result<()> {
    let missing: Vec<&Peer> = peers
        .iter()
        .filter(|peer| on_path(peer.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<&str> = missing.iter().map(|peer| peer.program).collect();
    let programs = programs.join(", ");
    if on_path("apt-get").is_none() {
        bail!(
            "not on PATH: {programs}; this machine has no apt-get, so install them and run the task again"
        );
    }
    eprintln!("installing {programs} (apt-get)");
    run(&mut apt(&["update", "-qq"])?)
        .with_context(|| format!("could not refresh the package lists to install {programs}"))?;
    let mut packages = Vec::new();
    for peer in &missing {
        let known = peer.packages.iter().find(|package| is_known(package));
        packages
            .push(*known.with_context(|| format!("no Debian package provides {}", peer.program))?);
    }
    let mut install = vec!["install", "-qq", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    let installed = run(&mut apt(&install)?);
    // A package's own service failing to start is no concern of ours: only the programs count.
    for peer in missing {
        if on_path(peer.program).is_none() {
            installed?;
            bail!(
                "{} is not on PATH after installing {}",
                peer.program,
                packages.join(" ")
            );
        }
    }
    Ok(())
}

pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

fn is_known(package: &str) -> bool {
    let shown = command("apt-cache")
        .args(["show", package])
        .stderr(Stdio::null())
        .output();
    shown.is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}

/// apt-get as root: directly, or through a sudo that asks nothing.
fn apt(args: &[&str]) -> Result<Command> {
    let user = command("id")
        .arg("-u")
        .output()
        .context("could not start `id`")?;
    let mut apt = if user.stdout.trim_ascii() == b"0" {
        command("env")
    } else if on_path("sudo").is_some() {
        let mut sudo = command("sudo");
        sudo.args(["-n", "env"]);
        sudo
    } else {
        bail!(
            "installing packages needs root: run `apt-get {}` as root, then the task again",
            args.join(" ")
        );
    };
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .args(args);
    // The task's standard output is its own; dpkg's chatter belongs beside cargo's.
    apt.stdin(Stdio::null()).stdout(std::io::stderr());
    Ok(apt)
}
