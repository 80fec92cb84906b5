//! Two trees side by side.

use super::{directory, entry, file, symlink, tree};
use crate::layer::{Kind, Order, Tree};

/// Each pair in a line: `- name` of what is only in the first, `+ name` only in the second, `= name` in both.
fn lines(old: &Tree, new: &Tree, order: Order) -> Vec<String> {
    let line = |pair: super::super::Pair| {
        let path = |tree: &Tree, id| String::from_utf8(tree.path(id)).unwrap();
        match (pair.old, pair.new) {
            (Some(old_id), None) => format!("- {}", path(old, old_id)),
            (None, Some(id)) => format!("+ {}", path(new, id)),
            (Some(old_id), Some(id)) => {
                assert_eq!(path(old, old_id), path(new, id));
                format!("= {}", path(new, id))
            }
            (None, None) => panic!("nothing"),
        }
    };
    old.compare(new, order).map(line).collect()
}

#[test]
fn every_name_comes_once_and_what_is_gone_with_its_directory_does_not() {
    let old = tree(&[&[
        file("a"),
        file("b/c"),
        file("b/d/e"),
        directory("f"),
        file("f/g"),
        file("x"),
        entry("z", Kind::Fifo),
    ]]);
    let new = tree(&[&[
        file("b/a"),
        file("b/d"),
        file("b.c"),
        symlink("f", "b"),
        file("x/y/z"),
        file("z"),
    ]]);
    let expected = [
        "- a", "= b", "+ b/a", "- b/c", "= b/d", "+ b.c", "= f", "= x", "+ x/y", "+ x/y/z", "= z",
    ];
    assert_eq!(lines(&old, &new, Order::Names), expected);
    let expected = [
        "- a", "= b", "- b/c", "+ b/a", "= b/d", "+ b.c", "= f", "= x", "+ x/y", "+ x/y/z", "= z",
    ];
    assert_eq!(lines(&old, &new, Order::RemovedFirst), expected);
    let nothing = Tree::new();
    assert!(lines(&nothing, &nothing, Order::RemovedFirst).is_empty());
    assert_eq!(
        lines(&old, &nothing, Order::Names),
        ["- a", "- b", "- f", "- x", "- z"]
    );
}
