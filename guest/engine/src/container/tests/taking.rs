use futures::FutureExt as _;
use strata_oci::archive::Compression;

use super::*;
use crate::{Error, Store as _};

#[test]
fn what_goes_in_comes_out() {
    let engine = usual();
    let long: &'static str = format!("{}/{}", "d".repeat(90), "n".repeat(90)).leak();
    let mut large = vec![7_u8; 3 << 20];
    large[1_500_000] = 8;
    let entry = |path: &str, kind| Entry {
        path: path.into(),
        kind,
        metadata: Metadata {
            mode: 0o4751,
            uid: 3_000_000,
            gid: 12,
            mtime: -5,
            xattrs: [(b"user.a".to_vec(), b"\0b".to_vec())].into(),
        },
    };
    let entries = [
        (entry("x", Kind::Directory), Vec::new()),
        (entry("x/large", Kind::File(large.len() as u64)), large),
        (entry("x/empty", Kind::File(0)), Vec::new()),
        (
            entry("x/link", Kind::Symlink(b"../far\xff".to_vec())),
            Vec::new(),
        ),
        (entry("x/pipe", Kind::Fifo), Vec::new()),
        (entry("x/null", Kind::CharacterDevice(1, 3)), Vec::new()),
        (entry("x/disk", Kind::BlockDevice(8, 0)), Vec::new()),
    ];
    copy_in(&engine, "/data", tar_of(&entries)).unwrap();
    let mut out = untar(&copy_out(&engine, "/data/x").unwrap());
    out.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    let mut entries = entries.to_vec();
    entries.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    assert!(out == entries);

    copy_in(&engine, "/", tar(&[file(long, "far")])).unwrap();
    let path = format!("/{long}");
    let name = "n".repeat(90);
    assert_eq!(
        lines(&copy_out(&engine, &path).unwrap()),
        [format!("f {name} far")]
    );
    // What is above it was made.
    assert_eq!(
        lines(&copy_out(&engine, &format!("/{}", "d".repeat(90))).unwrap()).len(),
        2
    );
}

#[test]
fn hard_links_are_of_the_directory_copied_into() {
    let engine = usual();
    let archive = tar(&[
        file("one", "1"),
        hard_link("two", "one"),
        hard_link("three", "../x"),
    ]);
    assert!(matches!(
        copy_in(&engine, "/data", archive),
        Err(Error::InvalidArgument(_))
    ));
    let archive = tar(&[
        file("one", "1"),
        hard_link("two", "one"),
        hard_link("three", "a"),
    ]);
    copy_in(&engine, "/data", archive).unwrap();
    assert_eq!(
        lines(&copy_out(&engine, "/data").unwrap()),
        [
            "d data",
            "f data/a A",
            "f data/b B",
            "f data/one 1",
            "h data/three data/a",
            "h data/two data/one",
        ]
    );
    for (path, target) in [
        ("new", "none"),
        ("a", "a"),
        ("new", "sub"),
        ("sub", "sub/x"),
    ] {
        let archive = tar(&[
            file("sub/x", "x"),
            (path, Kind::HardLink(target.into()), ""),
        ]);
        let refused = copy_in(&engine, "/data", archive);
        assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{path}");
    }
}

#[test]
fn an_entry_takes_the_place_of_what_was_there() {
    for (archive, expected) in [
        // A file in place of a directory, a file, and a link (not of what that leads to).
        (vec![file("data", "f")], "f data f"),
        (vec![file("etc/hosts", "new")], "f hosts new"),
        (vec![file("lib", "new")], "f lib new"),
        // A directory stays with what is in it.
        (
            vec![directory("data"), file("data/c", "C")],
            "d data,f data/a A,f data/b B,f data/c C",
        ),
        (
            vec![file("data", "f"), directory("data"), file("data/c", "C")],
            "d data,f data/c C",
        ),
        (
            vec![symlink("etc/hosts", "x"), file("etc/hosts", "y")],
            "f hosts y",
        ),
        // Later ones win.
        (
            vec![file("etc/hosts", "1"), file("etc/hosts", "2")],
            "f hosts 2",
        ),
        // Through links, those of the same tar too.
        (
            vec![file("lib/new", "n")],
            "d lib,f lib/c.so library,f lib/new n",
        ),
        (
            vec![symlink("to", "/data"), file("to/a", "new")],
            "d data,f data/b B,f data/a new",
        ),
    ] {
        let engine = usual();
        let path = match archive.last().unwrap().0 {
            "lib/new" => "/lib/",
            path if path.starts_with("data") || path == "to/a" => "/data",
            path => path,
        };
        copy_in(&engine, "/", tar(&archive)).unwrap();
        let warm = lines(&copy_out(&engine, path).unwrap());
        assert_eq!(warm.join(","), expected);
        // The same when it is read again.
        forget(&engine);
        assert_eq!(lines(&copy_out(&engine, path).unwrap()), warm);
    }
}

#[test]
fn directories_and_others_are_not_exchanged_if_that_is_refused() {
    let options = CopyInOptions {
        no_overwrite_dir_non_dir: true,
        ..CopyInOptions::default()
    };
    for (archive, text) in [
        (
            [file("data", "f")],
            "cannot overwrite directory \"/data\" with non-directory \"/\"",
        ),
        (
            [directory("etc/hosts")],
            "cannot overwrite non-directory \"/etc/hosts\" with directory \"/\"",
        ),
    ] {
        let engine = usual();
        let refused = copy_in_with(&engine, "/", tar(&archive), options);
        assert_eq!(refused, Err(Error::InvalidArgument(text.to_owned())));
        assert_eq!(changes(&engine), [""; 0]);
    }
    let engine = usual();
    let archive = tar(&[directory("data"), file("etc/hosts", "new")]);
    copy_in_with(&engine, "/", archive, options).unwrap();
}

#[test]
fn a_copy_needs_a_directory() {
    let engine = usual();
    let empty = || tar(&[file("x", "")]);
    let no_directory = Error::InvalidArgument("extraction point is not a directory".to_owned());
    assert_eq!(copy_in(&engine, "/etc/hosts", empty()), Err(no_directory));
    for path in ["/none", "/nowhere", "/etc/hosts/"] {
        let text = format!("Could not find the file {path} in container box");
        assert_eq!(copy_in(&engine, path, empty()), Err(Error::NotFound(text)));
    }
    copy_in(&engine, "/lib", empty()).unwrap();
    assert_eq!(lines(&copy_out(&engine, "/usr/lib/x").unwrap()), ["f x "]);
}

#[test]
fn what_is_copied_can_belong_to_the_containers_user() {
    for (user, expected) in [
        ("", Ok((1, 2))),
        ("0", Ok((0, 0))),
        ("ann", Ok((7, 8))),
        ("ann:users", Ok((7, 100))),
        ("7", Ok((7, 8))),
        ("9", Ok((9, 0))),
        ("9:5", Ok((9, 5))),
        ("root:users", Ok((0, 100))),
        (
            "bob",
            Err("unable to find user bob: no matching entries in passwd file"),
        ),
        (
            "ann:staff",
            Err("unable to find group staff: no matching entries in group file"),
        ),
    ] {
        let engine = usual();
        let mut options = CreateOptions {
            image: "app".to_owned(),
            name: Some("u1".to_owned()),
            ..CreateOptions::default()
        };
        options.config.user = user.to_owned();
        block_on(engine.create_container(&options)).unwrap();
        let entry = Entry {
            path: b"x".to_vec(),
            kind: Kind::File(0),
            metadata: Metadata {
                mode: 0o600,
                uid: 1,
                gid: 2,
                ..Metadata::default()
            },
        };
        let body = Bytes::of(tar_of(&[(entry, Vec::new())]));
        let options = CopyInOptions {
            copy_uid_gid: true,
            ..CopyInOptions::default()
        };
        let copied = block_on(engine.copy_in("u1", b"/", body, &options, &Silent));
        match expected {
            Ok(owner) => {
                copied.unwrap();
                let mut kept = Kept::default();
                block_on(engine.copy_out("u1", b"/x", &mut kept)).unwrap();
                let metadata = untar(&kept.0).remove(0).0.metadata;
                assert_eq!((metadata.uid, metadata.gid), owner, "{user}");
            }
            Err(text) => assert_eq!(copied, Err(Error::InvalidArgument(text.to_owned()))),
        }
    }
}

#[test]
fn many_copies_become_one_layer() {
    let engine = usual();
    for number in 0..40 {
        let path: &'static str = format!("data/{number}").leak();
        copy_in(&engine, "/", tar(&[file(path, path)])).unwrap();
    }
    copy_in(&engine, "/", tar(&[(".wh.lib", Kind::File(0), "")])).unwrap();
    let found = block_on(engine.find_saved("box")).unwrap();
    assert!(found.diffs.len() <= 32, "{}", found.diffs.len());
    let warm = export(&engine);
    forget(&engine);
    assert!(export(&engine) == warm);
    assert_eq!(changes(&engine).len(), 42);
    assert_eq!(
        lines(&copy_out(&engine, "/data/7").unwrap()),
        ["f 7 data/7"]
    );
    // One file's size is its name's: 10 of 6 and 30 of 7 bytes.
    assert_eq!(found.changed_size, 10 * 6 + 30 * 7);
}

#[test]
fn a_copy_into_what_is_removed_meanwhile_fails() {
    let engine = usual();
    let id = block_on(engine.find_saved("box")).unwrap().container.id;
    let removed = id.clone();
    engine.store.before("apply", move |store| {
        let change = crate::Change::Remove {
            namespace: "containers".to_owned(),
            name: removed,
            expected: crate::Expectation::Any,
        };
        let applied = store.apply(vec![change], None).now_or_never();
        applied.unwrap().unwrap();
    });
    let refused = copy_in(&engine, "/", tar(&[file("x", "")]));
    let text = format!("No such container: {id}");
    assert_eq!(refused, Err(Error::NotFound(text)));
    assert_eq!(engine.store.names_of("containers"), [""; 0]);
}

#[test]
fn bytes_are_reported() {
    let engine = usual();
    let events = Events::default();
    let body = Bytes::of(tar(&[file("x", "")]));
    let options = CopyInOptions::default();
    block_on(engine.copy_in("box", b"/", body, &options, &events)).unwrap();
    let events = events.0.take();
    let last = crate::ContentProgress {
        phase: crate::Phase::Downloaded,
        current: 1536,
        total: 0,
    };
    assert_eq!(events, [Event::Content(last)]);
}

#[test]
fn what_goes_in_may_be_compressed_but_not_cut() {
    let engine = usual();
    for compression in [
        Compression::Gzip,
        Compression::Zstd,
        Compression::Bzip2,
        Compression::Xz,
    ] {
        let archive = codec::compressed(compression, &tar(&[file("x", "content")]));
        let cut = archive[..archive.len() - 1].to_vec();
        assert!(copy_in(&engine, "/data", cut).is_err());
        copy_in(&engine, "/", archive).unwrap();
        assert_eq!(changes(&engine), ["A /x"]);
    }
}

#[test]
fn a_link_to_what_the_same_tar_removes_is_refused() {
    let engine = usual();
    let archive = tar(&[hard_link("x", "a"), (".wh.a", Kind::File(0), "")]);
    let refused = copy_in(&engine, "/data", archive);
    assert!(
        matches!(refused, Err(Error::InvalidArgument(_))),
        "{refused:?}"
    );
    assert_eq!(changes(&engine), [""; 0]);
}
