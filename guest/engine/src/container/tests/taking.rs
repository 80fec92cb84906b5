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
        let body = Bytes(Some(tar_of(&[(entry, Vec::new())])));
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

/// A copy that another one overtakes just before its change of the name.
fn overtaken(first: &[Line<'_>], second: &[Line<'_>]) -> (TestEngine, Result<()>) {
    let engine = usual();
    let other = TestEngine {
        store: engine.store.clone(),
        ..crate::catalog::fixture::engine()
    };
    let archive = tar(second);
    engine.store.before("apply", move |_| {
        let body = Bytes(Some(archive));
        let options = CopyInOptions::default();
        let copied = other.copy_in("box", b"/", body, &options, &Silent);
        copied.now_or_never().unwrap().unwrap();
    });
    let copied = copy_in(&engine, "/", tar(first));
    (engine, copied)
}

#[test]
fn copies_do_not_wait_for_each_other() {
    let (engine, copied) = overtaken(
        &[file("data/a", "first"), file("x", "x")],
        &[file("data/b", "second"), file("y", "y")],
    );
    copied.unwrap();
    let expected = ["C /data", "C /data/a", "C /data/b", "A /x", "A /y"];
    assert_eq!(changes(&engine), expected);
    let warm = export(&engine);
    forget(&engine);
    assert!(export(&engine) == warm);
    assert_eq!(engine.store.leases(), 0);
    // The later one wins.
    let (engine, copied) = overtaken(&[file("x", "first")], &[file("x", "second")]);
    copied.unwrap();
    assert_eq!(lines(&copy_out(&engine, "/x").unwrap()), ["f x first"]);
}

#[test]
fn a_copy_whose_ground_is_gone_is_told_to_try_again() {
    let (engine, copied) = overtaken(
        &[hard_link("x", "data/a")],
        &[("data/.wh.a", Kind::File(0), "")],
    );
    assert!(matches!(copied, Err(Error::Conflict(_))), "{copied:?}");
    assert_eq!(changes(&engine), ["C /data", "D /data/a"]);
    assert_eq!(engine.store.leases(), 0);
}

#[test]
fn what_a_layer_lists_is_read_once() {
    let engine = usual();
    copy_in(
        &engine,
        "/",
        tar(&[file("data/c", "C"), (".wh.old2", Kind::File(0), "")]),
    )
    .unwrap();
    let warm = export(&engine);
    // Another instance: nothing is known but what the store keeps.
    let other = TestEngine {
        store: engine.store.clone(),
        ..crate::catalog::fixture::engine()
    };
    block_on(other.container("box", false)).unwrap();
    let reads = |engine: &TestEngine| {
        engine.store.calls();
        block_on(engine.stat_path("box", b"/data/c")).unwrap();
        let calls = engine.store.calls();
        // The record is read each time.
        calls.iter().filter(|call| **call == "get").count() - 1
    };
    assert_eq!(reads(&other), 0);
    assert!(export(&other) == warm);
    // Damaged lists are read again, as are those of another version.
    let layers = block_on(other.find_saved("box")).unwrap();
    let layers = layers.image_manifest().unwrap().layers.clone();
    for layer in &layers {
        let kept = block_on(engine.store.recall(&layer.digest, "layer-list-1"));
        let mut kept = kept.unwrap().unwrap();
        kept.truncate(kept.len() - 1);
        block_on(engine.store.remember(&layer.digest, "layer-list-1", kept)).unwrap();
    }
    engine.catalog.roots.take();
    assert!(reads(&engine) > 0);
    engine.catalog.roots.take();
    assert_eq!(reads(&engine), 0);
    assert!(export(&engine) == warm);
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
    let body = Bytes(Some(tar(&[file("x", "")])));
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

/// A tar with a file of this size, of which `head` and, at 1024, `middle` are stored, and another file
/// after it.
fn sparse_tar(size: u64) -> Vec<u8> {
    let entry = |path: &str, size| {
        header(&Entry {
            path: path.into(),
            kind: Kind::File(size),
            metadata: Metadata::default(),
        })
    };
    let record = |key: &str, value: &str| {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|it| *it == rest + it.to_string().len());
        format!("{} {key}={value}\n", length.unwrap())
    };
    let records = [
        record("GNU.sparse.map", "0,4,1024,6"),
        record("GNU.sparse.numblocks", "2"),
        record("GNU.sparse.size", &size.to_string()),
    ]
    .concat();
    let mut extension = entry("x", records.len() as u64);
    extension[156] = b'x';
    extension[148..156].fill(b' ');
    let sum: u32 = extension.iter().map(|byte| u32::from(*byte)).sum();
    extension[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let padded = |content: &[u8]| {
        let mut content = content.to_vec();
        content.resize(content.len().next_multiple_of(512), 0);
        content
    };
    [
        extension,
        padded(records.as_bytes()),
        entry("sparse", 10),
        padded(b"headmiddle"),
        entry("other", 5),
        padded(b"there"),
        END.to_vec(),
    ]
    .concat()
}

#[test]
fn files_with_holes_are_whole_wherever_they_go() {
    let mut whole = vec![0; 3000];
    whole[..4].copy_from_slice(b"head");
    whole[1024..1030].copy_from_slice(b"middle");
    let check = |engine: &TestEngine| {
        for path in ["/sparse", "/other"] {
            let out = untar(&copy_out(engine, path).unwrap());
            let [(entry, content)] = out.as_slice() else {
                panic!("{path}: {out:?}");
            };
            let expected = match path {
                "/sparse" => whole.as_slice(),
                _ => b"there",
            };
            assert_eq!(entry.kind, Kind::File(expected.len() as u64));
            assert_eq!(content, expected, "{path}");
        }
        let all = untar(&export(engine));
        assert!(all.iter().any(|(_, content)| *content == whole));
    };
    // In a layer of the image, plain and compressed.
    for layer in [
        sparse_tar(3000),
        codec::compressed(Compression::Gzip, &sparse_tar(3000)),
    ] {
        let engine = fixture_of(layer);
        check(&engine);
        // From what the store kept.
        engine.catalog.roots.take();
        check(&engine);
    }
    // Copied in, which other tools read as any other file.
    let engine = usual();
    copy_in(&engine, "/", sparse_tar(3000)).unwrap();
    check(&engine);
    assert_eq!(changes(&engine), ["A /other", "A /sparse"]);
    let image = commit(&engine, &CommitOptions::default()).unwrap();
    let manifest = engine.store.bytes(&image).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = manifest["layers"].as_array().unwrap().last().unwrap();
    let layer = Digest::parse(layer["digest"].as_str().unwrap()).unwrap();
    let layer = untar(&engine.store.bytes(&layer).unwrap());
    assert!(layer.iter().any(|(_, content)| *content == whole));
}

#[test]
fn holes_that_would_fill_the_disk_are_refused() {
    let engine = usual();
    let refused = copy_in(&engine, "/", sparse_tar(1 << 40));
    assert!(
        matches!(refused, Err(Error::QuotaExceeded(_))),
        "{refused:?}"
    );
    // In a layer they block nothing.
    let engine = fixture_of(sparse_tar(1 << 40));
    assert_eq!(
        lines(&copy_out(&engine, "/other").unwrap()),
        ["f other there"]
    );
    let found = block_on(engine.stat_path("box", b"/sparse")).unwrap();
    assert_eq!(found.size, 1 << 40);
}

/// A container of an image with one layer.
fn fixture_of(layer: Vec<u8>) -> TestEngine {
    let engine = engine();
    image(&engine, "docker.io/library/app:latest", &[layer]);
    create(&engine, "box").unwrap();
    engine
}
