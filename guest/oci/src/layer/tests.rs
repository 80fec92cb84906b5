//! Layers from this writer, from the `tar` crate's, and trees of them beside a model that does without any cleverness.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of tests are small"
)]

mod applying;
mod comparing;
mod hostile;
mod listing;
mod model;
mod reading;
mod resolving;
mod sparse;
mod whiteouts;
mod writing;

use super::{Entry, Kind, Metadata, Parser, Step, Tree, header};
use crate::archive::{ArchiveError, BLOCK, END, padding};

/// What a layer lists, each with the offset of its content and that, read in pieces of `size` bytes.
fn read(layer: &[u8], size: usize) -> Result<Vec<(Entry, u64, Vec<u8>)>, ArchiveError> {
    let mut parser = Parser::new();
    let mut entries: Vec<(Entry, u64, Vec<u8>)> = Vec::new();
    for mut piece in layer.chunks(size) {
        loop {
            let (used, step) = parser.step(piece)?;
            let content;
            (content, piece) = piece.split_at(used);
            match step {
                Step::More => break,
                Step::Entry(entry) => entries.push((entry, parser.offset(), Vec::new())),
                Step::Content => entries.last_mut().unwrap().2.extend_from_slice(content),
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

/// The entries of a layer that must be a good one.
fn entries(layer: &[u8]) -> Vec<Entry> {
    let read = read(layer, 4096).unwrap().into_iter();
    read.map(|(entry, _, _)| entry).collect()
}

/// Some headers as a whole layer, each file with that much of zeros.
fn layer(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(header(entry));
        if let Kind::File(size) = entry.kind {
            bytes.resize(bytes.len() + size as usize + padding(size), 0);
        }
    }
    bytes.extend_from_slice(&END);
    bytes
}

/// An entry of root's.
fn entry(path: &str, kind: Kind) -> Entry {
    let metadata = Metadata {
        mode: 0o644,
        ..Metadata::default()
    };
    Entry {
        path: path.into(),
        kind,
        metadata,
    }
}

fn file(path: &str) -> Entry {
    entry(path, Kind::File(1))
}

fn directory(path: &str) -> Entry {
    entry(path, Kind::Directory)
}

fn symlink(path: &str, target: &str) -> Entry {
    entry(path, Kind::Symlink(target.into()))
}

fn hard_link(path: &str, target: &str) -> Entry {
    entry(path, Kind::HardLink(target.into()))
}

/// A header block with a given type and room for changes, and its content.
fn raw(path: &str, flag: u8, content: &[u8], change: impl FnOnce(&mut [u8; BLOCK])) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkflag = [flag];
    header.set_mode(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    change(header.as_mut_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    bytes
}

/// A tree of these layers, the first at the bottom; the offset of an entry's content is its place in its layer.
fn tree(layers: &[&[Entry]]) -> Tree {
    let mut tree = Tree::new();
    for (number, layer) in (0..).zip(layers) {
        let entries = layer.iter().cloned().zip(0..);
        tree.apply(number, entries).unwrap();
    }
    tree
}

/// The names in a tree, the root left out.
fn names(tree: &Tree) -> Vec<String> {
    let nodes = tree.walk(b"").skip(1);
    nodes
        .map(|node| String::from_utf8(tree.path(node)).unwrap())
        .collect()
}

/// Numbers that look random and are the same each time (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    /// A number of any length in bits.
    fn number(&mut self) -> u64 {
        let bits = self.below(64);
        self.next() >> bits
    }
}
