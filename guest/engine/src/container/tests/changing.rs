use super::*;

/// Copies in and says what differs, warm and read again.
fn changed_by(archives: &[&[Line<'_>]]) -> Vec<String> {
    let engine = usual();
    for archive in archives {
        copy_in(&engine, "/", tar(archive)).unwrap();
    }
    let warm = changes(&engine);
    forget(&engine);
    assert_eq!(changes(&engine), warm);
    warm
}

fn whiteout(path: &'static str) -> Line<'static> {
    (path, Kind::File(0), "")
}

#[test]
fn kinds_are_those_of_docker_diff() {
    let cases: &[(&[&[Line<'_>]], &[&str])] = &[
        (&[], &[]),
        (&[&[]], &[]),
        (&[&[file("new", "")]], &["A /new"]),
        (&[&[file("etc/new", "")]], &["C /etc", "A /etc/new"]),
        (&[&[file("etc/hosts", "x")]], &["C /etc", "C /etc/hosts"]),
        (&[&[directory("etc")]], &["C /etc"]),
        (&[&[file("a/b/c", "x")]], &["A /a", "A /a/b", "A /a/b/c"]),
        (&[&[whiteout(".wh.data")]], &["D /data"]),
        (&[&[whiteout("data/.wh.a")]], &["C /data", "D /data/a"]),
        (
            &[&[whiteout("data/.wh..wh..opq")]],
            &["C /data", "D /data/a", "D /data/b"],
        ),
        // Only what was there can be deleted.
        (&[&[whiteout(".wh.none")]], &[]),
        (&[&[whiteout("data/.wh.none")]], &[]),
        (&[&[whiteout(".wh..wh.plnk")]], &[]),
        (&[&[file("new", "")], &[whiteout(".wh.new")]], &[]),
        // A file hides what the directory had.
        (&[&[file("data", "x")]], &["C /data"]),
        (
            &[&[whiteout(".wh.data"), file("data/c", "C")]],
            &["C /data", "D /data/a", "D /data/b", "A /data/c"],
        ),
        (
            &[
                &[file("data", "x")],
                &[file("data2", ""), directory("data")],
            ],
            &["C /data", "D /data/a", "D /data/b", "A /data2"],
        ),
        // As in a layer: a whiteout does not remove what comes with it.
        (&[&[file("x", ""), whiteout(".wh.x")]], &["A /x"]),
        (
            &[&[file("data/a", "new"), whiteout("data/.wh..wh..opq")]],
            &["C /data", "C /data/a", "D /data/b"],
        ),
        // Through a link, where that leads.
        (
            &[&[whiteout("lib/.wh.c.so")]],
            &["C /usr", "C /usr/lib", "D /usr/lib/c.so"],
        ),
        (
            &[&[file("a.b", ""), file("a/b", ""), file("a-b", "")]],
            &["A /a", "A /a/b", "A /a-b", "A /a.b"],
        ),
        // Another name for what was there is new; what was there is as it was.
        (
            &[&[hard_link("bin/new", "bin/sh")]],
            &["C /bin", "A /bin/new"],
        ),
    ];
    for (archives, expected) in cases {
        assert_eq!(changed_by(archives), *expected, "{archives:?}");
    }
}
