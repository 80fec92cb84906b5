//! Tar from this writer, from the `tar` crate's, and from none that is honest.

mod documents;
mod hostile;
mod reading;
mod writing;

use super::{ArchiveError, END, Entry, Kind, Parser, Step, file_header, padding};

/// What an archive has inside, read in pieces of `size` bytes.
fn read(archive: &[u8], size: usize) -> Result<Vec<(Entry, Vec<u8>)>, ArchiveError> {
    let mut parser = Parser::new();
    let mut entries: Vec<(Entry, Vec<u8>)> = Vec::new();
    for mut piece in archive.chunks(size) {
        loop {
            let (used, step) = parser.step(piece)?;
            let content;
            (content, piece) = piece.split_at(used);
            match step {
                Step::More => break,
                Step::Entry(entry) => entries.push((entry, Vec::new())),
                Step::Content => entries.last_mut().unwrap().1.extend_from_slice(content),
                Step::End => {
                    parser.finish()?;
                    return Ok(entries);
                }
            }
        }
    }
    parser.finish()?;
    Ok(entries)
}

/// A file with its content.
fn with_content(path: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = file_header(path, 0o644, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    bytes
}

/// Some entries as a whole archive.
fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend_from_slice(&END);
    bytes
}

/// A header with a given type and size, and room for changes.
fn raw(path: &str, kind: u8, size: u64, change: impl FnOnce(&mut [u8; 512])) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkflag = [kind];
    header.set_size(size);
    change(header.as_mut_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn entry(path: &str, kind: Kind, size: u64) -> Entry {
    let path = path.to_owned();
    Entry { path, kind, size }
}
