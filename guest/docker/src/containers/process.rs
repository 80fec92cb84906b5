//! What is asked of containers that would run. Here none does: requests get dockerd's answer for a
//! container that was created and never started, or hear that it will not be.

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use strata_engine::{ContainerDetails, Error};

use super::host;
use crate::{
    body::Members,
    failure::Failure,
    operations::Operations,
    output::{Gone, Output},
    query::{self, Query},
    reply::Reply,
    route::Process,
    version::ApiVersion,
};

/// Output of a container with a terminal, and of any before 1.42.
const RAW_STREAM: &str = "application/vnd.docker.raw-stream";
/// Both outputs of a container, in turns.
const MULTIPLEXED_STREAM: &str = "application/vnd.docker.multiplexed-stream";

/// What a request that needs a process comes to.
pub(crate) enum Processed {
    /// An answer.
    Reply(Reply),
    /// An answer that comes when the container of this ID is removed.
    Wait(String),
}

/// How a process that never was ended.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
}

/// Answers a request that needs a process.
///
/// `docker run` attaches, waits and only then starts: it shows why a start failed if the first two went
/// well. So they do, and nothing ever comes of them.
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
) -> Result<Processed, Failure> {
    let returns_at_once = check(version, query, process)?;
    let found = operations.container(name, false).await;
    let container = found.map_err(|error| about(process, name, error.into()))?;
    let reply = match process {
        Process::Stop => Reply::empty(StatusCode::NOT_MODIFIED),
        Process::Wait if returns_at_once => Reply::json(&Waited { status_code: 0 })?,
        Process::Wait => return Ok(Processed::Wait(container.id)),
        Process::Attach => {
            let mut reply = Reply::empty(StatusCode::SWITCHING_PROTOCOLS);
            let content_type = output_type(&container, version);
            reply.headers.insert(CONTENT_TYPE, content_type);
            reply
        }
        Process::Start => {
            let given = container.host_config.as_deref();
            let given = given.map(Members::of).unwrap_or_default();
            // What could not be started has ended.
            if host::auto_remove(&given) {
                match operations.remove_container(&container.id).await {
                    Ok(()) | Err(Error::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            return Err(refusal(process, &container));
        }
        _ => return Err(about(process, name, refusal(process, &container))),
    };
    Ok(Processed::Reply(reply))
}

/// Waits until a container is removed: the one end it can have.
///
/// # Errors
/// The inner failure if nothing was sent yet, which cannot be; [`Gone`] if the client left.
pub(crate) async fn wait<O: Operations, W: Output<Body = O::Body>>(
    operations: &O,
    id: &str,
    headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    // Clients go on with what they wait for the end of when they have this.
    output.head(StatusCode::OK, headers).await?;
    match operations.wait_removed(id).await {
        Ok(()) => {
            let waited = Reply::json(&Waited { status_code: 0 });
            output
                .write(waited.map(|it| it.body).unwrap_or_default())
                .await?;
        }
        Err(_) => output.abort().await,
    }
    Ok(Ok(()))
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
    let mut reply = Reply::empty(StatusCode::OK);
    let content_type = output_type(&container, version);
    reply.headers.insert(CONTENT_TYPE, content_type);
    Ok(reply)
}

/// What the output of a container would be.
fn output_type(container: &ContainerDetails, version: ApiVersion) -> HeaderValue {
    HeaderValue::from_static(match container.config.tty || !version.at_least(42) {
        true => RAW_STREAM,
        false => MULTIPLEXED_STREAM,
    })
}
