//! What is asked of containers that would run. Here none does: requests get dockerd's answer for a
//! container that was created and never started, or hear that it will not be.

use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use strata_engine::ContainerDetails;

use crate::{
    failure::Failure,
    operations::Operations,
    query::{self, Query},
    reply::Reply,
    route::Process,
    version::ApiVersion,
};

/// Output of a container with a terminal, and of any before 1.42.
const RAW_STREAM: &str = "application/vnd.docker.raw-stream";
/// Both outputs of a container, in turns.
const MULTIPLEXED_STREAM: &str = "application/vnd.docker.multiplexed-stream";

/// How a process that never was ended.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
}

/// Answers a request that needs a process.
///
/// # Errors
/// 400 for parameters, 404 for an unknown container, 409 for what only running containers take, 501 for
/// the rest.
pub(crate) async fn process<O: Operations>(
    operations: &O,
    version: ApiVersion,
    query: &Query,
    name: &str,
    process: Process,
) -> Result<Reply, Failure> {
    let returns_at_once = check(version, query, process)?;
    let found = operations.container(name, false).await;
    let container = found.map_err(|error| about(process, name, error.into()))?;
    match process {
        Process::Stop => Ok(Reply::empty(StatusCode::NOT_MODIFIED)),
        Process::Wait if returns_at_once => Reply::json(&Waited { status_code: 0 }),
        _ => Err(about(process, name, refusal(process, &container))),
    }
}

/// Checks the parameters that are looked at before the container is; says whether a wait is over by now.
fn check(version: ApiVersion, query: &Query, process: Process) -> Result<bool, Failure> {
    match process {
        Process::Stop | Process::Restart if !query.text("t").is_empty() => {
            let seconds = query::integer(query.text("t"));
            seconds.map(|_| false).map_err(Failure::invalid)
        }
        // Older versions knew one condition.
        Process::Wait if !version.at_least(30) => Ok(true),
        Process::Wait => match query.text("condition") {
            "" | "not-running" => Ok(true),
            "next-exit" | "removed" => Ok(false),
            other => Err(Failure::invalid(format!("invalid condition: \"{other}\""))),
        },
        _ => Ok(false),
    }
}

/// dockerd says what failed for one request only.
fn about(process: Process, name: &str, failure: Failure) -> Failure {
    match process {
        Process::Kill => failure.during(&format!("cannot kill container: {name}")),
        _ => failure,
    }
}

fn refusal(process: Process, ContainerDetails { id, name, .. }: &ContainerDetails) -> Failure {
    let advice = format!("commit container {name} and run the image with another engine");
    let (what, advice) = match process {
        Process::Kill | Process::Pause | Process::Top | Process::Exec | Process::Resize => {
            return Failure::conflict(format!("container {id} is not running"));
        }
        Process::Unpause => {
            let message = format!("Container {id} is not paused");
            return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message);
        }
        Process::Start | Process::Stop => ("starting", advice),
        Process::Restart => ("restarting", advice),
        Process::Attach => ("attaching to", advice),
        Process::Wait => ("waiting for the end of", advice),
        Process::Stats => ("measuring", advice),
        Process::Rename => (
            "renaming",
            format!("commit container {name} and create another one from the image"),
        ),
        Process::Update => (
            "limiting",
            format!("set the limits of container {name} where it is run"),
        ),
    };
    let message = format!(
        "{what} containers is not supported: strata handles images and never runs them; {advice}"
    );
    Failure::new(StatusCode::NOT_IMPLEMENTED, message)
}

/// Answers with the output so far: none.
///
/// # Errors
/// 400 if no output is asked for, else the engine's.
pub(crate) async fn logs<O: Operations>(
    operations: &O,
    version: ApiVersion,
    query: &Query,
    name: &str,
) -> Result<Reply, Failure> {
    if !query.boolean("stdout") && !query.boolean("stderr") {
        let message = "must specify at least one of 'stdout' or 'stderr'";
        return Err(Failure::invalid(message));
    }
    let container = operations.container(name, false).await?;
    let content_type = match container.config.tty || !version.at_least(42) {
        true => RAW_STREAM,
        false => MULTIPLEXED_STREAM,
    };
    let mut reply = Reply::empty(StatusCode::OK);
    let content_type = HeaderValue::from_static(content_type);
    reply.headers.insert(CONTENT_TYPE, content_type);
    Ok(reply)
}
