use super::*;
use crate::Error;

/// A refused copy, after which everything is as it was.
fn refusal(engine: &TestEngine, archive: Vec<u8>) -> Error {
    let names = engine.store.now();
    let before = block_on(engine.find_saved("box")).unwrap().container;
    let error = copy_in(engine, "/data", archive).unwrap_err();
    let after = block_on(engine.find_saved("box")).unwrap().container;
    assert_eq!(before, after);
    assert_eq!(engine.store.now(), names, "no name changed");
    assert_eq!(engine.store.leases(), 0);
    error
}

#[test]
fn a_cut_tar_changes_nothing() {
    let engine = usual();
    let large: &'static str = "x".repeat(3000).leak();
    let whole = tar(&[file("x", large), symlink("y", "/"), file("z/a", "A")]);
    // Between entries nobody can tell, and the two blocks at the end may be missing.
    let cuts = (0..whole.len() - 1024).step_by(512);
    let cuts = cuts.filter(|length| ![3584, 4096].contains(length));
    for length in cuts.chain([1, 511, 513, 1000]) {
        let error = refusal(&engine, whole[..length].to_vec());
        assert!(
            matches!(error, Error::InvalidArgument(_)),
            "{length}: {error}"
        );
    }
    copy_in(&engine, "/data", whole[..whole.len() - 1024].to_vec()).unwrap();
    let changed = changes(&engine);
    copy_in(&engine, "/data", whole).unwrap();
    assert_eq!(changes(&engine), changed);
}

#[test]
fn what_leads_out_is_refused() {
    let engine = usual();
    for (path, kind) in [
        ("../x", Kind::File(0)),
        ("a/../../x", Kind::File(0)),
        ("x", Kind::HardLink(b"../etc/hosts".to_vec())),
        ("a/x", Kind::File(0)),
    ] {
        let error = refusal(&engine, tar(&[(path, kind, "")]));
        assert!(
            matches!(error, Error::InvalidArgument(_)),
            "{path}: {error}"
        );
    }
}

#[test]
fn absolute_names_are_below_the_directory() {
    let engine = usual();
    // As `docker cp box:/ -` names them.
    copy_in(&engine, "/data", tar(&[file("/etc/x", "x")])).unwrap();
    let expected = ["C /data", "A /data/etc", "A /data/etc/x"];
    assert_eq!(changes(&engine), expected);
}

#[test]
fn links_stay_inside() {
    for target in ["/etc", "../../../../etc", "../etc", "/out"] {
        let engine = usual();
        let archive = tar(&[
            ("to", Kind::Symlink(target.as_bytes().to_vec()), ""),
            file("to/new", "n"),
        ]);
        copy_in(&engine, "/data", archive).unwrap();
        let changes = changes(&engine);
        assert_eq!(
            changes,
            ["C /data", "A /data/to", "C /etc", "A /etc/new"],
            "{target}"
        );
    }
}

#[test]
fn links_that_lead_nowhere_take_nothing_in() {
    let engine = usual();
    for target in ["to", "/none/x", "a"] {
        let link = ("to", Kind::Symlink(target.into()), "");
        let error = refusal(&engine, tar(&[link, file("to/new", "n")]));
        assert!(
            matches!(error, Error::InvalidArgument(_)),
            "{target}: {error}"
        );
    }
}

#[test]
fn names_that_would_be_too_long_to_read_again_are_refused() {
    let engine = usual();
    let directory = format!("{}/", "d".repeat(255));
    let long: &'static str = format!("{}{}", directory.repeat(15), "n".repeat(255)).leak();
    assert_eq!(long.len(), 4095);
    let error = refusal(&engine, tar(&[file(long, "")]));
    assert!(matches!(error, Error::QuotaExceeded(_)), "{error}");
    copy_in(&engine, "/", tar(&[file(long, "")])).unwrap();
    forget(&engine);
    let found = block_on(engine.stat_path("box", long.as_bytes())).unwrap();
    assert_eq!(found.name, "n".repeat(255));
}

#[test]
fn a_layer_that_is_no_tar_is_told() {
    let engine = engine();
    image(&engine, "docker.io/library/app:latest", &[vec![1; 1000]]);
    create(&engine, "box").unwrap();
    let refused = copy_out(&engine, "/");
    assert!(
        matches!(refused, Err(Error::ManifestInvalid(_))),
        "{refused:?}"
    );
    // What needs no file system goes on.
    assert_eq!(changes(&engine), [""; 0]);
    commit(&engine, &CommitOptions::default()).unwrap();
    block_on(engine.remove_container("box")).unwrap();
}
