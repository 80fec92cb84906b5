//! What the two sides of a copy mean: pure rules, docker's.
//!
//! <https://docs.docker.com/reference/cli/docker/container/cp/>

use anyhow::bail;

/// One side of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Side<'a> {
    /// A path here, or `-`.
    Local(&'a str),
    /// A container and an absolute path in it.
    Container(&'a str, String),
}

impl Side<'_> {
    /// Reads `PATH`, `CONTAINER:PATH` or `-`. A local path with `:` in it is written with `/` or
    /// `.` at its start.
    pub(crate) fn of(text: &str) -> Side<'_> {
        match text.split_once(':') {
            Some((name, path)) if !name.is_empty() && !name.starts_with(['.', '/']) => {
                let slash = if path.starts_with('/') { "" } else { "/" };
                Side::Container(name, format!("{slash}{path}"))
            }
            _ => Side::Local(text),
        }
    }
}

/// What is copied.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Its last component.
    pub(crate) name: String,
    /// It has contents.
    pub(crate) is_directory: bool,
    /// Only these are meant, not the directory itself.
    pub(crate) contents_only: bool,
}

/// What is at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing yet.
    Nothing,
    /// What is no directory.
    File,
    /// A directory, perhaps by way of a link.
    Directory,
}

/// Where a copy goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The directory it goes into.
    pub(crate) folder: String,
    /// Its name there; `None` for contents, which keep their own.
    pub(crate) name: Option<String>,
}

/// Whether a path of a directory means what is in it: `.`, what ends with `/.`, and the root.
pub(crate) fn means_contents(path: &str) -> bool {
    path == "." || path.ends_with("/.") || path.trim_end_matches('/').is_empty()
}

/// Where a source goes that is copied to `path`.
///
/// # Errors
///
/// If it cannot go there.
pub(crate) fn target(source: &Source, path: &str, found: Found) -> anyhow::Result<Target> {
    let wants_directory = path.ends_with('/') || path.ends_with("/.");
    match found {
        Found::Directory => Ok(Target {
            folder: path.to_owned(),
            name: (!source.contents_only).then(|| source.name.clone()),
        }),
        Found::File if source.is_directory => {
            bail!("{path} is a file, where a directory cannot be copied to")
        }
        Found::File if wants_directory => bail!("{path} is not a directory"),
        Found::Nothing if wants_directory && !source.is_directory => {
            bail!("there is no directory {path}; create it first, or leave the / at the end out")
        }
        Found::File | Found::Nothing => split(path),
    }
}

/// A path's directory and last component.
fn split(path: &str) -> anyhow::Result<Target> {
    let bare = path.strip_suffix("/.").unwrap_or(path);
    let bare = bare.trim_end_matches('/');
    let (folder, name) = match bare.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", bare),
    };
    if matches!(name, "" | "." | "..") {
        bail!("there is no directory {path}");
    }
    Ok(Target {
        folder: folder.to_owned(),
        name: Some(name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_read_as_docker_reads_them() {
        let inside = |name, path: &str| Side::Container(name, path.into());
        for (text, side) in [
            ("-", Side::Local("-")),
            ("a/b", Side::Local("a/b")),
            ("/a:b", Side::Local("/a:b")),
            ("./a:b", Side::Local("./a:b")),
            (":a", Side::Local(":a")),
            ("box:/a", inside("box", "/a")),
            ("box:a/.", inside("box", "/a/.")),
            ("box:", inside("box", "/")),
            ("box:/a:b", inside("box", "/a:b")),
        ] {
            assert_eq!(Side::of(text), side, "{text}");
        }
    }

    #[test]
    fn copies_go_where_dockers_go() {
        let file = ("f", false, false);
        let folder = ("d", true, false);
        let contents = ("d", true, true);
        let go = |folder, name: Option<&'static str>| Some((folder, name));
        for (source, path, found, expected) in [
            (file, "/a/b", Found::Nothing, go("/a", Some("b"))),
            (file, "/b", Found::Nothing, go("/", Some("b"))),
            (file, "b", Found::Nothing, go(".", Some("b"))),
            (file, "/a/b/", Found::Nothing, None),
            (file, "/a/b", Found::File, go("/a", Some("b"))),
            (file, "/a/b/", Found::File, None),
            (file, "/a/b", Found::Directory, go("/a/b", Some("f"))),
            (file, ".", Found::Directory, go(".", Some("f"))),
            (folder, "/a/b", Found::Nothing, go("/a", Some("b"))),
            (folder, "/a/b/", Found::Nothing, go("/a", Some("b"))),
            (folder, "/a/b", Found::File, None),
            (folder, "/a/b", Found::Directory, go("/a/b", Some("d"))),
            (contents, "/a/b", Found::Nothing, go("/a", Some("b"))),
            (contents, "/a/b", Found::File, None),
            (contents, "/a/b", Found::Directory, go("/a/b", None)),
            (contents, "/a/..", Found::Nothing, None),
        ] {
            let source = Source {
                name: source.0.into(),
                is_directory: source.1,
                contents_only: source.2,
            };
            let target = target(&source, path, found).ok();
            let expected = expected.map(|(folder, name)| Target {
                folder: folder.into(),
                name: name.map(Into::into),
            });
            assert_eq!(target, expected, "{source:?} to {path}, {found:?}");
        }
    }

    #[test]
    fn a_dot_at_the_end_means_the_contents() {
        for (path, contents) in [
            (".", true),
            ("a/.", true),
            ("/", true),
            ("//", true),
            ("/.", true),
            ("a", false),
            ("a.", false),
            ("a/..", false),
        ] {
            assert_eq!(means_contents(path), contents, "{path}");
        }
    }
}
