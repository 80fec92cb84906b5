//! The floors of the house: who may import whom. ARCHITECTURE.md says why.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_tests::workspace;

/// Each crate, and the crates of the house it may depend on, in any way. From the top floor down, as in
/// ARCHITECTURE.md; who is not here may not be in the house.
const FLOORS: &[(&str, &[&str])] = &[
    // What a user sees, and nothing else.
    ("tests", &[]),
    ("tests/xtask", &[]),
    (
        "tests/fuzz",
        &["guest/docker", "guest/engine", "guest/http", "guest/oci"],
    ),
    (
        "host/strata",
        // The suites' library serves its tests.
        &[
            "guest/oci",
            "host/code",
            "host/codec",
            "host/store",
            "tests",
        ],
    ),
    ("host/store", &["guest/oci", "host/codec"]),
    ("host/codec", &["guest/oci"]),
    ("host/code", &[]),
    (
        "guest/component",
        &["guest/docker", "guest/engine", "guest/http", "guest/oci"],
    ),
    // A face, which uses no other face.
    ("guest/docker", &["guest/engine", "guest/http", "guest/oci"]),
    ("guest/http", &["guest/engine", "guest/oci"]),
    ("guest/engine", &["guest/registry", "guest/oci"]),
    ("guest/registry", &["guest/oci"]),
    ("guest/oci", &[]),
];

/// Who may use crates that know wasm: by the beginnings of their names, and the folders.
const WASM: &[(&[&str], &[&str])] = &[
    (&["wasmtime", "wasi-"], &["host/strata", "host/code"]),
    (&["wasip", "wit-", "spin-"], &["guest/component"]),
];

/// All that the documents need: texts, formats and hashes, and nothing that reads or waits.
const PURE: &[&str] = &[
    "base64",
    "hex",
    "serde",
    "serde_json",
    "sha2",
    "tar",
    "thiserror",
    "time",
];

/// A workspace member: where it stands, and the names of all it depends on, in any way.
struct Member {
    folder: String,
    dependencies: Vec<String>,
}

#[test]
fn imports_point_down() -> Result<()> {
    let members = members()?;
    for (name, upper) in &members {
        let row = FLOORS.iter().find(|(folder, _)| *folder == upper.folder);
        let (_, allowed) = row.with_context(|| format!("{name} has no floor"))?;
        for dependency in &upper.dependencies {
            let Some(lower) = members.get(dependency) else {
                continue;
            };
            ensure!(
                // Of itself: a crate's tests may want another of its features.
                lower.folder == upper.folder || allowed.contains(&lower.folder.as_str()),
                "{name} depends on {dependency}, which is not below it"
            );
        }
    }
    Ok(())
}

/// What the engine does, each in a module of its own.
const OPERATIONS: [&str; 7] = [
    "archive",
    "check",
    "container",
    "curation",
    "import",
    "pull",
    "push",
];
/// What changes the store for them.
const WRITING: [&str; 5] = ["assembly", "diff_ids", "fetch", "garbage", "naming"];

#[test]
fn no_operation_of_the_engine_uses_another() -> Result<()> {
    let seen = modules_used_by("container")?;
    for module in ["catalog", "naming", "rootfs"] {
        let is_seen = seen.iter().any(|(_, used)| used == module);
        ensure!(is_seen, "imports are not seen: {seen:?}");
    }
    for operation in OPERATIONS {
        for (path, used) in modules_used_by(operation)? {
            let is_other = used != operation && OPERATIONS.contains(&used.as_str());
            ensure!(!is_other, "{} uses {used}", path.display());
        }
    }
    for module in WRITING.iter().chain(&["rootfs", "registry"]) {
        for (path, used) in modules_used_by(module)? {
            let is_above = OPERATIONS.contains(&used.as_str());
            ensure!(!is_above, "{} uses {used}", path.display());
        }
    }
    Ok(())
}

#[test]
fn what_reads_images_knows_nothing_that_writes() -> Result<()> {
    for (path, used) in modules_used_by("catalog")? {
        let mut writing = OPERATIONS.iter().chain(&WRITING);
        ensure!(
            writing.all(|module| *module != used),
            "{} uses {used}",
            path.display()
        );
    }
    for (path, line) in code(Path::new("guest/engine"))? {
        let changes = line.contains(".apply(") || line.contains("Change::");
        let reads = path.components().any(|part| part.as_os_str() == "catalog");
        ensure!(
            !(reads && changes) || is_test(&path),
            "{}: changes names: {line}",
            path.display()
        );
    }
    Ok(())
}

/// The modules of the engine that one of them imports or names, file by file; its tests may
/// use what they like.
fn modules_used_by(module: &str) -> Result<Vec<(PathBuf, String)>> {
    let sources = workspace::root().join("guest/engine/src");
    let (file, folder) = (
        sources.join(module).with_extension("rs"),
        sources.join(module),
    );
    let mut used = Vec::new();
    let mut text = BTreeMap::<PathBuf, String>::new();
    for (path, line) in code(Path::new("guest/engine"))? {
        if (path == file || path.starts_with(&folder)) && !is_test(&path) {
            text.entry(path).or_default().push_str(&line);
        }
    }
    ensure!(!text.is_empty(), "there is no module {module}");
    for (path, text) in text {
        let text: String = text.split_whitespace().collect();
        let text = text
            .split("#[cfg(test)]modtests{")
            .next()
            .unwrap_or_default();
        for rest in text.split("crate::").skip(1) {
            let mut names = Vec::new();
            match rest.strip_prefix('{') {
                Some(group) => {
                    let mut depth = 0;
                    for part in group.split_inclusive(['{', '}', ',']) {
                        if depth == 0 {
                            names.push(part);
                        }
                        match part.chars().last() {
                            Some('{') => depth += 1,
                            Some('}') if depth == 0 => break,
                            Some('}') => depth -= 1,
                            _ => {}
                        }
                    }
                }
                None => names.push(rest),
            }
            for name in names {
                let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
                used.push((path.clone(), name.to_owned()));
            }
        }
    }
    Ok(used)
}

fn is_test(path: &Path) -> bool {
    let mut parts = path.iter().filter_map(|part| part.to_str());
    parts.any(|part| {
        matches!(
            part,
            "tests" | "testing" | "tests.rs" | "testing.rs" | "fixture.rs"
        )
    })
}

#[test]
fn wasm_is_known_where_it_is_run_and_where_it_is_made() -> Result<()> {
    for (name, member) in &members()? {
        for dependency in &member.dependencies {
            for (families, folders) in WASM {
                let is_one = families.iter().any(|family| dependency.starts_with(family));
                ensure!(
                    !is_one || folders.contains(&member.folder.as_str()),
                    "{name} depends on {dependency}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_documents_do_no_io() -> Result<()> {
    let members = members()?;
    let documents = members
        .values()
        .find(|member| member.folder == "guest/oci")
        .context("no guest/oci")?;
    for dependency in &documents.dependencies {
        ensure!(
            PURE.contains(&dependency.as_str()),
            "guest/oci depends on {dependency}"
        );
    }
    // The standard library is no dependency.
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
fn only_the_component_and_the_host_see_generated_bindings() -> Result<()> {
    for member in members()?.values() {
        if ["guest/component", "host/strata"].contains(&member.folder.as_str())
            || member.folder.starts_with("tests")
        {
            continue;
        }
        for (path, line) in code(Path::new(&member.folder))? {
            ensure!(
                !line.contains("bindings::"),
                "{}: `bindings::`: {line}",
                path.display()
            );
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
        let folder = folder.strip_prefix(workspace::root())?;
        let folder = folder.to_string_lossy().into_owned();
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
