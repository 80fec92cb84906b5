//! What is asked of containers that would run. Here none does: requests get dockerd's answer for a
//! container that was created and never started, or hear that it will not be.

use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use strata_engine::{ContainerDetails, Error, Host};
use strata_http::{Output, Reply};
use strata_oci::json::Members;

use super::host;
use crate::{Answer, Asked, failure::Failure, query, reply, route::Process, version::ApiVersion};

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
/// `docker run` attaches, waits and only then starts: it shows why a start failed if the first two went
/// well. So they do, and nothing ever comes of them.
///
/// # Errors
/// 400 for parameters, 404 for an unknown container, 409 for what only running containers take, 501 for
/// the rest.
pub(crate) async fn process<H: Host, W: Output>(
    asked: &Asked<'_, H>,
    process: Process,
    output: &mut W,
) -> Answer {
    let returns_at_once = check(asked, process)?;
    let found = asked.engine.container(asked.name, false).await;
    let container = found.map_err(|error| about(process, asked.name, error.into()))?;
    let reply = match process {
        Process::Stop => Reply::empty(StatusCode::NOT_MODIFIED),
        Process::Wait if returns_at_once => reply::json(&Waited { status_code: 0 })?,
        Process::Wait => return wait(asked, &container.id, output).await,
        Process::Attach => {
            let mut reply = Reply::empty(StatusCode::SWITCHING_PROTOCOLS);
            let content_type = output_type(&container, asked.version);
            reply.headers.insert(CONTENT_TYPE, content_type);
            reply
        }
        Process::Start => {
            let given = container.host_config.as_deref();
            let given = given.map(Members::of).unwrap_or_default();
            // What could not be started has ended.
            if host::auto_remove(&given) {
                match asked.engine.remove_container(&container.id).await {
                    Ok(()) | Err(Error::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            return Err(refusal(process, &container).into());
        }
        _ => {
            let refusal = refusal(process, &container);
            return Err(about(process, asked.name, refusal).into());
        }
    };
    Ok(Some(reply))
}

/// Waits until a container is removed: the one end it can have.
///
/// # Errors
/// Only that the client left.
async fn wait<H: Host, W: Output>(asked: &Asked<'_, H>, id: &str, output: &mut W) -> Answer {
    // Clients go on with what they wait for the end of when they have this.
    let headers = asked.growing("application/json");
    output.head(StatusCode::OK, headers).await?;
    match asked.engine.wait_removed(id).await {
        Ok(()) => {
            let waited = reply::json(&Waited { status_code: 0 });
            output
                .write(waited.map(|it| it.body).unwrap_or_default())
                .await?;
        }
        Err(_) => output.abort().await,
    }
    Ok(None)
}

/// Checks the parameters that are looked at before the container is; says whether a wait is over by now.
fn check<H: Host>(asked: &Asked<'_, H>, process: Process) -> Result<bool, Failure> {
    let query = &asked.query;
    match process {
        Process::Stop | Process::Restart if !query.text("t").is_empty() => {
            let seconds = query::integer(query.text("t"));
            seconds.map(|_| false).map_err(Failure::invalid)
        }
        // Older versions knew one condition.
        Process::Wait if !asked.version.at_least(30) => Ok(true),
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
pub(crate) async fn logs<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    if !asked.boolean("stdout") && !asked.boolean("stderr") {
        let message = "must specify at least one of 'stdout' or 'stderr'";
        return Err(Failure::invalid(message));
    }
    let container = asked.engine.container(asked.name, false).await?;
    let mut reply = Reply::empty(StatusCode::OK);
    let content_type = output_type(&container, asked.version);
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
