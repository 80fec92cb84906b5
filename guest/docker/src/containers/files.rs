//! What is in a container: its paths, as archives or changes, and all of it.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Container/operation/ContainerArchive>

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use strata_engine::{ChangeKind, CopyInOptions, FileKind, Host, PathStat, Silent};
use strata_http::{Archive, Output, Reply, RequestBody};
use strata_oci::timestamp;

use crate::{Answer, Asked, failure::Failure};

/// Bytes of an answer gathered before they are sent.
const PIECE_BYTES: usize = 32 << 10;

const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

/// Bits of Go's `os.FileMode` above the permissions.
mod file_mode {
    pub(super) const DIRECTORY: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    pub(super) const DEVICE: u32 = 1 << 26;
    pub(super) const NAMED_PIPE: u32 = 1 << 25;
    pub(super) const SETUID: u32 = 1 << 23;
    pub(super) const SETGID: u32 = 1 << 22;
    pub(super) const CHARACTER_DEVICE: u32 = 1 << 21;
    pub(super) const STICKY: u32 = 1 << 20;
}

/// Answers `HEAD` with what a path is, in a header.
///
/// # Errors
/// 400 for what is missing, else the engine's.
pub(crate) async fn stat<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let path = path(asked)?;
    let stat = asked.engine.stat_path(asked.name, path).await?;
    let mut reply = Reply::empty(StatusCode::OK);
    reply.headers.insert(PATH_STAT, encode(&stat)?);
    Ok(reply)
}

/// Sends a path as an archive, with what it is in a header.
///
/// # Errors
/// 400 for what is missing, else the engine's; once anything is sent they break the response off.
pub(crate) async fn copy_out<H: Host, W: Output<Body = H::Body>>(
    asked: &Asked<'_, H>,
    output: &mut W,
) -> Answer {
    let path = path(asked)?;
    let stat = asked.engine.stat_path(asked.name, path).await?;
    let mut headers = asked.growing("application/x-tar");
    headers.insert(PATH_STAT, encode(&stat)?);
    let mut archive = Archive::new(output, headers);
    let copied = asked.engine.copy_out(asked.name, path, &mut archive).await;
    archive.finish(copied).await??;
    Ok(None)
}

/// Unpacks an archive at a path: 200 without a body.
///
/// # Errors
/// 400 for what is missing, 500 if the shell has not streamed the archive, else the engine's.
pub(crate) async fn copy_in<H: Host>(
    asked: &Asked<'_, H>,
    body: RequestBody<H::Body>,
) -> Result<Reply, Failure> {
    let path = path(asked)?;
    let options = CopyInOptions {
        no_overwrite_dir_non_dir: asked.boolean("noOverwriteDirNonDir"),
        copy_uid_gid: asked.boolean("copyUIDGID"),
    };
    let archive = body.stream().ok_or_else(Failure::not_streamed)?;
    let copied = asked
        .engine
        .copy_in(asked.name, path, archive, &options, &Silent);
    copied.await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// The path that is asked for, in a container that has a name.
///
/// # Errors
/// 400 if one is empty.
fn path<'a, H: Host>(asked: &'a Asked<'_, H>) -> Result<&'a [u8], Failure> {
    let path = asked.query.text("path");
    for (value, name) in [(asked.name, "name"), (path, "path")] {
        if value.is_empty() {
            return Err(Failure::invalid(format!(
                "bad parameter: {name} cannot be empty"
            )));
        }
    }
    Ok(path.as_bytes())
}

/// Sends all of a container as an archive.
///
/// # Errors
/// As [`copy_out`].
pub(crate) async fn export<H: Host, W: Output<Body = H::Body>>(
    asked: &Asked<'_, H>,
    output: &mut W,
) -> Answer {
    // dockerd says nothing, and its HTTP server guesses this.
    let mut archive = Archive::new(output, asked.growing("application/octet-stream"));
    let exported = asked.engine.export(asked.name, &mut archive, &Silent).await;
    archive.finish(exported).await??;
    Ok(None)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    path: &'a str,
    kind: u8,
}

/// Sends what differs from the image; null if nothing does. There may be hundreds of thousands of paths, so
/// the answer is never whole.
///
/// # Errors
/// The engine's, before anything is sent.
pub(crate) async fn changes<H: Host, W: Output>(asked: &Asked<'_, H>, output: &mut W) -> Answer {
    let changed = asked.engine.changes(asked.name).await?;
    let headers = asked.growing("application/json");
    output.head(StatusCode::OK, headers).await?;
    if changed.is_empty() {
        output.write(b"null\n".to_vec()).await?;
        return Ok(None);
    }
    let mut piece = Vec::new();
    let mut before = b'[';
    for change in changed {
        piece.push(before);
        before = b',';
        let change = Change {
            path: &change.path,
            kind: match change.kind {
                ChangeKind::Modified => 0,
                ChangeKind::Added => 1,
                ChangeKind::Deleted => 2,
            },
        };
        // Writing text and numbers to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut piece, &change);
        if piece.len() >= PIECE_BYTES {
            output.write(std::mem::take(&mut piece)).await?;
        }
    }
    piece.extend_from_slice(b"]\n");
    output.write(piece).await?;
    Ok(None)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stat<'a> {
    name: &'a str,
    size: u64,
    mode: u32,
    mtime: String,
    link_target: &'a str,
}

fn encode(stat: &PathStat) -> Result<HeaderValue, Failure> {
    let internal = |error: String| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error);
    let stat = Stat {
        name: &stat.name,
        size: stat.size,
        mode: file_mode(stat),
        mtime: timestamp::format_rfc3339_nano(stat.modified, 0),
        link_target: &stat.link_target,
    };
    let json = serde_json::to_vec(&stat).map_err(|error| internal(error.to_string()))?;
    let encoded = HeaderValue::try_from(BASE64_STANDARD.encode(json));
    encoded.map_err(|error| internal(error.to_string()))
}

fn file_mode(stat: &PathStat) -> u32 {
    let kind = match stat.kind {
        FileKind::File => 0,
        FileKind::Directory => file_mode::DIRECTORY,
        FileKind::Symlink => file_mode::SYMLINK,
        FileKind::CharacterDevice => file_mode::DEVICE | file_mode::CHARACTER_DEVICE,
        FileKind::BlockDevice => file_mode::DEVICE,
        FileKind::Fifo => file_mode::NAMED_PIPE,
    };
    let special = [
        (0o4000, file_mode::SETUID),
        (0o2000, file_mode::SETGID),
        (0o1000, file_mode::STICKY),
    ];
    let set = special.iter().filter(|(bit, _)| stat.mode & bit != 0);
    set.fold(kind | stat.mode & 0o777, |mode, (_, flag)| mode | flag)
}
