//! What is in a container: its paths, as archives or changes (§6 of the contract), and all of it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use strata_engine::{ChangeKind, CopyInOptions, FileKind, PathStat};
use strata_oci::timestamp;

use crate::{
    archive::Sink,
    body,
    failure::Failure,
    operations::Operations,
    output::{Gone, Output, RequestBody},
    query::Query,
    reply::Reply,
};

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

/// A path in a container.
pub(crate) struct CopyOut {
    container: String,
    path: String,
}

impl CopyOut {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 if one is empty.
    pub(crate) fn new(container: &str, query: &Query) -> Result<Self, Failure> {
        let path = query.text("path");
        for (value, name) in [(container, "name"), (path, "path")] {
            if value.is_empty() {
                return Err(Failure::invalid(format!(
                    "bad parameter: {name} cannot be empty"
                )));
            }
        }
        Ok(Self {
            container: container.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// A path in a container where an archive is to be unpacked, and how.
pub(crate) struct CopyIn {
    target: CopyOut,
    options: CopyInOptions,
}

impl CopyIn {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 for what is missing.
    pub(crate) fn new(container: &str, query: &Query) -> Result<Self, Failure> {
        Ok(Self {
            target: CopyOut::new(container, query)?,
            options: CopyInOptions {
                no_overwrite_dir_non_dir: query.boolean("noOverwriteDirNonDir"),
                copy_uid_gid: query.boolean("copyUIDGID"),
            },
        })
    }
}

/// Answers `HEAD` with what a path is, in a header.
///
/// # Errors
/// 400 for what is missing, else the engine's.
pub(crate) async fn stat<O: Operations>(
    operations: &O,
    container: &str,
    query: &Query,
) -> Result<Reply, Failure> {
    let CopyOut { container, path } = CopyOut::new(container, query)?;
    let stat = operations.stat_path(&container, path.as_bytes()).await?;
    let mut reply = Reply::empty(StatusCode::OK);
    reply.headers.insert(PATH_STAT, encode(&stat)?);
    Ok(reply)
}

/// Sends a path as an archive, with what it is in a header. `headers` are the others.
///
/// # Errors
/// The inner failure if nothing was sent yet; later ones break the response off. [`Gone`] if the client
/// left.
pub(crate) async fn copy_out<O: Operations, W: Output<Body = O::Body>>(
    operations: &O,
    CopyOut { container, path }: &CopyOut,
    mut headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    let path = path.as_bytes();
    let stat = operations.stat_path(container, path).await;
    match stat.map_err(Failure::from).and_then(|stat| encode(&stat)) {
        Ok(stat) => headers.insert(PATH_STAT, stat),
        Err(failure) => return Ok(Err(failure)),
    };
    let mut sink = Sink::new(output, headers);
    let outcome = operations.copy_out(container, path, &mut sink).await;
    sink.finish(outcome).await
}

/// Unpacks an archive at a path: 200 without a body.
///
/// # Errors
/// 500 if the shell has not streamed the archive, else the engine's.
pub(crate) async fn copy_in<O: Operations>(
    operations: &O,
    CopyIn { target, options }: &CopyIn,
    body: RequestBody<O::Body>,
) -> Result<Reply, Failure> {
    let archive = body::archive(body)?;
    let path = target.path.as_bytes();
    operations
        .copy_in(&target.container, path, archive, options)
        .await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Sends all of a container as an archive. `headers` are those of the response.
///
/// # Errors
/// As [`copy_out`].
pub(crate) async fn export<O: Operations, W: Output<Body = O::Body>>(
    operations: &O,
    container: &str,
    mut headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    // dockerd says nothing, and its HTTP server guesses this.
    let guessed = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, guessed);
    let mut sink = Sink::new(output, headers);
    let outcome = operations.export(container, &mut sink).await;
    sink.finish(outcome).await
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    path: &'a str,
    kind: u8,
}

/// Sends what differs from the image; null if nothing does. There may be hundreds of thousands of paths, so
/// the answer is never whole. `headers` are those of the response.
///
/// # Errors
/// The engine's, before anything is sent; [`Gone`] if the client left.
pub(crate) async fn changes<O: Operations, W: Output<Body = O::Body>>(
    operations: &O,
    container: &str,
    headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    let changed = match operations.changes(container).await {
        Ok(changed) => changed,
        Err(error) => return Ok(Err(error.into())),
    };
    output.head(StatusCode::OK, headers).await?;
    if changed.is_empty() {
        output.write(b"null\n".to_vec()).await?;
        return Ok(Ok(()));
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
    Ok(Ok(()))
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
