//! Files of compiled code.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// The smallest component.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

fn code(digest: &str) -> Code<'_> {
    Code {
        bytes: EMPTY,
        digest,
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn what_was_compiled_once_is_mapped_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("compiled");
    let engine = Engine::default();
    assert!(code("a").kept(&engine, &folder).unwrap().is_some());
    let file = folder.join(&files(&folder)[0]);
    let written = fs::metadata(&file).unwrap();
    assert_eq!(written.permissions().mode() & 0o777, 0o600);
    assert!(code("a").kept(&engine, &folder).unwrap().is_some());
    let again = fs::metadata(&file).unwrap();
    assert_eq!(again.ino(), written.ino(), "it was compiled again");
}

#[test]
fn many_may_compile_at_once_and_what_they_left_unfinished_goes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("compiled");
    let engine = Engine::default();
    prepare(&folder).unwrap();
    let (left, stale) = create(&folder).unwrap();
    left.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let (_, fresh) = create(&folder).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(code("a").kept(&engine, &folder).unwrap().is_some()));
        }
    });
    assert!(!stale.exists() && fresh.exists());
    assert_eq!(files(&folder).len(), 2);
}

#[test]
fn a_file_that_cannot_be_used_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("compiled");
    let engine = Engine::default();
    code("a").kept(&engine, &folder).unwrap();
    let file = folder.join(&files(&folder)[0]);
    let whole = fs::read(&file).unwrap();
    for broken in [&whole[..whole.len() / 2], b"", b"no code at all"] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, broken).unwrap();
        assert!(code("a").kept(&engine, &folder).unwrap().is_some());
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
}

#[test]
fn other_code_and_other_settings_have_other_files_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("compiled");
    let mut config = wasmtime::Config::new();
    config.consume_fuel(true);
    let other = Engine::new(&config).unwrap();
    let engine = Engine::default();
    code("a").kept(&engine, &folder).unwrap();
    let first = files(&folder);
    code("a").kept(&other, &folder).unwrap();
    assert_eq!(files(&folder).len(), 2);
    // So that it is the oldest, whatever the clock's resolution.
    let file = fs::File::options()
        .write(true)
        .open(folder.join(&first[0]))
        .unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    for digest in ["b", "c", "d"] {
        code(digest).kept(&engine, &folder).unwrap();
    }
    let left = files(&folder);
    assert_eq!(left.len(), KEPT);
    assert!(!left.contains(&first[0]), "{left:?}");
    assert!(left.iter().any(|name| name.starts_with("d-")));
}

#[test]
fn code_that_others_may_have_written_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("compiled");
    code("a").kept(&Engine::default(), &compiled).unwrap();
    for mode in [0o720, 0o702, 0o777] {
        fs::set_permissions(&compiled, fs::Permissions::from_mode(mode)).unwrap();
        let error = code("a").kept(&Engine::default(), &compiled).unwrap_err();
        assert!(error.to_string().contains("mode 0700"), "{error:#}");
    }
    fs::set_permissions(&compiled, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(code("a").kept(&Engine::default(), &compiled).is_ok());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&compiled, &link).unwrap();
    assert!(code("a").kept(&Engine::default(), &link).is_err());
}
