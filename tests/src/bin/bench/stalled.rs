//! A thousand clients that read no save, and a thousand that send half a load: what they cost, and whom they disturb.

use crate::crowd::all_connections;
use crate::peer::{peak_memory, place};
use crate::table::{Samples, Table, mib, time};
use crate::wire::KeepAlive;
use anyhow::{Context, Result, ensure};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use strata_tests::image::{Image, Schema};
use strata_tests::layer::Layer;
use strata_tests::layout;
use strata_tests::server::Server;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

const READERS: usize = 1000;
const WRITERS: usize = 1000;
/// More than the kernel keeps of an answer that nobody reads.
const LAYER: usize = 24 << 20;
const NAME: &str = "docker.io/bench/stalled:1";
/// How long is inspected before, and beside them: long enough for those who have a place to lose it to others, some times.
const INSPECTED: Duration = Duration::from_secs(6);
/// What a writer sends: more than is read before its load has its place.
const SENT: usize = 64 << 10;

pub(crate) async fn readers_and_writers(table: &mut Table) -> Result<()> {
    eprintln!("{READERS} stalled readers and {WRITERS} stalled writers");
    let folder = place()?;
    let store = folder.path().join("store");
    std::fs::create_dir_all(&store)?;
    let image = Image::builder(Schema::Oci)
        .layer(Layer::noise(1, LAYER)?, "COPY noise /")
        .build();
    layout::write(&store, &[(NAME, &image)])?;
    let server = Server::start(&store, &[]).await?;
    all_connections()?;
    let mut connection = KeepAlive::open(&server.host)?;
    let idle = inspects(&mut connection)?;

    let save = format!("GET /images/{NAME}/get HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let archive = layout::archive(&[(NAME, &image)])?;
    let mut load = format!(
        "POST /images/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        archive.len()
    )
    .into_bytes();
    load.extend_from_slice(&archive[..SENT]);
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..READERS {
        readers.push(open(&server.host, save.as_bytes()).await?);
    }
    for _ in 0..WRITERS {
        writers.push(open(&server.host, &load).await?);
    }
    let beside = inspects(&mut connection)?;
    let peak = peak_memory(server.pid())?;
    // Some have made room for others.
    let there = writers.iter().filter(|stream| is_waiting(stream)).count();
    ensure!(
        there > WRITERS / 2,
        "only {there} writers still stood there"
    );
    drop((readers, writers));

    let what = format!("{READERS} clients that read no save, {WRITERS} that sent half a load");
    table.row(
        &format!("{what}: peak memory"),
        mib(peak),
        String::new(),
        "≤ 150 MiB",
    );
    table.ratio_of(
        &format!("{what}: inspect, p99"),
        beside.quantile(0.99),
        ("idle", idle.quantile(0.99)),
        "≤ 2 ×",
    );
    table.note(&format!(
        "{what}: inspect, p50 {} beside {} idle",
        time(beside.median()),
        time(idle.median())
    ));
    server.kill().await
}

fn inspects(connection: &mut KeepAlive) -> Result<Samples> {
    let path = format!("/images/{NAME}/json");
    let mut samples = Samples::default();
    for _ in 0..100 {
        // Warms what the server keeps.
        connection.request("GET", &path)?;
    }
    let begin = Instant::now();
    while begin.elapsed() < INSPECTED {
        let start = Instant::now();
        connection.request("GET", &path)?;
        samples.add(start.elapsed());
    }
    Ok(samples)
}

/// A connection with little room for an answer, on which this was sent.
async fn open(host: &str, request: &[u8]) -> Result<TcpStream> {
    let address: SocketAddr = host.trim_start_matches("tcp://").parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(address).await.context("connecting")?;
    stream.write_all(request).await?;
    Ok(stream)
}

/// Whether it was neither answered nor ended.
fn is_waiting(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
