//! `/_ping` while others ask for all that is heavy.

use crate::fixture::{Debian, NAME};
use crate::peer::place;
use crate::served::Served;
use crate::stock;
use crate::table::{Samples, Table, time};
use crate::wire::{Body, KeepAlive};
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use strata_tests::server::escape;

/// Asked one after the other.
const PINGS: usize = 500;
/// Clients that ask for each heavy thing again and again.
const EACH: usize = 4;

/// Pings beside saves, exports and what takes processor time only.
pub(crate) async fn beside_heavy_requests(image: &Debian, table: &mut Table) -> Result<()> {
    eprintln!("pings beside heavy requests");
    let folder = place()?;
    stock::fill(image, &folder.path().join("store")).await?;
    let served = Served::on(folder).await?;
    let body = json!({"Image": NAME, "Cmd": ["true"]}).to_string();
    served
        .ask("POST", "/containers/create?name=box", Body::Json(&body))?
        .expect(201)?;
    let heavy = [
        ("GET", format!("/images/get?names={}", escape(NAME))),
        ("GET", "/containers/box/export".to_owned()),
        (
            "POST",
            format!(
                "/commit?container=box&repo=bench/heavy&changes={}",
                instructions()?
            ),
        ),
    ];
    let (over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let host = served.host();
    let mut pings = Samples::default();
    std::thread::scope(|scope| {
        let mut asking = Vec::new();
        for (method, path) in heavy.iter().cycle().take(heavy.len() * EACH) {
            let (over, answers) = (&over, &answers);
            asking.push(scope.spawn(move || {
                let result = ask(host, method, path, over, answers);
                // Or the pings would wait for the others for ever.
                answers.fetch_add(usize::from(result.is_err()), Ordering::Relaxed);
                result
            }));
        }
        let pinged = ping(host, &answers, &mut pings);
        over.store(true, Ordering::Relaxed);
        for asked in asking {
            asked.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        pinged
    })?;
    table.row(
        &format!("ping beside {} heavy requests, p50", heavy.len() * EACH),
        time(pings.median()),
        String::new(),
        "",
    );
    table.row(
        "the slowest of these pings",
        time(pings.quantile(1.0)),
        format!("p99 {}", time(pings.quantile(0.99))),
        "≤ 50 ms",
    );
    served.stop().await
}

/// As many pings as are wanted, from when the first heavy request was answered on.
fn ping(host: &str, answers: &AtomicUsize, pings: &mut Samples) -> Result<()> {
    let mut connection = KeepAlive::open(host)?;
    while answers.load(Ordering::Relaxed) == 0 {
        connection.request("GET", "/_ping")?;
    }
    for _ in 0..PINGS {
        let start = Instant::now();
        connection.request("GET", "/_ping")?;
        pings.add(start.elapsed());
        // Spread over what the others do.
        std::thread::yield_now();
    }
    Ok(())
}

/// Asks again and again, and reads whole answers; what is refused is heavy, too.
fn ask(
    host: &str,
    method: &str,
    path: &str,
    over: &AtomicBool,
    answers: &AtomicUsize,
) -> Result<()> {
    let mut connection = KeepAlive::open(host)?;
    while !over.load(Ordering::Relaxed) {
        connection
            .pass(method, path)
            .with_context(|| format!("{method} {path:.60}"))?;
        answers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Instructions that are few bytes and much work.
fn instructions() -> Result<String> {
    let mut text = String::new();
    for start in (1..60_000).step_by(1000) {
        writeln!(text, "EXPOSE {start}-{}", start + 999)?;
    }
    Ok(escape(&text))
}
