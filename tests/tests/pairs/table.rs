//! The routes the Docker face has, as its source lists them: a line each.
//!
//! The suites see no crate of strata, so they read the text. What they cannot read they do not pass over.

use anyhow::{Context, Result, bail, ensure};
use hyper::Method;
use std::fs;
use strata_tests::workspace;

/// A route of the face.
#[derive(Debug, PartialEq)]
pub(crate) struct Served {
    method: String,
    /// In it `**` is a name.
    path: String,
}

impl Served {
    /// Whether a request without its query is for this route, unless a whole path is another's.
    pub(crate) fn takes(&self, method: &Method, path: &str) -> bool {
        let name = || match self.path.split_once("**") {
            Some((before, after)) => path.strip_prefix(before)?.strip_suffix(after),
            None => None,
        };
        method.as_str() == self.method
            && match self.is_whole() {
                true => self.path == path,
                // The name of a network is told apart elsewhere.
                false => name().is_some_and(|name| {
                    !(name.is_empty() || name.contains('/') && path.starts_with("/networks/"))
                }),
            }
    }

    pub(crate) fn is_whole(&self) -> bool {
        !self.path.contains("**")
    }
}

/// All of them.
pub(crate) fn served() -> Result<Vec<Served>> {
    let file = workspace::root().join("guest/docker/src/route.rs");
    let source = fs::read_to_string(&file)?;
    let (_, table) = source.split_once("const ROUTES").context("no table")?;
    let (table, _) = table.split_once("\n};").context("no end of the table")?;
    let mut served = Vec::new();
    for route in table.split("Route::").skip(1) {
        let (method, rest) = route.split_once('(').context("no method")?;
        let path = rest.trim_start().strip_prefix('"');
        let (path, _) = path.and_then(|it| it.split_once('"')).context("no path")?;
        if !["get", "head", "post", "put", "delete"].contains(&method) {
            bail!("an unknown method: {route}");
        }
        served.push(Served {
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
        });
    }
    Ok(served)
}

#[test]
fn the_table_is_read_whole() -> Result<()> {
    let served = served()?;
    for (method, path) in [
        (Method::HEAD, "/_ping"),
        (Method::POST, "/build/prune"),
        (Method::DELETE, "/images/a/b"),
        (Method::POST, "/images/a/b/push"),
        (Method::DELETE, "/networks/a"),
        (Method::GET, "/plugins/a/json"),
        (Method::PUT, "/containers/a/archive"),
        (Method::POST, "/containers/a/wait"),
    ] {
        let takes = served.iter().any(|served| served.takes(&method, path));
        ensure!(takes, "{method} {path} is not in {served:?}");
    }
    for (method, path) in [
        (Method::POST, "/_ping"),
        (Method::GET, "/images/a"),
        (Method::GET, "/networks/a/b"),
        (Method::GET, "/containers/a/start"),
    ] {
        let takes = served.iter().any(|served| served.takes(&method, path));
        ensure!(!takes, "{method} {path} is in {served:?}");
    }
    Ok(())
}
