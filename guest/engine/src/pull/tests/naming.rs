//! Events, names and what is asked of a registry when all goes well.

use super::super::testing::{Bench, Made, Origin, index, layer, options, platform};
use crate::{Error, PullOptions};

fn image(seed: u8) -> Made {
    Made::new("amd64", &[layer(seed, 3000), layer(seed + 1, 500)])
}

#[test]
fn a_pull_tells_what_it_does_in_order() {
    let image = image(1);
    let bench = Bench::with(Origin::default().tagged("1", &image));
    let completed = bench.pull("r.example/app:1").unwrap();
    let [first, second] = [image.layer(0), image.layer(1)];
    assert_eq!(
        bench.events.downloading(&first),
        [2048],
        "looked at every 100 ms, while a piece takes 40"
    );
    let [first, second] = [first.short(), second.short()];
    assert_eq!(
        bench.events.brief(),
        [
            "resolved r.example/app:1".to_owned(),
            format!("Queued {first}"),
            format!("Queued {second}"),
            format!("Downloaded {second}"),
            format!("Downloaded {first}"),
            "completed r.example/app:1 true".to_owned(),
        ]
    );
    assert_eq!(completed[0].digest, image.digest);
    assert_eq!(completed[0].size, image.manifest.len() as u64);
    let target = bench.store.target("r.example/app:1").unwrap();
    assert_eq!(target.media_type, image.media_type);
    assert_eq!(bench.store.expected().len(), 2);
    bench.store.check();
    assert_eq!(
        bench.asked()[..2],
        [
            "HEAD r.example/v2/app/manifests/1".to_owned(),
            format!("GET r.example/v2/app/manifests/{}", image.digest),
        ]
    );
}

#[test]
fn a_second_pull_is_one_head() {
    let image = image(1);
    let index = index(&[image.entry(platform_json("amd64"))]);
    let bench = Bench::with(Origin::default().tagged("1", &index).and(&image));
    bench.pull("r.example/app:1").unwrap();
    bench.asked();
    bench.events.brief();
    bench.store.expected();
    let completed = bench.pull("r.example/app:1").unwrap();
    assert!(!completed[0].changed);
    assert_eq!(bench.asked(), ["HEAD r.example/v2/app/manifests/1"]);
    assert_eq!(
        bench.events.brief(),
        [
            "resolved r.example/app:1",
            "completed r.example/app:1 false"
        ]
    );
    assert!(bench.store.expected().is_empty());
    bench.store.check();
}

#[test]
fn layers_that_are_here_are_not_fetched() {
    let image = image(1);
    let bench = Bench::with(Origin::default().tagged("1", &image));
    bench.store.insert(image.layers[0].clone());
    bench.pull("r.example/app:1").unwrap();
    let [first, second] = [image.layer(0), image.layer(1)];
    assert_eq!(
        bench.events.brief(),
        [
            "resolved r.example/app:1".to_owned(),
            format!("Queued {}", first.short()),
            format!("Queued {}", second.short()),
            format!("AlreadyExists {}", first.short()),
            format!("Downloaded {}", second.short()),
            "completed r.example/app:1 true".to_owned(),
        ]
    );
    assert!(
        !bench
            .asked()
            .iter()
            .any(|line| line.contains(first.as_str()))
    );
}

#[test]
fn another_tag_of_content_that_is_here_fetches_nothing() {
    let image = image(1);
    let bench = Bench::with(Origin::default().tagged("1", &image).tagged("2", &image));
    bench.pull("r.example/app:1").unwrap();
    bench.asked();
    let completed = bench.pull("r.example/app:2").unwrap();
    assert!(completed[0].changed);
    assert_eq!(bench.asked(), ["HEAD r.example/v2/app/manifests/2"]);
}

#[test]
fn every_kind_of_reference_sets_its_name() {
    let image = image(1);
    let digest = &image.digest;
    let by_digest = format!("docker.io/library/app@{digest}");
    for (reference, name, asked) in [
        ("app", "docker.io/library/app:latest".to_owned(), "latest"),
        ("app:1", "docker.io/library/app:1".to_owned(), "1"),
        (&format!("app@{digest}"), by_digest.clone(), digest.as_str()),
        (&format!("app:1@{digest}"), by_digest, digest.as_str()),
    ] {
        let origin = Origin::default()
            .tagged("latest", &image)
            .tagged("1", &image);
        let bench = Bench::with(origin);
        let completed = bench.pull(reference).unwrap();
        assert_eq!(
            completed[0].reference.familiar(),
            match reference {
                "app" => "app:latest",
                other => other,
            }
        );
        let short = digest.short();
        assert_eq!(
            bench.store.listed(),
            [format!("{name} -> {short} [source.docker.io=library/app]")]
        );
        assert_eq!(
            bench.asked()[0],
            format!("HEAD registry-1.docker.io/v2/library/app/manifests/{asked}")
        );
    }
}

#[test]
fn every_tag_is_pulled_when_asked_for() {
    let (one, two) = (image(1), image(3));
    let origin = Origin::default().tagged("1", &one).tagged("2", &two);
    let bench = Bench::with(origin);
    let all = PullOptions {
        all_tags: true,
        ..options("r.example/app")
    };
    let completed = bench.pull_with(&all).unwrap();
    let names: Vec<String> = completed
        .iter()
        .map(|completed| completed.reference.to_string())
        .collect();
    assert_eq!(names, ["r.example/app:1", "r.example/app:2"]);
    assert_eq!(bench.asked()[0], "GET r.example/v2/app/tags/list");
    bench.store.check();
}

#[test]
fn a_name_that_moves_leaves_its_image_dangling_unless_it_has_another() {
    let (old, new) = (image(1), image(3));
    let moved = Origin::default().tagged("1", &new);
    let dangling = |image: &Made| format!("moby-dangling@{}", image.digest);
    for other_name in [false, true] {
        let mut origin = Origin::default().tagged("1", &old).tagged("2", &old);
        let later = moved.clone();
        let mut heads = 0;
        let bench = Bench::new(move |asked| {
            heads += i32::from(asked.is("HEAD", "manifests/1"));
            if heads == 2 {
                origin = later.clone();
            }
            origin.answer(asked)
        });
        bench.pull("r.example/app:1").unwrap();
        if other_name {
            bench.pull("r.example/app:2").unwrap();
        }
        bench.store.lose_races(3);
        assert!(bench.pull("r.example/app:1").unwrap()[0].changed);
        assert_eq!(
            bench.store.target(&dangling(&old)).is_some(),
            !other_name,
            "{:?}",
            bench.store.listed()
        );
        bench.store.check();
    }
}

#[test]
fn a_dangling_image_that_gets_a_name_dangles_no_more() {
    let (old, new) = (image(1), image(3));
    let (first, second) = (
        Origin::default().tagged("1", &old),
        Origin::default().tagged("1", &new),
    );
    let mut heads = 0;
    let bench = Bench::new(move |asked| {
        heads += i32::from(asked.is("HEAD", "manifests/1"));
        match heads {
            2 => second.answer(asked),
            _ => first.answer(asked),
        }
    });
    for _ in 0..3 {
        bench.pull("r.example/app:1").unwrap();
    }
    let [old, new] = [&old.digest, &new.digest];
    assert_eq!(
        bench.store.listed(),
        [
            format!(
                "moby-dangling@{new} -> {} [source.r.example=app]",
                new.short()
            ),
            format!("r.example/app:1 -> {} [source.r.example=app]", old.short()),
        ]
    );
}

#[test]
fn artifacts_and_their_everything_are_pulled() {
    let artifact = Made::with_config(
        "application/vnd.cncf.helm.config.v1+json",
        b"not even JSON",
        &[layer(1, 100)],
    );
    let bench = Bench::with(Origin::default().tagged("1", &artifact));
    bench.pull("r.example/chart:1").unwrap();
    assert!(bench.store.has(&artifact.config_digest) && bench.store.has(&artifact.layer(0)));
    assert!(bench.store.expected().is_empty());
    bench.store.check();
}

#[test]
fn diff_ids_are_compared_first_where_the_host_says_so() {
    let good = image(1);
    let lie = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"]}}"#;
    let config_type = "application/vnd.oci.image.config.v1+json";
    let bad = Made::with_config(config_type, lie, &[layer(1, 100)]);
    let short = Made::with_config(config_type, lie, &[layer(1, 100), layer(2, 100)]);
    let origin = Origin::default()
        .tagged("good", &good)
        .tagged("bad", &bad)
        .tagged("short", &short);
    let mut bench = Bench::with(origin);
    bench.engine.settings.verify_diff_ids_first = true;
    bench.pull("r.example/app:good").unwrap();
    let error = bench.pull("r.example/app:bad").unwrap_err();
    assert!(matches!(error, Error::ManifestInvalid(_)), "{error}");
    assert!(error.to_string().contains("unpacks to"), "{error}");
    let error = bench.pull("r.example/app:short").unwrap_err();
    assert!(matches!(error, Error::ManifestInvalid(_)), "{error}");
    assert_eq!(bench.store.listed().len(), 1, "nothing wrong got a name");
    assert!(bench.store.expected().is_empty());
    bench.store.check();
}

#[test]
fn a_single_manifest_of_another_platform_is_pulled() {
    let image = Made::new("s390x", &[layer(1, 10)]);
    let bench = Bench::with(Origin::default().tagged("1", &image));
    let options = PullOptions {
        platforms: vec![platform("linux/arm64")],
        ..options("r.example/app:1")
    };
    assert_eq!(bench.pull_with(&options).unwrap()[0].digest, image.digest);
}

fn platform_json(architecture: &str) -> serde_json::Value {
    serde_json::json!({ "platform": { "os": "linux", "architecture": architecture } })
}
