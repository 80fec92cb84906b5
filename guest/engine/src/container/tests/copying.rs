use strata_oci::archive::Compression;

use super::*;
use crate::{Error, FileKind, PathStat, Store as _};

#[test]
fn a_subtree_is_named_as_it_was_asked_for() {
    let engine = usual();
    for (path, expected) in [
        ("/etc/hosts", &["f hosts localhost"][..]),
        ("etc/hosts", &["f hosts localhost"]),
        ("/data", &["d data", "f data/a A", "f data/b B"]),
        ("/data/", &["d data", "f data/a A", "f data/b B"]),
        // The root of the tar has the empty name when it is read.
        ("/data/.", &["d ", "f a A", "f b B"]),
        ("/etc/../data/a", &["f a A"]),
        ("/lib", &["l lib usr/lib"]),
        ("/lib/", &["d lib", "f lib/c.so library"]),
        ("/lib/.", &["d ", "f c.so library"]),
        ("/lib/c.so", &["f c.so library"]),
        ("/out/hosts", &["f hosts localhost"]),
        ("/bin", &["d bin", "f bin/ash shell", "h bin/sh bin/ash"]),
        ("/bin/sh", &["f sh shell"]),
    ] {
        assert_eq!(lines(&copy_out(&engine, path).unwrap()), expected, "{path}");
    }
}

#[test]
fn names_below_the_root_begin_with_a_slash() {
    let engine = engine();
    let layers = [tar(&[directory("etc"), file("etc/hosts", "h")])];
    image(&engine, "docker.io/library/app:latest", &layers);
    create(&engine, "box").unwrap();
    let bytes = copy_out(&engine, "/").unwrap();
    let names: Vec<_> = bytes
        .chunks(512)
        .filter(|block| block[257..262] == *b"ustar")
        .map(|block| {
            let name = block[..100].split(|byte| *byte == 0).next().unwrap();
            String::from_utf8(name.to_vec()).unwrap()
        })
        .collect();
    assert_eq!(names, ["/./", "/etc/", "/etc/hosts"]);
}

#[test]
fn an_export_has_everything_once_and_in_an_order_that_extracts() {
    let engine = usual();
    let lines = lines(&export(&engine));
    assert_eq!(
        lines,
        [
            "d bin",
            "d data",
            "d etc",
            "d usr",
            "d usr/lib",
            "f etc/hosts localhost",
            "f etc/passwd root:x:0:0::/:\nann:x:7:8::/:\n",
            "f etc/group root:x:0:\nusers:x:100:\n",
            "f bin/ash shell",
            "f data/a A",
            "f data/b B",
            "f usr/lib/c.so library",
            "l lib usr/lib",
            "l loop loop",
            "l nowhere /no/where",
            "l out ../../../etc",
            "h bin/sh bin/ash",
        ]
    );
}

#[test]
fn content_comes_out_of_compressed_layers_too() {
    let engine = engine();
    let large = "x".repeat(700_000);
    let large: &'static str = large.leak();
    let compressed = tar(&[file("a", "first"), file("b", large), file("c", "last")]);
    let compressed = codec::compressed(Compression::Gzip, &compressed);
    let plain = tar(&[file("d", large), file("e", "end"), file("f", "")]);
    image(
        &engine,
        "docker.io/library/app:latest",
        &[compressed, plain],
    );
    create(&engine, "box").unwrap();
    let expected = [
        "f a first".to_owned(),
        format!("f b {large}"),
        "f c last".to_owned(),
        format!("f d {large}"),
        "f e end".to_owned(),
        "f f ".to_owned(),
    ];
    assert!(lines(&export(&engine)) == expected);
    assert_eq!(lines(&copy_out(&engine, "/c").unwrap()), ["f c last"]);
}

#[test]
fn files_too_large_to_read_through_are_jumped_over() {
    let engine = engine();
    let large: &'static str = "x".repeat(1_500_001).leak();
    let layer = tar(&[file("a", large), file("b", "after"), file("c", large)]);
    image(&engine, "docker.io/library/app:latest", &[layer]);
    create(&engine, "box").unwrap();
    assert_eq!(lines(&copy_out(&engine, "/b").unwrap()), ["f b after"]);
    assert_eq!(untar(&export(&engine)).len(), 3);
    // Content that ends behind the layer.
    let broken = tar(&[file("a", large)]);
    let broken = broken[..512 * 20].to_vec();
    image(&engine, "docker.io/library/app:latest", &[broken]);
    create(&engine, "broken").unwrap();
    let broken = block_on(engine.stat_path("broken", b"/a"));
    assert!(
        matches!(broken, Err(Error::ManifestInvalid(_))),
        "{broken:?}"
    );
}

#[test]
fn a_layer_without_its_end_counts_as_whole() {
    let engine = engine();
    let whole = tar(&[file("a", "A"), file("b", "B")]);
    let layer = whole[..whole.len() - 1024].to_vec();
    image(
        &engine,
        "docker.io/library/app:latest",
        &[layer, Vec::new()],
    );
    create(&engine, "box").unwrap();
    assert_eq!(lines(&export(&engine)), ["f a A", "f b B"]);
}

#[test]
fn a_path_is_told_as_it_is_found() {
    let engine = usual();
    let stat = |path: &str| block_on(engine.stat_path("box", path.as_bytes()));
    for (path, name, kind, size, link) in [
        ("/", "/", FileKind::Directory, 0, ""),
        ("/.", ".", FileKind::Directory, 0, ""),
        ("/etc/", "etc", FileKind::Directory, 0, ""),
        ("/etc/hosts", "hosts", FileKind::File, 9, ""),
        ("/lib", "lib", FileKind::Symlink, 0, "/usr/lib"),
        ("/lib/", "lib", FileKind::Directory, 0, ""),
        ("/lib/.", ".", FileKind::Directory, 0, ""),
        ("/out", "out", FileKind::Symlink, 0, "/etc"),
        ("/nowhere", "nowhere", FileKind::Symlink, 0, "/no/where"),
    ] {
        let found: PathStat = stat(path).unwrap();
        let found = (found.name, found.kind, found.size, found.link_target);
        let expected = (name.to_owned(), kind, size, link.to_owned());
        assert_eq!(found, expected, "{path}");
    }
    let found = stat("/etc/hosts").unwrap();
    assert_eq!((found.mode, found.modified), (0o644, 1000));
    for path in [
        "/none",
        "/etc/hosts/",
        "/etc/hosts/x",
        "/none/x",
        "/nowhere/",
        "/old",
    ] {
        let text = format!("Could not find the file {path} in container box");
        assert_eq!(stat(path), Err(Error::NotFound(text)), "{path}");
    }
    assert!(matches!(stat("/loop/"), Err(Error::InvalidArgument(_))));
    assert!(matches!(stat("/loop"), Ok(found) if found.kind == FileKind::Symlink));
}

#[test]
fn what_is_said_of_damaged_copies_asks_for_no_pull() {
    let engine = usual();
    copy_in(&engine, "/", tar(&[file("x", "first")])).unwrap();
    let saved = block_on(engine.find_saved("box")).unwrap();
    let layer = saved.diffs[0].digest.clone();
    let reading = engine.reading("box", async |_| {
        engine.store.mark(&layer, "it has changed");
        Err::<(), _>(Error::Damaged("pull the image again".to_owned()))
    });
    let text = format!(
        "what was copied into the container is damaged: blob {layer} is damaged: it has changed; \
         remove the container, and copy it into a new one"
    );
    assert_eq!(block_on(reading), Err(Error::Damaged(text)));
    // Of an image's layers that is not said.
    let other = engine.reading("box", async |_| {
        engine
            .store
            .put(
                &layer,
                tar(&[file("x", "first")]),
                &engine.store.acquire_lease().await?,
            )
            .await?;
        Err::<(), _>(Error::Damaged("pull the image again".to_owned()))
    });
    let text = "pull the image again".to_owned();
    assert_eq!(block_on(other), Err(Error::Damaged(text)));
}
