//! Where paths lead.

use super::{directory, file, symlink, tree};
use crate::layer::{MAX_LINKS, PathError, Tree};

type Expected = Result<&'static str, PathError>;

/// A system with usual and unusual links.
fn system() -> Tree {
    tree(&[&[
        directory("usr/bin"),
        file("usr/bin/sh"),
        symlink("usr/bin/ash", "sh"),
        symlink("bin", "usr/bin"),
        symlink("abs", "/usr/bin"),
        symlink("up", "../../../usr"),
        symlink("usr/up", ".."),
        symlink("self", "self"),
        symlink("ping", "pong"),
        symlink("pong", "ping"),
        symlink("dangling", "usr/new"),
        symlink("nowhere", "no/new"),
        symlink("empty", ""),
        symlink("slash", "usr/bin/sh/"),
        symlink("root", "/"),
        symlink("usr/bin/chain", "/bin/ash"),
    ]])
}

#[test]
fn paths_follow_links_inside_the_root() {
    use PathError::{NotDirectory, NotFound, TooManyLinks};
    let system = system();
    // With the last link followed, and without.
    let rows: [(&str, Expected, Expected); 37] = [
        ("", Ok(""), Ok("")),
        ("/", Ok(""), Ok("")),
        (".", Ok(""), Ok("")),
        ("../..", Ok(""), Ok("")),
        ("usr", Ok("usr"), Ok("usr")),
        ("/usr/", Ok("usr"), Ok("usr")),
        ("//usr/./bin//sh", Ok("usr/bin/sh"), Ok("usr/bin/sh")),
        ("usr/../usr/bin", Ok("usr/bin"), Ok("usr/bin")),
        ("../../usr/bin", Ok("usr/bin"), Ok("usr/bin")),
        ("bin", Ok("usr/bin"), Ok("bin")),
        ("bin/", Ok("usr/bin"), Ok("usr/bin")),
        ("bin/.", Ok("usr/bin"), Ok("usr/bin")),
        ("bin/..", Ok("usr"), Ok("usr")),
        ("bin/sh", Ok("usr/bin/sh"), Ok("usr/bin/sh")),
        ("bin/ash", Ok("usr/bin/sh"), Ok("usr/bin/ash")),
        ("abs/ash", Ok("usr/bin/sh"), Ok("usr/bin/ash")),
        ("up", Ok("usr"), Ok("up")),
        ("up/bin/ash", Ok("usr/bin/sh"), Ok("usr/bin/ash")),
        ("usr/up", Ok(""), Ok("usr/up")),
        ("usr/up/bin/ash", Ok("usr/bin/sh"), Ok("usr/bin/ash")),
        ("usr/up/up/up/up", Ok("usr"), Ok("up")),
        ("root", Ok(""), Ok("root")),
        ("root/bin", Ok("usr/bin"), Ok("bin")),
        ("bin/chain", Ok("usr/bin/sh"), Ok("usr/bin/chain")),
        ("self", Err(TooManyLinks), Ok("self")),
        ("self/", Err(TooManyLinks), Err(TooManyLinks)),
        ("ping", Err(TooManyLinks), Ok("ping")),
        ("ping/x", Err(TooManyLinks), Err(TooManyLinks)),
        ("dangling", Err(NotFound), Ok("dangling")),
        ("empty", Err(NotFound), Ok("empty")),
        ("no", Err(NotFound), Err(NotFound)),
        ("no/..", Err(NotFound), Err(NotFound)),
        ("bin/sh/", Err(NotDirectory), Err(NotDirectory)),
        ("bin/sh/..", Err(NotDirectory), Err(NotDirectory)),
        ("bin/sh/x", Err(NotDirectory), Err(NotDirectory)),
        ("bin/ash/x", Err(NotDirectory), Err(NotDirectory)),
        ("slash", Err(NotDirectory), Ok("slash")),
    ];
    for (path, followed, unfollowed) in rows {
        for (follow_last, expected) in [(true, followed), (false, unfollowed)] {
            let found = system.resolve(path.as_bytes(), follow_last);
            let expected = expected.map(|name| name.as_bytes().to_vec());
            assert_eq!(found, expected, "{path:?} {follow_last}");
        }
    }
}

#[test]
fn only_the_last_component_may_be_new() {
    use PathError::{NotDirectory, NotFound, TooManyLinks};
    let system = system();
    let rows: [(&str, Expected); 17] = [
        ("usr", Ok("usr")),
        ("bin", Ok("usr/bin")),
        ("new", Ok("new")),
        ("/new/", Ok("new")),
        ("new//", Ok("new")),
        ("bin/new", Ok("usr/bin/new")),
        ("usr/up/new", Ok("new")),
        ("dangling", Ok("usr/new")),
        ("dangling/", Ok("usr/new")),
        ("new/.", Err(NotFound)),
        ("new/..", Err(NotFound)),
        ("no/new", Err(NotFound)),
        ("nowhere", Err(NotFound)),
        ("dangling/new", Err(NotFound)),
        ("empty", Err(NotFound)),
        ("bin/sh/new", Err(NotDirectory)),
        ("ping", Err(TooManyLinks)),
    ];
    for (path, expected) in rows {
        let found = system.resolve_new(path.as_bytes());
        let expected = expected.map(|name| name.as_bytes().to_vec());
        assert_eq!(found, expected, "{path:?}");
    }
}

#[test]
fn as_many_links_are_followed_as_linux_follows() {
    for (count, followed) in [(MAX_LINKS, true), (MAX_LINKS + 1, false)] {
        let links = (0..count).map(|n| symlink(&n.to_string(), &(n + 1).to_string()));
        let mut entries: Vec<_> = links.collect();
        entries.push(file(&count.to_string()));
        let found = tree(&[&entries]).resolve(b"0", true);
        let expected = match followed {
            true => Ok(count.to_string().into_bytes()),
            false => Err(PathError::TooManyLinks),
        };
        assert_eq!(found, expected);
    }
}
