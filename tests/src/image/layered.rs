//! An image whose layers do all that layers do to each other.

use super::{Image, Schema};
use crate::debian::{self, Content, Entry};
use crate::layer::{Compression, Layer, append};
use anyhow::Result;
use serde_json::json;
use tar::{Builder, EntryType, Header};

/// An image of three layers, and the layers, lowest first: real packages in gzip, then in zstd, then what a layer
/// can take away again, plain.
///
/// Below `/opt` stand a hard link (`hard-a`, `hard-b`), a set-user-ID file, a sticky directory, another's file
/// (`owned`, 1000:100), one of 2001 (`old-time`) and a symbolic link to `/opt/keep`. The last layer removes
/// `gone`, and empties `full` for `new`. `name` stands in `/etc/name`, so that images of other names are others.
///
/// # Errors
/// When a package is not to be had.
pub fn layered(name: &str) -> Result<(Image, Vec<Layer>)> {
    let base = Layer::from_package("base-files", Compression::Gzip)?;
    let middle = Layer::from_tar(&middle()?, Compression::Zstd)?;
    let top = Layer::from_tar(&top(name)?, Compression::Plain)?;
    let image = Image::builder(Schema::Oci)
        .layer(base.clone(), "COPY base-files /")
        .layer(middle.clone(), "COPY hostname /")
        .layer(top.clone(), "RUN rm /opt/gone")
        .step("CMD [\"hostname\"]")
        .config("Cmd", json!(["hostname"]))
        .config("Env", json!(["PATH=/usr/bin:/bin"]))
        .labels(json!({"made.of": "debian"}))
        .build();
    Ok((image, vec![base, middle, top]))
}

fn middle() -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for entry in debian::package("hostname")? {
        append(&mut tar, &entry)?;
    }
    append(&mut tar, &directory("opt", 0o755))?;
    for (name, mode) in [("gone", 0o644), ("keep", 0o640), ("setuid", 0o4755)] {
        append(&mut tar, &file(&format!("opt/{name}"), mode))?;
    }
    append(&mut tar, &directory("opt/full", 0o755))?;
    append(&mut tar, &file("opt/full/old", 0o644))?;
    append(&mut tar, &directory("opt/sticky", 0o1777))?;
    append(&mut tar, &file("opt/hard-a", 0o644))?;
    append(
        &mut tar,
        &Entry {
            path: "opt/link".to_owned(),
            mode: 0o777,
            content: Content::Symlink("/opt/keep".to_owned()),
        },
    )?;
    let mut hard = header(0, 0, 0);
    hard.set_entry_type(EntryType::Link);
    tar.append_link(&mut hard, "opt/hard-b", "opt/hard-a")?;
    for (name, mut header) in [
        ("owned", header(1000, 100, 0)),
        ("old-time", header(0, 0, 1_000_000_000)),
    ] {
        header.set_size(name.len() as u64);
        tar.append_data(&mut header, format!("opt/{name}"), name.as_bytes())?;
    }
    Ok(tar.into_inner()?)
}

fn top(name: &str) -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    let name = Entry {
        content: Content::File(name.to_owned().into()),
        ..file("etc/name", 0o644)
    };
    for entry in [
        directory("etc", 0o755),
        name,
        directory("opt", 0o755),
        whiteout("opt/.wh.gone"),
        directory("opt/full", 0o755),
        whiteout("opt/full/.wh..wh..opq"),
        file("opt/full/new", 0o644),
    ] {
        append(&mut tar, &entry)?;
    }
    Ok(tar.into_inner()?)
}

fn header(user: u64, group: u64, modified: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(user);
    header.set_gid(group);
    header.set_mtime(modified);
    header.set_size(0);
    header
}

fn directory(path: &str, mode: u32) -> Entry {
    Entry {
        path: path.to_owned(),
        mode,
        content: Content::Directory,
    }
}

/// A file that holds its own name and a line break.
fn file(path: &str, mode: u32) -> Entry {
    let name = path.rsplit('/').next().unwrap_or(path);
    Entry {
        path: path.to_owned(),
        mode,
        content: Content::File(format!("{name}\n").into()),
    }
}

fn whiteout(path: &str) -> Entry {
    Entry {
        path: path.to_owned(),
        mode: 0o644,
        content: Content::File("".into()),
    }
}
