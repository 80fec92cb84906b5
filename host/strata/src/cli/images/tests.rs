//! What a listing looks like.

use strata::types::Descriptor;

use super::*;
use crate::cli::arguments::{Arguments, Command};

const ID: &str = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1";
const NOW: i64 = 1_800_000_000;

fn image(tags: &[&str], digests: &[&str]) -> ImageSummary {
    ImageSummary {
        id: ID.into(),
        target: Descriptor {
            media_type: "x".into(),
            digest: ID.into(),
            size: 1,
        },
        tags: tags.iter().map(|&name| name.into()).collect(),
        digests: digests.iter().map(|&name| name.into()).collect(),
        created: NOW - 21 * 86_400,
        size: 12_830_000,
        shared_size: None,
        labels: Vec::new(),
        containers: 0,
        damaged: None,
    }
}

#[test]
fn damaged_images_are_told_apart_from_the_table() {
    let mut images = vec![
        image(&["a:1"], &[]),
        image(&["b:1", "b:2"], &[]),
        image(&[], &[]),
    ];
    assert_eq!(damaged(&images), [""; 0]);
    images[1].damaged = Some("blob x has changed".to_owned());
    images[2].damaged = Some("y is missing\u{1b}[2J".to_owned());
    let [named, unnamed] = &damaged(&images)[..] else {
        panic!()
    };
    assert_eq!(
        named,
        "strata: image b:1 is damaged: blob x has changed; pull or load it again, or run `strata check --repair`"
    );
    assert!(
        unnamed.contains(ID) && !unnamed.contains('\u{1b}'),
        "{unnamed}"
    );
}

fn listing(line: &str, images: &[ImageSummary]) -> String {
    match Arguments::parse_from_words(line.split(' '))
        .unwrap()
        .command
    {
        Command::Images(arguments) => text(images, &arguments, NOW),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_table_is_dockers() {
    let digest = format!("alpine@{ID}");
    let images = [
        image(
            &["alpine:latest", "alpine:3", "localhost:5000/a:1"],
            &[&digest],
        ),
        image(&[], &[]),
    ];
    let expected = "\
REPOSITORY         TAG       IMAGE ID       CREATED       SIZE
alpine             latest    4bcff63911fc   3 weeks ago   12.8MB
alpine             3         4bcff63911fc   3 weeks ago   12.8MB
localhost:5000/a   1         4bcff63911fc   3 weeks ago   12.8MB
<none>             <none>    4bcff63911fc   3 weeks ago   12.8MB
";
    assert_eq!(listing("strata images", &images), expected);
}

#[test]
fn an_empty_store_still_has_headings() {
    let expected = "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n";
    assert_eq!(listing("strata ls", &[]), expected);
}

#[test]
fn digests_and_full_ids_are_shown_on_request() {
    let digest = format!("alpine@{ID}");
    let images = [image(&["alpine:latest", "b:1"], &[&digest])];
    let text = listing("strata images --digests --no-trunc", &images);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("DIGEST"), "{text}");
    assert_eq!(lines[1].matches(ID).count(), 2, "{text}");
    assert!(
        lines[2].starts_with("b ") && lines[2].contains(NONE),
        "{text}"
    );
}

#[test]
fn a_name_with_a_digest_has_one_line() {
    let name = format!("localhost:5000/a@{ID}");
    let pulled = image(&[&name], &[&name]);
    assert_eq!(
        Row::of(&pulled, false),
        [Row::new("localhost:5000/a", NONE, ID)]
    );
    assert_eq!(
        Row::of(&pulled, true),
        [Row::new("localhost:5000/a", NONE, ID)]
    );
}

#[test]
fn quiet_prints_each_image_once() {
    let images = [image(&["a:1", "b:1"], &[])];
    assert_eq!(ids(&images, false), "4bcff63911fc\n");
    assert_eq!(ids(&images, true), format!("{ID}\n"));
}
