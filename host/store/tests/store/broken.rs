//! Files of the store's own that somebody, or a power cut, broke.

mod database;
mod layout;
mod leases;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Fixture, open};

/// How a file is broken.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// Other bytes from an offset on.
    Flip(usize),
    Truncate(u64),
    Half,
    Empty,
    Gone,
    Folder,
    Dangling,
    Pipe,
}

const ALL: [Harm; 13] = [
    Harm::Flip(0),
    Harm::Flip(18),
    Harm::Flip(60),
    Harm::Flip(100),
    Harm::Flip(4096),
    Harm::Truncate(50),
    Harm::Truncate(5000),
    Harm::Half,
    Harm::Empty,
    Harm::Gone,
    Harm::Folder,
    Harm::Dangling,
    Harm::Pipe,
];

impl Harm {
    fn apply(self, path: &Path) {
        match self {
            Harm::Flip(at) => {
                let mut bytes = fs::read(path).unwrap();
                for byte in bytes.iter_mut().skip(at).take(4) {
                    *byte ^= 0x55;
                }
                fs::write(path, bytes).unwrap();
            }
            Harm::Truncate(length) => set_length(path, length),
            Harm::Half => set_length(path, fs::metadata(path).unwrap().len() / 2),
            Harm::Empty => set_length(path, 0),
            Harm::Gone => fs::remove_file(path).unwrap(),
            Harm::Folder => {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
                fs::write(path.join("x"), "").unwrap();
            }
            Harm::Dangling => {
                fs::remove_file(path).unwrap();
                symlink("/nowhere/at/all", path).unwrap();
            }
            Harm::Pipe => {
                fs::remove_file(path).unwrap();
                let made = std::process::Command::new("mkfifo").arg(path).status();
                assert!(made.unwrap().success());
            }
        }
    }
}

fn set_length(path: &Path, length: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

impl Fixture {
    /// A file of the store's own.
    pub(super) fn private(&self, name: &str) -> PathBuf {
        self.directory.path().join(".strata").join(name)
    }

    /// What is in quarantine, in order.
    pub(super) fn quarantine(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.private("quarantine")) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Closes the store, breaks a file of it, and opens it again.
    pub(super) fn reopen_broken(self, name: &str, harm: impl FnOnce(&Path)) -> Fixture {
        let Fixture { store, directory } = self;
        drop(store);
        harm(&directory.path().join(name));
        let store = open(&directory);
        Fixture { store, directory }
    }
}
