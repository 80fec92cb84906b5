//! `POST /containers/create`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Container/operation/ContainerCreate>

use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use strata_engine::{CreateOptions, Host};
use strata_http::{Reply, RequestBody};
use strata_oci::{
    config::ContainerConfig,
    json::{self, Members},
};

use super::config;
use crate::{Asked, failure::Failure, images::platform_specifier, reply};

/// The deepest that what a container is created with may be nested. Nothing the API knows goes deeper than
/// ten; Go's decoders, which are to read it again inside of other documents, give up at ten thousand, and
/// others earlier.
const MAX_DEPTH: usize = 100;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    id: &'a str,
    /// Warnings, never null.
    warnings: &'a [String],
}

/// Creates a container: 201.
///
/// # Errors
/// 400 for body and parameters, else the engine's.
pub(crate) async fn create<H: Host>(
    asked: &Asked<'_, H>,
    body: &RequestBody<H::Body>,
) -> Result<Reply, Failure> {
    let options = options(asked, body)?;
    let created = asked.engine.create_container(&options).await?;
    let answer = Answer {
        id: &created.id,
        warnings: &created.warnings,
    };
    Ok(reply::json(&answer)?.with_status(StatusCode::CREATED))
}

fn options<H: Host>(
    asked: &Asked<'_, H>,
    body: &RequestBody<H::Body>,
) -> Result<CreateOptions, Failure> {
    let members = strata_http::object(asked.headers, body)?.unwrap_or_default();
    let Some(mut config) = config::read(&members)? else {
        let message = "config cannot be empty in order to create a container";
        return Err(Failure::invalid(message));
    };
    check_image(&config)?;
    if let Some(healthcheck) = &mut config.healthcheck
        && !asked.version.at_least(44)
    {
        healthcheck.start_interval = 0;
    }
    let platform = match asked.version.at_least(41) {
        true => platform_specifier(asked)?,
        false => None,
    };
    let name = asked.query.text("name");
    let name = name.strip_prefix('/').unwrap_or(name);
    Ok(CreateOptions {
        image: config.image.clone(),
        name: (!name.is_empty()).then(|| name.to_owned()),
        platform,
        host_config: object(&members, "HostConfig")?,
        networking_config: object(&members, "NetworkingConfig")?,
        config,
    })
}

/// dockerd would make a container of nothing but a command; that has no use here.
fn check_image(config: &ContainerConfig) -> Result<(), Failure> {
    let is_empty = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
    if !config.image.is_empty() {
        Ok(())
    } else if is_empty(&config.cmd) && is_empty(&config.entrypoint) {
        Err(Failure::invalid("no command specified"))
    } else {
        Err(Failure::invalid("invalid reference format"))
    }
}

/// A member that is an object, as it was written; null takes back what was given before it.
fn object(members: &Members, name: &str) -> Result<Option<Box<RawValue>>, Failure> {
    let mut given: Option<Box<RawValue>> = None;
    for value in members.all(name) {
        if value.get() == "null" {
            given = None;
            continue;
        }
        let read: Result<Members, _> = json::from_slice(value.get().as_bytes());
        let read = read.map_err(|error| Failure::json(&error))?;
        if depth(value.get()) > MAX_DEPTH {
            return Err(Failure::invalid(format!(
                "invalid JSON: {name} is nested more than {MAX_DEPTH} deep"
            )));
        }
        given = match given {
            None => Some(value.to_owned()),
            Some(earlier) => Some(both(&Members::of(&earlier), &read)?),
        };
    }
    Ok(given)
}

/// The object of a member that was given twice: it has the members of both.
fn both(one: &Members, other: &Members) -> Result<Box<RawValue>, Failure> {
    let [one, other] = [one, other].map(|it| it.object_of(|_| true));
    let inner = |object: &str| object[1..object.len() - 1].to_owned();
    let parts = [inner(&one), inner(&other)];
    let parts: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|it| !it.is_empty())
        .collect();
    RawValue::from_string(format!("{{{}}}", parts.join(","))).map_err(|error| Failure::json(&error))
}

/// How deep valid JSON is nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut is_text = false;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_text = !is_text,
            b'\\' if is_text => drop(bytes.next()),
            b'{' | b'[' if !is_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_not_nested() {
        for (json, expected) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[[],[{}]],"b":{}}"#, 4),
            (r#"{"[[[":"{{{"}"#, 1),
            (r#"{"\"[[":"\\","a":"\\\"[["}"#, 1),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }
}
