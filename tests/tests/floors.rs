//! The floors of the house: who may import whom. ARCHITECTURE.md says why.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_tests::workspace;

/// A workspace member: where it stands, and the names of all it depends on, in any way.
struct Member {
    folder: PathBuf,
    dependencies: Vec<String>,
}

impl Member {
    fn is_below(&self, folder: &str) -> bool {
        self.folder.starts_with(folder)
    }
}

#[test]
fn the_host_loads_the_component_and_depends_on_no_guest_crate() -> Result<()> {
    let members = members()?;
    for (name, member) in members.iter().filter(|(_, member)| member.is_below("host")) {
        for dependency in &member.dependencies {
            let guest = members
                .get(dependency)
                .is_some_and(|member| member.is_below("guest"));
            ensure!(
                !guest,
                "{name} depends on {dependency}, which lives in guest/"
            );
        }
    }
    Ok(())
}

#[test]
fn the_store_and_codecs_know_nothing_of_wasm() -> Result<()> {
    let members = members()?;
    for folder in ["host/store", "host/codec"] {
        for dependency in &member(&members, folder)?.dependencies {
            let wasm = ["wasmtime", "wasi", "wit", "wasm"]
                .iter()
                .any(|prefix| dependency.starts_with(prefix));
            ensure!(!wasm, "{folder} depends on {dependency}");
        }
    }
    Ok(())
}

#[test]
fn guest_imports_point_down() -> Result<()> {
    // Whatever stands between `http` and the component is a face, and uses what is below it, not another face.
    let floor = |member: &Member| match member.folder.to_str() {
        Some("guest/oci") => 0,
        Some("guest/engine") => 1,
        Some("guest/http") => 2,
        Some("guest/component") => 4,
        _ => 3,
    };
    let members = members()?;
    for (name, upper) in members
        .iter()
        .filter(|(_, member)| member.is_below("guest"))
    {
        for dependency in &upper.dependencies {
            let Some(lower) = members.get(dependency) else {
                continue;
            };
            ensure!(
                lower.is_below("guest"),
                "{name} is a guest and depends on {dependency}"
            );
            ensure!(
                floor(lower) < floor(upper),
                "{name} depends on {dependency}, which is not below it"
            );
        }
    }
    Ok(())
}

#[test]
fn the_suites_see_only_what_a_user_sees() -> Result<()> {
    let members = members()?;
    for dependency in &member(&members, "tests")?.dependencies {
        ensure!(
            !members.contains_key(dependency),
            "the suites depend on {dependency}"
        );
    }
    Ok(())
}

#[test]
fn the_documents_do_no_io() -> Result<()> {
    for (path, line) in code(Path::new("guest/oci"))? {
        for word in [
            "async ",
            ".await",
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
            "std::env",
        ] {
            ensure!(
                !line.contains(word),
                "{}: `{word}` in guest/oci: {line}",
                path.display()
            );
        }
    }
    Ok(())
}

#[test]
fn what_every_face_needs_knows_no_api() -> Result<()> {
    for (path, line) in code(Path::new("guest/http"))? {
        let names_one = line.to_lowercase().contains("docker");
        ensure!(
            !names_one,
            "{}: Docker in guest/http: {line}",
            path.display()
        );
    }
    Ok(())
}

#[test]
fn only_the_component_sees_generated_bindings() -> Result<()> {
    for (name, member) in members()?
        .iter()
        .filter(|(_, member)| member.is_below("guest"))
    {
        if member.folder == Path::new("guest/component") {
            continue;
        }
        for crate_name in ["wasip3", "wasip2", "wit-bindgen", "spin-sdk"] {
            ensure!(
                !member.dependencies.iter().any(|name| name == crate_name),
                "{name} depends on {crate_name}"
            );
        }
        for (path, line) in code(&member.folder)? {
            for word in ["wasip3", "wit_bindgen", "bindings::"] {
                ensure!(!line.contains(word), "{}: `{word}`: {line}", path.display());
            }
        }
    }
    Ok(())
}

fn members() -> Result<BTreeMap<String, Member>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(workspace::root())
        .output()?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut members = BTreeMap::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        let manifest = Path::new(
            package["manifest_path"]
                .as_str()
                .context("no manifest_path")?,
        );
        let folder = manifest.parent().context("a manifest in no folder")?;
        let folder = folder.strip_prefix(workspace::root())?.to_path_buf();
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let dependencies = dependencies
            .filter_map(|d| d["name"].as_str().map(str::to_owned))
            .collect();
        let name = package["name"].as_str().context("no name")?.to_owned();
        members.insert(
            name,
            Member {
                folder,
                dependencies,
            },
        );
    }
    Ok(members)
}

fn member<'a>(members: &'a BTreeMap<String, Member>, folder: &str) -> Result<&'a Member> {
    let found = members
        .values()
        .find(|member| member.folder == Path::new(folder));
    found.with_context(|| format!("no workspace member in {folder}"))
}

/// The lines of a crate's sources that are not comments.
fn code(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut lines = Vec::new();
    let mut folders = vec![workspace::root().join(folder).join("src")];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path)?;
                let code = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                lines.extend(code.map(|line| (path.clone(), line.to_owned())));
            }
        }
    }
    ensure!(!lines.is_empty(), "no sources in {}", folder.display());
    Ok(lines)
}
