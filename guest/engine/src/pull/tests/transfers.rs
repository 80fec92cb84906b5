//! Blobs: cut, resumed, wrong, shared between pulls, or from other addresses.

use std::{cell::Cell, rc::Rc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future;
use strata_oci::{Digest, media_type};

use super::super::testing::{Asked, Bench, Events, Made, Origin, Reply, layer, options};
use crate::Error;

const SIZE: usize = 5000;

fn image() -> Made {
    Made::new("amd64", &[layer(1, SIZE)])
}

/// An honest registry whose `n`th answer for the layer goes through `change`.
fn bent(change: impl Fn(usize, &Asked, Reply) -> Reply + 'static) -> Bench {
    let image = image();
    let layer = image.layer(0).to_string();
    let origin = Origin::default().tagged("1", &image);
    let mut number = 0;
    Bench::new(move |asked| {
        let reply = origin.answer(asked);
        if !asked.is("GET", &layer) {
            return reply;
        }
        number += 1;
        change(number, asked, reply)
    })
}

/// The ranges asked for, `-` for none.
fn ranges(bench: &Bench) -> Vec<String> {
    let layer = image().layer(0).to_string();
    let log = bench.web.log.borrow();
    let requests = log.iter().filter(|asked| asked.is("GET", &layer));
    requests
        .map(|asked| asked.header("range").unwrap_or("-").to_owned())
        .collect()
}

fn full() -> Reply {
    Reply::ok(layer(1, SIZE))
}

#[test]
fn a_transfer_goes_on_where_it_broke() {
    type Change = fn(usize, &Asked, Reply) -> Reply;
    let cut: Change = |n, _, reply| if n < 4 { reply.cut_after(1000) } else { reply };
    let short: Change = |n, _, reply| if n < 3 { reply.end_after(1000) } else { reply };
    let refused: Change = |n, _, reply| match n {
        1 => reply.cut_after(1000),
        2 => Reply::status(416),
        _ => reply,
    };
    let ignored: Change = |n, _, reply| match n {
        1 => reply.cut_after(1000),
        _ => full(),
    };
    let elsewhere: Change = |n, _, reply| match n {
        1 => reply.cut_after(1000),
        2 => reply.header("content-range", "bytes 7-4999/5000"),
        _ => reply,
    };
    let no_answer: Change = |n, _, reply| match n {
        1 => Reply::refused(),
        2 => Reply::status(503),
        3 => Reply::status(408),
        _ => reply,
    };
    for (change, expected) in [
        (cut, &["-", "bytes=1000-", "bytes=2000-", "bytes=3000-"][..]),
        (short, &["-", "bytes=1000-", "bytes=2000-"]),
        (refused, &["-", "bytes=1000-", "-"]),
        (ignored, &["-", "bytes=1000-"]),
        (elsewhere, &["-", "bytes=1000-", "-"]),
        (no_answer, &["-", "-", "-", "-"]),
    ] {
        let bench = bent(change);
        bench.pull("r.example/app:1").unwrap();
        assert_eq!(ranges(&bench), expected);
        assert!(bench.store.has(&image().layer(0)));
        bench.store.check();
    }
}

#[test]
fn attempts_are_bounded_and_counted_from_the_last_progress() {
    let bench = bent(|_, _, reply| reply.cut_after(0));
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!(ranges(&bench).len(), 5);
    assert_eq!(bench.events.retries().len(), 4);

    // Each attempt brings 100 bytes more: fifty are fine.
    let bench = bent(|_, _, reply| reply.cut_after(100));
    bench.pull("r.example/app:1").unwrap();
    assert_eq!(ranges(&bench).len(), 50);

    // A server that ignores ranges and always breaks brings nothing new.
    let bench = bent(|_, _, _| full().cut_after(4000));
    bench.pull("r.example/app:1").unwrap_err();
    assert_eq!(ranges(&bench).len(), 5);

    // One that answers a range nobody asked for does not either.
    let bench = bent(|_, _, _| Reply::status(206).header("content-range", "bytes 9-10/11"));
    bench.pull("r.example/app:1").unwrap_err();
    assert_eq!(ranges(&bench).len(), 5);
}

#[test]
fn wrong_bytes_are_never_kept() {
    type Change = fn(usize, &Asked, Reply) -> Reply;
    let wrong: Change = |_, _, _| Reply::ok(layer(9, SIZE));
    let long: Change = |_, _, _| Reply::ok(layer(1, SIZE + 1));
    let endless: Change = |_, _, _| Reply::ok(layer(1, 1 << 20));
    for (change, is_mismatch) in [(wrong, true), (long, false), (endless, false)] {
        let bench = bent(change);
        let error = bench.pull("r.example/app:1").unwrap_err();
        match is_mismatch {
            true => assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}"),
            false => assert!(matches!(error, Error::ManifestInvalid(_)), "{error:?}"),
        }
        assert_eq!(ranges(&bench).len(), 1, "not tried again");
        assert_eq!(bench.store.partial(&image().layer(0)).unwrap_or(0), 0);
        assert!(bench.store.listed().is_empty());
        bench.store.check();
    }
}

#[test]
fn a_patchwork_that_does_not_fit_is_fetched_once_more_from_the_start() {
    for honest_in_the_end in [true, false] {
        let bench = bent(move |n, _, reply| match n {
            1 => reply,
            _ if honest_in_the_end => reply,
            _ => Reply::ok(layer(9, SIZE)),
        });
        let digest = image().layer(0);
        bench.store.leave_partial(&digest, &layer(7, 2000));
        let result = bench.pull("r.example/app:1");
        assert_eq!(result.is_ok(), honest_in_the_end);
        assert_eq!(ranges(&bench), ["bytes=2000-", "-"]);
        bench.store.check();
    }
}

#[test]
fn a_download_that_only_lacked_its_end_asks_for_nothing() {
    let bench = bent(|_, _, _| panic!("all bytes are here"));
    bench
        .store
        .leave_partial(&image().layer(0), &layer(1, SIZE));
    bench.pull("r.example/app:1").unwrap();
    bench.store.check();
}

#[test]
fn a_dropped_pull_leaves_what_the_next_one_goes_on_with() {
    let bench = bent(|_, _, reply| reply);
    let digest = image().layer(0);
    let options = options("r.example/app:1");
    let pull = bench.engine.pull(&options, &bench.events);
    let enough = || !bench.events.downloading(&digest).is_empty();
    assert!(bench.clock.run_until(pull, enough).is_none());
    let kept = bench.store.partial(&digest).unwrap();
    assert!((1024..SIZE).contains(&kept), "{kept}");
    assert!(bench.store.listed().is_empty());
    bench.store.check();
    bench.pull("r.example/app:1").unwrap();
    assert_eq!(ranges(&bench), ["-".to_owned(), format!("bytes={kept}-")]);
    bench.store.check();
}

#[test]
fn two_pulls_of_one_blob_share_its_download() {
    let bench = bent(|_, _, reply| reply);
    let digest = image().layer(0);
    let other = Events::default();
    let (one, two) = (options("r.example/app:1"), options("r.example/app:1"));
    let both = future::join(
        bench.engine.pull(&one, &bench.events),
        bench.engine.pull(&two, &other),
    );
    let (one, two) = bench.clock.run(both);
    assert_eq!((one.is_ok(), two.is_ok()), (true, true));
    assert_eq!(ranges(&bench).len(), 1);
    for events in [&bench.events, &other] {
        assert!(!events.downloading(&digest).is_empty(), "both see it grow");
        let brief = events.brief();
        assert!(
            brief.contains(&format!("Downloaded {}", digest.short())),
            "{brief:?}"
        );
    }
    bench.store.check();
}

#[test]
fn nobody_waits_for_a_slow_registry_somebody_else_chose() {
    for pause in [Duration::from_millis(100), Duration::from_secs(600)] {
        let image = image();
        let layer = image.layer(0).to_string();
        let origin = Origin::default().tagged("1", &image);
        let bench = Bench::new(move |asked| {
            let reply = origin.answer(asked);
            match asked.is("GET", &layer) && asked.is("GET", "slow.example") {
                true => reply.drips(pause),
                false => reply,
            }
        });
        let (slow, one) = (options("slow.example/app:1"), options("r.example/app:1"));
        let events = Events::default();
        {
            let slow = std::pin::pin!(bench.engine.pull(&slow, &events));
            let one = std::pin::pin!(async {
                // The other one has begun.
                crate::Clock::sleep(&bench.clock, Duration::from_secs(1)).await;
                bench.engine.pull(&one, &bench.events).await
            });
            let done = bench.clock.run(future::select(slow, one));
            let future::Either::Right((Ok(_), _)) = done else {
                panic!("the slow one was waited for");
            };
        }
        let waited = bench.clock.elapsed();
        assert!(waited < Duration::from_secs(20), "{waited:?}");
        bench.store.check();
    }
}

#[test]
fn a_waiting_pull_takes_over_when_the_other_gives_up() {
    let bench = bent(|_, _, reply| reply);
    let (one, two) = (options("r.example/app:1"), options("r.example/app:1"));
    let second = Events::default();
    let first = async {
        let pull = std::pin::pin!(bench.engine.pull(&one, &bench.events));
        let clock = bench.clock.clone();
        let later = std::pin::pin!(async move {
            crate::Clock::sleep(&clock, Duration::from_millis(300)).await;
        });
        future::select(pull, later).await;
    };
    let both = future::join(first, bench.engine.pull(&two, &second));
    bench.clock.run(both).1.unwrap();
    let ranges = ranges(&bench);
    assert!(
        ranges.len() == 2 && ranges[1].starts_with("bytes="),
        "{ranges:?}"
    );
    bench.store.check();
}

#[test]
fn at_most_so_many_layers_are_fetched_at_once() {
    let layers: Vec<Vec<u8>> = (0..9).map(|seed| layer(seed, 2000)).collect();
    let image = Made::new("amd64", &layers);
    let time = |parallel_layers| {
        let mut bench = Bench::with(Origin::default().tagged("1", &image));
        bench.engine.settings.parallel_layers = parallel_layers;
        bench.pull("r.example/app:1").unwrap();
        bench.clock.elapsed()
    };
    // An answer and two pieces take 120 ms.
    let round = Duration::from_millis(120);
    assert_eq!(time(3) - time(9), 2 * round);
    assert_eq!(time(0), time(1));
}

#[test]
fn layers_that_need_no_request_make_none() {
    let inline = layer(2, 20);
    let made = Made::new(
        "amd64",
        &[layer(1, 100), layer(1, 100), Vec::new(), inline.clone()],
    );
    let mut json = made.json();
    json["layers"][3]["data"] = BASE64_STANDARD.encode(&inline).into();
    let image = made.manifest(json);
    let bench = Bench::with(Origin::default().tagged("1", &image));
    bench.pull("r.example/app:1").unwrap();
    let blobs: Vec<String> = bench
        .asked()
        .into_iter()
        .filter(|line| line.contains("/blobs/"))
        .collect();
    assert_eq!(blobs.len(), 2, "the config and one layer: {blobs:?}");
    assert_eq!(bench.store.expected().len(), 4);
    let queued = bench.events.brief();
    let queued = queued.iter().filter(|event| event.starts_with("Queued"));
    assert_eq!(queued.count(), 3, "each layer once");
    bench.store.check();
}

#[test]
fn an_empty_layer_with_another_digest_is_refused() {
    let made = image();
    let mut json = made.json();
    json["layers"][0]["size"] = 0.into();
    let bench = Bench::with(Origin::default().tagged("1", &made.manifest(json)));
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}

#[test]
fn foreign_layers_come_from_their_addresses_first() {
    let made = image();
    let mut json = made.json();
    json["layers"][0]["mediaType"] = media_type::OCI_FOREIGN_LAYER.into();
    json["layers"][0]["urls"] = serde_json::json!([
        "file:///etc/passwd",
        "https://down.example/l",
        "https://wrong.example/l",
        "https://long.example/l",
        "https://half.example/l"
    ]);
    let image = made.manifest(json);
    let origin = Origin::default().tagged("1", &image);
    let bench = Bench::new(move |asked| {
        let host = asked.uri.host().unwrap();
        if host != "r.example" {
            assert_eq!(asked.authorization(), None);
        }
        match host {
            "down.example" => Reply::refused(),
            "wrong.example" => Reply::ok(layer(9, SIZE)),
            "long.example" => Reply::ok(layer(9, SIZE + 9)),
            "half.example" => Reply::ok(layer(1, SIZE)).cut_after(2000),
            _ => origin.answer(asked),
        }
    });
    bench.pull("r.example/app:1").unwrap();
    let asked = bench.asked();
    let asked: Vec<&String> = asked
        .iter()
        .filter(|line| line.ends_with("/l") || line.contains(image.layer(0).as_str()))
        .collect();
    assert_eq!(
        asked,
        [
            "GET down.example/l",
            "GET wrong.example/l",
            "GET long.example/l",
            "GET half.example/l",
            &format!("GET r.example/v2/app/blobs/{}", image.layer(0)),
        ]
    );
    bench.store.check();
}

#[test]
fn a_full_disk_ends_the_pull_at_once() {
    let bench = bent(|_, _, reply| reply);
    bench.store.space(2048);
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(matches!(error, Error::NoSpace(_)), "{error:?}");
    assert_eq!(ranges(&bench).len(), 1);
    bench.store.check();
}

#[test]
fn a_missing_blob_is_not_found() {
    let bench = bent(|_, _, _| Reply::status(404));
    let error = bench.pull("r.example/app:1").unwrap_err();
    assert!(
        matches!(&error, Error::NotFound(text) if text.contains("not found")),
        "{error:?}"
    );
}

#[test]
fn the_config_is_bounded_and_verified() {
    let image = image();
    let config = image.config_digest.to_string();
    type Judge = fn(&Error) -> bool;
    for (reply, judge) in [
        (
            Reply::ok("{}{}").body("x".repeat(1000)),
            (|e| matches!(e, Error::DigestMismatch { .. })) as Judge,
        ),
        (Reply::ok(vec![b' '; 9 << 20]), |e| {
            matches!(e, Error::ManifestInvalid(_))
        }),
        (Reply::ok(&image.config[..10]), |e| {
            matches!(e, Error::Unavailable(_))
        }),
    ] {
        let origin = Origin::default().tagged("1", &image);
        let config = config.clone();
        let reply = Rc::new(Cell::new(Some(reply)));
        let bench = Bench::new(move |asked| match asked.is("GET", &config) {
            true => reply.take().unwrap_or(Reply::refused()),
            false => origin.answer(asked),
        });
        let error = bench.pull("r.example/app:1").unwrap_err();
        assert!(judge(&error), "{error:?}");
        assert!(
            !bench
                .store
                .has(&Digest::parse(&image.config_digest.to_string()).unwrap())
        );
        bench.store.check();
    }
}
