//! What arrives on disk, and what does not.

use tar::{Builder, Header};

use super::*;

/// A kind, a path and a link target or content.
type Piece = (EntryType, &'static str, &'static str);

const DIRECTORY: EntryType = EntryType::Directory;
const FILE: EntryType = EntryType::Regular;
const SYMLINK: EntryType = EntryType::Symlink;
const LINK: EntryType = EntryType::Link;

fn tar(pieces: &[Piece]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, path, text) in pieces {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if *kind == DIRECTORY { 0o555 } else { 0o4640 });
        header.set_mtime(1_000_000_000);
        let name = &mut header.as_old_mut().name;
        // Builders refuse what these tests are about.
        name[..path.len()].copy_from_slice(path.as_bytes());
        let content = if *kind == FILE { *text } else { "" };
        if *kind != FILE && !text.is_empty() {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn named(name: &str) -> Top {
    Top {
        name: Some(name.into()),
        is_in_tar: true,
    }
}

const CONTENTS: Top = Top {
    name: None,
    is_in_tar: false,
};

#[test]
fn a_tree_arrives_under_its_new_name() {
    let place = tempfile::tempdir().unwrap();
    let tar = tar(&[
        (DIRECTORY, "d/", ""),
        (DIRECTORY, "d/sub", ""),
        (FILE, "d/sub/f", "text"),
        (SYMLINK, "d/l", "/etc/passwd"),
        (LINK, "d/hard", "d/sub/f"),
        (EntryType::Fifo, "d/pipe", ""),
    ]);
    let skipped = unpack(&tar[..], place.path(), &named("new")).unwrap();
    let new = place.path().join("new");
    assert_eq!(skipped, [new.join("pipe")]);
    assert_eq!(fs::read_to_string(new.join("sub/f")).unwrap(), "text");
    assert_eq!(fs::read_to_string(new.join("hard")).unwrap(), "text");
    assert_eq!(
        fs::read_link(new.join("l")).unwrap(),
        Path::new("/etc/passwd")
    );
    let mode = |path: &str| {
        let metadata = fs::symlink_metadata(new.join(path)).unwrap();
        let seconds = metadata
            .modified()
            .unwrap()
            .duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(seconds.unwrap().as_secs(), 1_000_000_000, "{path}");
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!(
        (mode("sub/f"), mode("sub"), mode("")),
        (0o640, 0o555, 0o555)
    );
    // So that whoever is not root can remove it.
    for path in ["", "sub"] {
        fs::set_permissions(new.join(path), Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn contents_arrive_in_the_directory_itself() {
    for tar in [
        tar(&[(DIRECTORY, "./", ""), (FILE, "./f", "a")]),
        tar(&[(DIRECTORY, "/", ""), (FILE, "/f", "a")]),
    ] {
        let place = tempfile::tempdir().unwrap();
        let before = fs::metadata(place.path()).unwrap().permissions();
        unpack(&tar[..], place.path(), &CONTENTS).unwrap();
        assert_eq!(fs::read_to_string(place.path().join("f")).unwrap(), "a");
        assert_eq!(fs::metadata(place.path()).unwrap().permissions(), before);
    }
}

#[test]
fn a_file_takes_the_place_of_a_file_or_link_and_of_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let victim = place.path().join("victim");
    fs::write(&victim, "safe").unwrap();
    symlink("victim", place.path().join("l")).unwrap();
    fs::create_dir(place.path().join("d")).unwrap();
    let file = tar(&[(FILE, "f", "new")]);
    unpack(&file[..], place.path(), &named("l")).unwrap();
    assert_eq!(fs::read_to_string(place.path().join("l")).unwrap(), "new");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
    assert!(unpack(&file[..], place.path(), &named("d")).is_err());
    let folder = tar(&[(DIRECTORY, "f", "")]);
    assert!(unpack(&folder[..], place.path(), &named("victim")).is_err());
}

#[test]
fn nothing_leaves_the_place() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "safe").unwrap();
    let to: &'static str = outside.path().to_str().unwrap().to_owned().leak();
    let to_secret: &'static str = secret.to_str().unwrap().to_owned().leak();
    for pieces in [
        &[(FILE, "d/../../secret", "evil")][..],
        &[(FILE, "../secret", "evil")],
        &[(SYMLINK, "d/l", to), (FILE, "d/l/secret", "evil")],
        &[(SYMLINK, "d", to), (FILE, "d/secret", "evil")],
        &[
            (SYMLINK, "d/l", to),
            (LINK, "d/h", "d/l/secret"),
            (FILE, "d/h", "evil"),
        ],
        &[(SYMLINK, "d/l", to_secret), (LINK, "d/h", "d/l")],
        &[(LINK, "d/h", "../secret")],
    ] {
        let place = tempfile::tempdir_in(outside.path()).unwrap();
        let unpacked = unpack(&tar(pieces)[..], place.path(), &named("n"));
        assert!(unpacked.is_err(), "{pieces:?}");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "safe", "{pieces:?}");
    }
    // What is absolute is taken as relative.
    let place = tempfile::tempdir().unwrap();
    unpack(&tar(&[(FILE, "/d/f", "a")])[..], place.path(), &named("n")).unwrap();
    assert!(place.path().join("n/f").exists());
}

#[test]
fn a_tar_that_is_cut_off_is_an_error() {
    let whole = tar(&[(FILE, "f", "0123456789")]);
    let place = tempfile::tempdir().unwrap();
    assert!(unpack(&whole[..515], place.path(), &named("f")).is_err());
}
