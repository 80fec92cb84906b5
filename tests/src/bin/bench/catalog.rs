//! Two thousand images in the store: list, inspect, cold start, prune.

use crate::Options;
use crate::peer::place;
use crate::table::{Samples, Table, mib, time};
use crate::wire::KeepAlive;
use anyhow::{Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::time::Instant;
use strata_tests::image::{Image, Schema};
use strata_tests::layer::{Compression, Layer};
use strata_tests::layout;
use strata_tests::server::{Server, escape};

const IMAGES: usize = 2000;
const LISTS: usize = 50;
const INSPECTS: usize = 5000;

pub(crate) async fn two_thousand_images(options: &Options, table: &mut Table) -> Result<()> {
    eprintln!("{IMAGES} images");
    let mut prunes = Samples::default();
    let mut starts = Samples::default();
    // Before the store keeps what a listing needs, and afterwards.
    let (mut unknown, mut first) = (Samples::default(), Samples::default());
    let (mut list, mut inspect) = (Samples::default(), Samples::default());
    let mut peak = 0;
    for run in 0..options.runs {
        let folder = place()?;
        let store = folder.path().join("store");
        fill(&store)?;
        // Adoption of the names is not the start measured.
        Server::start(&store, &[]).await?.terminate().await?;
        for samples in [&mut unknown, &mut first] {
            let server = Server::start(&store, &[]).await?;
            server.answers().await?;
            let mut connection = KeepAlive::open(&server.host)?;
            let start = Instant::now();
            connection.request("GET", "/images/json")?;
            samples.add(start.elapsed());
            server.terminate().await?;
        }
        let start = Instant::now();
        let server = Server::start(&store, &[]).await?;
        server.answers().await?;
        starts.add(start.elapsed());

        let mut connection = KeepAlive::open(&server.host)?;
        if run == 0 {
            measure_reads(&mut connection, &mut list, &mut inspect)?;
        }
        let filters = escape(r#"{"dangling":["false"]}"#);
        let start = Instant::now();
        let pruned = connection.request("POST", &format!("/images/prune?filters={filters}"))?;
        prunes.add(start.elapsed());
        let pruned: Value = serde_json::from_slice(&pruned)?;
        let gone = pruned["ImagesDeleted"].as_array().map_or(0, Vec::len);
        ensure!(gone >= IMAGES, "prune took {gone} of {IMAGES} images");
        peak = peak.max(crate::peer::peak_memory(server.pid())?);
        server.kill().await?;
    }
    let row = |table: &mut Table, what: &str, value, target| {
        table.row(
            &format!("{IMAGES} images: {what}"),
            time(value),
            String::new(),
            target,
        );
    };
    row(table, "list, p50", list.median(), "< 10 ms");
    row(
        table,
        "first list after a start",
        first.median(),
        "< 100 ms",
    );
    row(table, "first list of all", unknown.median(), "");
    row(table, "inspect, p50", inspect.median(), "< 200 µs");
    row(table, "inspect, p99", inspect.quantile(0.99), "< 500 µs");
    row(table, "prune of all", prunes.median(), "< 500 ms");
    row(table, "start to first answer", starts.median(), "< 150 ms");
    table.row(
        &format!("{IMAGES} images: peak memory"),
        mib(peak),
        String::new(),
        "",
    );
    Ok(())
}

/// A store that another tool filled: strata adopts it when it opens it.
fn fill(store: &Path) -> Result<()> {
    std::fs::create_dir_all(store)?;
    let layer = Layer::from_text("shared", "by all", Compression::Gzip)?;
    let made: Vec<(String, Image)> = (0..IMAGES)
        .map(|number| {
            let created = format!(
                "2024-01-{:02}T{:02}:{:02}:00Z",
                1 + number / 1440,
                number / 60 % 24,
                number % 60
            );
            let labels = serde_json::json!({"number": number.to_string()});
            let image = Image::builder(Schema::Oci).created(&created).labels(labels);
            let image = image
                .layer(layer.clone(), "COPY shared /")
                .step("CMD [\"true\"]")
                .build();
            (format!("docker.io/bench/image-{number}:1"), image)
        })
        .collect();
    let named: Vec<(&str, &Image)> = made
        .iter()
        .map(|(name, image)| (name.as_str(), image))
        .collect();
    layout::write(store, &named)
}

fn measure_reads(
    connection: &mut KeepAlive,
    list: &mut Samples,
    inspect: &mut Samples,
) -> Result<()> {
    for round in 0..LISTS + 5 {
        let start = Instant::now();
        let body = connection.request("GET", "/images/json")?;
        // The first ones warm what the server keeps.
        if round >= 5 {
            list.add(start.elapsed());
        } else {
            let listed: Value = serde_json::from_slice(&body)?;
            let count = listed.as_array().map_or(0, Vec::len);
            ensure!(count == IMAGES, "the list has {count} of {IMAGES} images");
        }
    }
    for round in 0..INSPECTS + 100 {
        // Spread over all images: an inspect of the same one would be the cache's best case.
        let path = format!("/images/bench/image-{}:1/json", round * 7919 % IMAGES);
        let start = Instant::now();
        connection.request("GET", &path)?;
        if round >= 100 {
            inspect.add(start.elapsed());
        }
    }
    Ok(())
}
