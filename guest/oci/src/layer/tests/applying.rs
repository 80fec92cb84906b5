//! What layers do to what is below them.

use super::{directory, entry, file, hard_link, names, symlink, tree};
use crate::layer::{Content, Entry, Kind, Metadata, Node, NodeKind, Tree, TreeError};

#[test]
fn layers_hide_and_replace() {
    let lower = || vec![file("d/e/f"), file("d/g"), file("h"), symlink("l", "d")];
    let below = ["d", "d/e", "d/e/f", "d/g", "h", "l"];
    let rows: [(&str, Vec<Entry>, &[&str]); 17] = [
        ("nothing", vec![], &below),
        (
            "a new name",
            vec![file("d/a")],
            &["d", "d/a", "d/e", "d/e/f", "d/g", "h", "l"],
        ),
        (
            "missing parents",
            vec![file("a/b/c")],
            &["a", "a/b", "a/b/c", "d", "d/e", "d/e/f", "d/g", "h", "l"],
        ),
        ("directory over directory", vec![directory("d")], &below),
        ("file over directory", vec![file("d")], &["d", "h", "l"]),
        ("directory over file", vec![directory("h")], &below),
        (
            "link over directory",
            vec![symlink("d", "h")],
            &["d", "h", "l"],
        ),
        // Links are not followed: what is in their way becomes a directory.
        (
            "below a link",
            vec![file("l/x")],
            &["d", "d/e", "d/e/f", "d/g", "h", "l", "l/x"],
        ),
        (
            "below a file",
            vec![file("h/x/y")],
            &["d", "d/e", "d/e/f", "d/g", "h", "h/x", "h/x/y", "l"],
        ),
        ("whiteout", vec![file("d/.wh.e")], &["d", "d/g", "h", "l"]),
        ("whiteout of nothing", vec![file("x/.wh.e")], &below),
        (
            "aufs",
            vec![file(".wh..wh.plnk"), file(".wh..wh.aufs"), file(".wh.")],
            &below,
        ),
        (
            "whiteout, then anew",
            vec![file(".wh.d"), file("d/n")],
            &["d", "d/n", "h", "l"],
        ),
        (
            "anew, then whiteout",
            vec![file("d/n"), file(".wh.d")],
            &["d", "d/n", "h", "l"],
        ),
        (
            "opaque",
            vec![directory("d"), file("d/n"), file("d/.wh..wh..opq")],
            &["d", "d/n", "h", "l"],
        ),
        ("opaque root", vec![file(".wh..wh..opq")], &[]),
        (
            "twice in a layer",
            vec![directory("h"), file("h/x"), file("h")],
            &below,
        ),
    ];
    for (row, upper, expected) in rows {
        let tree = tree(&[&lower(), &upper]);
        assert_eq!(names(&tree), expected, "{row}");
        assert_eq!(tree.len(), expected.len() + 1, "{row}");
    }
}

#[test]
fn the_later_entry_of_a_layer_counts() {
    let tree = tree(&[&[entry("a", Kind::File(1)), entry("a", Kind::File(2))]]);
    let content = Content {
        layer: 0,
        offset: 1,
        size: 2,
    };
    let kind = NodeKind::File {
        content,
        link: None,
        sparse: None,
    };
    assert_eq!(tree.get(b"a").map(|node| node.kind), Some(kind));
}

#[test]
fn directories_nobody_wrote_are_roots() {
    let implied = Node {
        kind: NodeKind::Directory,
        metadata: Metadata {
            mode: 0o755,
            ..Metadata::default()
        },
        layer: None,
    };
    let first = tree(&[&[file("a/b")]]);
    for path in ["", "a"] {
        assert_eq!(
            first.get(path.as_bytes()),
            Some(implied.clone()),
            "{path:?}"
        );
    }
    let mut own = directory("a");
    own.metadata.mode = 0o700;
    own.metadata.uid = 5;
    let mut root = directory("");
    root.metadata.mode = 0o1777;
    // The directory keeps what is in it, and its metadata when there is more in it.
    let second = tree(&[&[file("a/b")], &[own.clone(), root], &[file("a/c")]]);
    assert_eq!(names(&second), ["a", "a/b", "a/c"]);
    let found = second.get(b"a").unwrap();
    assert_eq!((&found.metadata, found.layer), (&own.metadata, Some(1)));
    assert_eq!(second.get(b"").unwrap().metadata.mode, 0o1777);
    // Removed and made again it has nothing of what it was.
    let third = tree(&[&[own], &[file("a/c"), file(".wh.a")]]);
    assert_eq!(third.get(b"a"), Some(implied.clone()));
    // Neither has a link that had to make way.
    let fourth = tree(&[&[symlink("a", "b")], &[file("a/c")]]);
    assert_eq!(fourth.get(b"a"), Some(implied.clone()));
}

#[test]
fn the_root_stays_a_directory() {
    let tree = tree(&[&[file("a")], &[file(""), symlink("", "a")]]);
    assert!(matches!(tree.get(b""), Some(node) if node.kind == NodeKind::Directory));
    assert_eq!(names(&tree), ["a"]);
}

/// The layer and offset of a file's content, and which link it is.
fn found(tree: &Tree, path: &str) -> (u32, u64, Option<u32>) {
    let node = tree.find(path.as_bytes()).unwrap();
    let (content, link) = tree.content(node).unwrap();
    (content.layer, content.offset, link)
}

#[test]
fn hard_links_share_a_file() {
    let mut lower = [file("a"), hard_link("b", "a"), file("c")];
    lower[0].metadata.uid = 7;
    // The metadata of the link is that of the file.
    lower[1].metadata.uid = 8;
    let first = tree(&[&lower]);
    assert_eq!(first.get(b"b").unwrap().metadata.uid, 7);
    let (_, _, link) = found(&first, "a");
    assert!(link.is_some());
    assert_eq!(found(&first, "b"), (0, 0, link));
    assert_eq!(found(&first, "c"), (0, 2, None));
    // A link to a file of a lower layer.
    let upper = [hard_link("d", "b"), hard_link("e", "c")];
    let second = tree(&[&lower, &upper]);
    assert_eq!(found(&second, "d"), found(&second, "a"));
    assert_eq!(second.get(b"d").unwrap().layer, Some(1));
    let (_, _, other) = found(&second, "e");
    assert_eq!(found(&second, "c"), (0, 2, other));
    assert_ne!(other, found(&second, "a").2);
    // One name replaced or removed leaves the others.
    let third = tree(&[&lower, &upper, &[file("a"), file(".wh.b")]]);
    assert_eq!(found(&third, "a"), (2, 0, None));
    assert_eq!(third.get(b"b"), None);
    assert_eq!(found(&third, "d").0, 0);
}

#[test]
fn links_to_links_and_pipes_are_copies() {
    let pipe = entry("p", Kind::Fifo);
    let tree = tree(&[&[
        symlink("s", "x"),
        hard_link("t", "s"),
        pipe,
        hard_link("q", "p"),
    ]]);
    let kind = |path: &[u8]| tree.get(path).map(|node| node.kind);
    assert_eq!(kind(b"t"), Some(NodeKind::Symlink(b"x".to_vec())));
    assert_eq!(kind(b"q"), Some(NodeKind::Fifo));
}

#[test]
fn hard_links_must_lead_to_a_file() {
    for (path, target, layer) in [
        ("l", "nothing", vec![]),
        ("l", "", vec![]),
        ("l", "d", vec![]),
        // It comes too late, is gone, or was never there.
        ("l", "late", vec![file("late")]),
        ("l", "d/f", vec![file(".wh.d")]),
        ("l", ".wh.x", vec![file(".wh.x")]),
        // Links on the way are not followed.
        ("l", "s/f", vec![symlink("s", "d")]),
    ] {
        let mut tree = tree(&[&[file("d/f")]]);
        let mut entries = vec![hard_link(path, target)];
        entries.extend(layer);
        let error = tree.apply(1, entries.into_iter().zip(0..));
        let expected = TreeError::DanglingLink {
            path: path.to_owned(),
            target: target.to_owned(),
        };
        assert_eq!(error, Err(expected), "{target}");
    }
}

#[test]
fn names_are_ordered_by_component() {
    let entries = [
        "a",
        "a/z",
        "a/z/\u{1}",
        "a ",
        "a!",
        "a-",
        "a-/b",
        "a.",
        "a.b",
        "a0",
        "aa",
        "b",
        "b\u{1}",
        "b\u{1}/c",
        "\u{e4}",
    ];
    let mut backwards: Vec<_> = entries.iter().map(|path| directory(path)).collect();
    backwards.reverse();
    let tree = tree(&[&backwards]);
    let expected = [
        "a",
        "a/z",
        "a/z/\u{1}",
        "a ",
        "a!",
        "a-",
        "a-/b",
        "a.",
        "a.b",
        "a0",
        "aa",
        "b",
        "b\u{1}",
        "b\u{1}/c",
        "\u{e4}",
    ];
    assert_eq!(names(&tree), expected);
    let below = |path: &str| {
        let names = tree.walk(path.as_bytes()).map(|node| tree.path(node));
        names.collect::<Vec<_>>()
    };
    assert_eq!(below("a"), [&b"a"[..], b"a/z", b"a/z/\x01"]);
    assert_eq!(below("a/z"), [&b"a/z"[..], b"a/z/\x01"]);
    assert_eq!(below("b"), [b"b"]);
    assert!(below("x").is_empty());
    assert!(tree.is_empty(b"b") && !tree.is_empty(b"a") && !tree.is_empty(b""));
    assert!(Tree::new().is_empty(b""));
}
