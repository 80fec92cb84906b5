//! The routes the Docker face has, as its source lists them: one arm of a `match` each.
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
    path: Path,
}

#[derive(Debug, PartialEq)]
enum Path {
    Whole(String),
    /// `/kind/NAME/verb`; without a verb whatever the name ends with.
    Named {
        kind: String,
        verb: Option<String>,
    },
}

impl Served {
    /// Whether a request without its query is for this route, unless a whole path is another's.
    pub(crate) fn takes(&self, method: &Method, path: &str) -> bool {
        method.as_str() == self.method
            && match &self.path {
                Path::Whole(whole) => whole == path,
                Path::Named { kind, verb } => {
                    let rest = path.strip_prefix(&format!("/{kind}/"));
                    let rest = rest.unwrap_or_default();
                    match verb.as_deref() {
                        None => !rest.is_empty(),
                        Some("") => !rest.is_empty() && !rest.contains('/'),
                        Some(verb) => rest
                            .strip_suffix(verb)
                            .is_some_and(|name| name.ends_with('/') && name.len() > 1),
                    }
                }
            }
    }

    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.path, Path::Whole(_))
    }
}

/// All of them.
pub(crate) fn served() -> Result<Vec<Served>> {
    let mut served = Vec::new();
    let mut add = |methods: &[String], path: &dyn Fn() -> Path| {
        let new = methods.iter().map(|method| Served {
            method: method.clone(),
            path: path(),
        });
        served.extend(new);
    };
    for arm in arms("route.rs", "fn fixed(")? {
        let [Words(methods), Words(paths)] = &*arm else {
            bail!("no method and path: {arm:?}");
        };
        for path in paths {
            add(methods, &|| Path::Whole(path.clone()));
        }
    }
    let mut of_containers = arms("route/container.rs", "fn of(")?;
    of_containers.extend(arms("route/container.rs", "impl Process")?);
    for arm in arms("route.rs", "fn named(")? {
        let [methods, Words(kinds), verbs] = &*arm else {
            bail!("no method, kind and verb: {arm:?}");
        };
        let kind = kinds.first().context("no kind")?;
        match (methods, verbs) {
            (Words(methods), Anything) => add(methods, &|| Path::Named {
                kind: kind.clone(),
                verb: None,
            }),
            (Words(methods), Words(verbs)) => {
                for verb in verbs {
                    add(methods, &|| Path::Named {
                        kind: kind.clone(),
                        verb: Some(verb.clone()),
                    });
                }
            }
            // Told apart elsewhere.
            (Anything, Anything) if kind == "containers" => {
                for arm in &of_containers {
                    let [Words(methods), Words(verbs)] = &**arm else {
                        bail!("no method and verb: {arm:?}");
                    };
                    for verb in verbs {
                        add(methods, &|| Path::Named {
                            kind: kind.clone(),
                            verb: Some(verb.clone()),
                        });
                    }
                }
            }
            _ => bail!("unknown arm {arm:?}"),
        }
    }
    Ok(served)
}

/// What an arm says of one thing it looks at.
#[derive(Debug)]
enum Pattern {
    /// One of these.
    Words(Vec<String>),
    Anything,
}
use Pattern::{Anything, Words};

/// The arms of the first `match` after `start`, but for the last one, which takes what is left.
fn arms(file: &str, start: &str) -> Result<Vec<Vec<Pattern>>> {
    let file = workspace::root().join("guest/docker/src").join(file);
    let source = fs::read_to_string(&file)?;
    let (_, rest) = source.split_once(start).context(start.to_owned())?;
    let (_, rest) = rest.split_once(" = match (").context(start.to_owned())?;
    let mut arms = Vec::new();
    for line in rest.lines() {
        let Some((pattern, _)) = line.trim().split_once(" => ") else {
            ensure!(!line.contains("=>"), "an arm of several lines: {line}");
            continue;
        };
        if pattern == "_" {
            return Ok(arms);
        }
        arms.push(patterns(pattern).with_context(|| line.to_owned())?);
    }
    bail!("no end of the arms in {} after {start}", file.display())
}

/// The patterns of `("GET" | "HEAD", kind, "")`.
fn patterns(tuple: &str) -> Result<Vec<Pattern>> {
    let tuple = tuple.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
    let parts = tuple.context("no tuple")?.split(", ");
    parts
        .map(|part| {
            if part
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase())
            {
                return Ok(Anything);
            }
            let words = part.split(" | ").map(|word| {
                let word = word.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
                Ok(word.context("no word in quotes")?.to_owned())
            });
            Ok(Words(words.collect::<Result<_>>()?))
        })
        .collect()
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
