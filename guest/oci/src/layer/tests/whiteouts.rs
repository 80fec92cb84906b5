//! Which names are whiteouts.

use super::file;
use crate::layer::Whiteout::{self, Name, Opaque};

#[test]
fn the_last_component_tells_whiteouts() {
    let rows: [(&str, Option<Whiteout>); 13] = [
        ("a", None),
        (".wh", None),
        (".who", None),
        ("a.wh.b", None),
        (".wh.a", Some(Name(b"a"))),
        ("d/.wh.a", Some(Name(b"a"))),
        ("d/.wh..a", Some(Name(b".a"))),
        (".wh..wh..opq", Some(Opaque)),
        ("d/e/.wh..wh..opq", Some(Opaque)),
        // Aufs' own names.
        (".wh.", Some(Name(b""))),
        (".wh..wh.plnk", Some(Name(b""))),
        (".wh..wh.plnk/12.34", Some(Name(b""))),
        ("d/.wh.a/b", Some(Name(b""))),
    ];
    for (path, expected) in rows {
        assert_eq!(file(path).whiteout(), expected, "{path}");
    }
}
