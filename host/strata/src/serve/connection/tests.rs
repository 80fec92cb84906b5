//! Whole connections, without the component: what arrives is what is answered.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::oneshot,
};

use super::*;
use crate::serve::{operation::Operation, slots::Slots};

/// What a client holds, and the end of its connection.
struct Client {
    stream: UnixStream,
    ended: oneshot::Receiver<()>,
}

/// Serves one connection with `respond`.
async fn connect<F, R>(slots: &Arc<Slots>, respond: F) -> Client
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<WasiBody>> + Send,
{
    let (stream, server) = UnixStream::pair().unwrap();
    let seat = slots.take().await.unwrap();
    let rules = Rules::new(Vec::new(), Duration::from_secs(600));
    let graceful = GracefulShutdown::new();
    let (end, ended) = oneshot::channel();
    tokio::spawn(async move {
        let accepted = Accepted::Plain(Socket::Unix(server));
        serve(accepted, seat, rules, graceful.watcher(), respond).await;
        let _ = end.send(());
    });
    Client { stream, ended }
}

fn full(text: String) -> Response<WasiBody> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    Response::new(body.boxed_unsync())
}

/// Answers with what it was asked.
async fn echo(request: Request<Incoming>) -> Response<WasiBody> {
    let (parts, body) = request.into_parts();
    let query = parts.headers.get("strata-query").map(|query| query.len());
    let Ok(body) = body.collect().await else {
        return full("broken".to_owned());
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    full(format!("<{} {} {query:?} {body}>", parts.method, parts.uri))
}

/// All answers to `wire`, sent in pieces of `size` by a client that then closes its half.
async fn answers(wire: &[u8], size: usize) -> String {
    let mut client = connect(&Slots::new(1), echo).await;
    let (mut read, mut write) = client.stream.split();
    let sending = async {
        for piece in wire.chunks(size) {
            // A refused client may find the connection closed.
            if write.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        let _ = write.shutdown().await;
    };
    let mut all = Vec::new();
    let ((), read) = tokio::join!(sending, read.read_to_end(&mut all));
    read.unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

/// What stands in the answers between `<` and `>`, and the status of the others.
fn echoed(answers: &str) -> Vec<&str> {
    let parts = answers.split("HTTP/1.1 ").skip(1);
    parts
        .map(|part| match part.find('<') {
            Some(start) => &part[start..],
            None => &part[..3],
        })
        .collect()
}

/// A head inside a body, which is only a body.
const INNER: &str = "GET /inner?{\"a\"} HTTP/1.1\r\n\r\n";

#[tokio::test]
async fn requests_follow_each_other_however_the_bytes_arrive() {
    let chunked = format!(
        "POST /c?<d> HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{INNER}\r\n2\r\nok\r\n0\r\nT: x\r\n\r\n",
        INNER.len()
    );
    let sized = format!(
        "POST /b HTTP/1.1\r\nContent-Length: {}\r\n\r\n{INNER}",
        INNER.len()
    );
    let wire = format!(
        "GET /a?{{\"x\"}} HTTP/1.1\r\n\r\n{sized}\r\n{chunked}HEAD /d HTTP/1.1\r\n\r\n{chunked}\
         GET http://h/e?|# HTTP/1.1\r\nConnection: close\r\n\r\n"
    );
    let expected = [
        "<GET /a?%7B%22x%22%7D None >".to_owned(),
        format!("<POST /b None {INNER}>"),
        format!("<POST /c?%3Cd%3E None {INNER}ok>"),
        "200".to_owned(),
        format!("<POST /c?%3Cd%3E None {INNER}ok>"),
        "<GET /e?%7C%23 None >".to_owned(),
    ];
    for size in [1, 2, 3, 5, 7, 11, 64, 100, 4096, wire.len()] {
        let answers = answers(wire.as_bytes(), size).await;
        assert_eq!(echoed(&answers), expected, "in pieces of {size}");
    }
}

#[tokio::test]
async fn what_is_not_clear_is_the_end() {
    for (wire, expected) in [
        // Chunks whose end nobody agrees on.
        (
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n",
            "<POST",
        ),
        (
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
            "broken",
        ),
        (
            "POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "400",
        ),
        (
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
            "400",
        ),
        ("POST /a b HTTP/1.1\r\n\r\n", "400"),
    ] {
        let wire = format!("{wire}{INNER}");
        let answers = answers(wire.as_bytes(), wire.len()).await;
        assert!(!answers.contains("/inner"), "{wire:?}: {answers}");
        assert_eq!(
            answers.matches("HTTP/1.1 ").count(),
            1,
            "{wire:?}: {answers}"
        );
        assert!(
            expected == "<POST" || answers.contains(expected),
            "{answers}"
        );
    }
    // A length beside chunks counts for nothing, and hyper reads no further.
    let wire = format!(
        "POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{INNER}"
    );
    let answers = answers(wire.as_bytes(), wire.len()).await;
    assert_eq!(echoed(&answers), ["<POST /a None ok>"]);
}

#[tokio::test]
async fn a_long_query_and_a_long_head_pass_a_small_buffer() {
    let query = "q".repeat(1 << 19);
    let header = "h".repeat(1 << 19);
    let wire = format!("GET /a?{query} HTTP/1.1\r\nA: {header}\r\nConnection: close\r\n\r\n");
    let answers = answers(wire.as_bytes(), 64 * 1024).await;
    assert_eq!(echoed(&answers), [format!("<GET /a Some({}) >", 1 << 19)]);
}

#[tokio::test]
async fn a_refused_client_that_still_sends_reads_why() {
    let wire = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(3 << 20));
    let answers = answers(wire.as_bytes(), 64 * 1024).await;
    assert!(answers.starts_with("HTTP/1.1 414 "), "{answers}");
    assert!(answers.contains("limit of 1048576"), "{answers}");
}

/// Counts itself while a request is worked on.
struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request_and_one_that_waits_does_not() {
    let working = Arc::new(AtomicUsize::new(0));
    let (begun, mut begins) = tokio::sync::mpsc::channel(4);
    let (finish, finished) = tokio::sync::watch::channel(false);
    let slots = Slots::new(4);
    let respond = {
        let working = Arc::clone(&working);
        move |_| {
            working.fetch_add(1, Ordering::SeqCst);
            let guard = Working(Arc::clone(&working));
            let (begun, mut finished) = (begun.clone(), finished.clone());
            async move {
                let _guard = guard;
                let _ = begun.send(()).await;
                let _ = finished.wait_for(|done| *done).await;
                full("done".to_owned())
            }
        }
    };
    let request = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let mut leaving = connect(&slots, respond.clone()).await;
    let mut waiting = connect(&slots, respond).await;
    for client in [&mut leaving, &mut waiting] {
        client.stream.write_all(request).await.unwrap();
        begins.recv().await.unwrap();
    }
    waiting.stream.shutdown().await.unwrap();
    drop(leaving.stream);
    leaving.ended.await.unwrap();
    assert_eq!(working.load(Ordering::SeqCst), 1);
    finish.send(true).unwrap();
    let mut answer = String::new();
    waiting.stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    waiting.ended.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let slots = Slots::new(2);
    let (begun, mut begins) = tokio::sync::mpsc::channel(4);
    let busy = move |_| {
        let begun = begun.clone();
        async move {
            let _ = begun.send(()).await;
            std::future::pending().await
        }
    };
    let mut working = connect(&slots, busy).await;
    let request = b"GET / HTTP/1.1\r\n\r\n";
    working.stream.write_all(request).await.unwrap();
    begins.recv().await.unwrap();
    let mut idle = connect(&slots, echo).await;
    idle.stream.write_all(request).await.unwrap();
    let mut answer = vec![0; 17];
    idle.stream.read_exact(&mut answer).await.unwrap();
    // Both slots are taken: one of the two has to go.
    let mut newcomer = connect(&slots, echo).await;
    idle.ended.await.unwrap();
    newcomer.stream.write_all(request).await.unwrap();
    newcomer.stream.read_exact(&mut answer).await.unwrap();
    assert!(working.ended.try_recv().is_err());
}

/// Waits for its turn with the beginning of its body, and answers how much that was and with what came in all.
async fn in_turn(request: Request<Incoming>, turn: Arc<Semaphore>) -> Response<WasiBody> {
    let operation = Operation::new(&request);
    let (mut parts, body) = request.into_parts();
    let desk = parts.extensions.remove().unwrap();
    let mut begun = gather::begin(body, desk, &operation).await.unwrap();
    tokio::select! {
        permit = turn.acquire() => permit.unwrap().forget(),
        _ = begun.breaks_off() => return full("broken".to_owned()),
    }
    let beginning = begun.len();
    let whole = begun.gathered(&operation).collect().await.unwrap();
    full(format!("<{beginning} {}>", whole.to_bytes().len()))
}

#[tokio::test]
async fn what_waits_for_its_turn_holds_the_beginning_of_its_body_and_no_more() {
    for chunks in [None, Some(1), Some(1000), Some(1 << 20)] {
        for size in [1, gather::BEGINNING - 1, gather::BEGINNING, 300_000] {
            let turn = Arc::new(Semaphore::new(0));
            let waiting = turn.clone();
            let mut client = connect(&Slots::new(1), move |request| {
                in_turn(request, waiting.clone())
            })
            .await;
            let body = vec![b'x'; size];
            let wire = match chunks {
                Some(chunks) => {
                    let mut wire = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
                    for chunk in body.chunks(chunks) {
                        wire.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
                        wire.extend([chunk, b"\r\n"].concat());
                    }
                    wire.extend(b"0\r\n\r\n");
                    wire
                }
                None => [format!("Content-Length: {size}\r\n\r\n").as_bytes(), &body].concat(),
            };
            let (mut read, mut write) = client.stream.split();
            let sending = async {
                write.write_all(b"POST /a HTTP/1.1\r\n").await.unwrap();
                write.write_all(&wire).await.unwrap();
                // The one that follows is read like any other.
                write
                    .write_all(b"POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .unwrap();
                write.shutdown().await.unwrap();
            };
            let opening = async {
                tokio::task::yield_now().await;
                turn.add_permits(2);
            };
            let mut all = Vec::new();
            let ((), (), read) = tokio::join!(sending, opening, read.read_to_end(&mut all));
            read.unwrap();
            let all = String::from_utf8_lossy(&all).into_owned();
            let [first, second] = echoed(&all)[..] else {
                panic!("{chunks:?} {size}: {all}");
            };
            let beginning: usize = first[1..].split(' ').next().unwrap().parse().unwrap();
            assert!(
                beginning < gather::BEGINNING + intake::READ,
                "{chunks:?} {size}: {first}"
            );
            assert!(
                first.ends_with(&format!(" {size}>")),
                "{chunks:?} {size}: {first}"
            );
            assert_eq!(second, "<2 2>", "{chunks:?} {size}");
        }
    }
}

#[tokio::test]
async fn who_leaves_while_waiting_for_a_turn_is_missed() {
    let turn = Arc::new(Semaphore::new(0));
    let waiting = turn.clone();
    let client = connect(&Slots::new(1), move |request| {
        in_turn(request, waiting.clone())
    })
    .await;
    let Client { mut stream, ended } = client;
    let head = format!("POST /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 1 << 20);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 64 << 10]).await.unwrap();
    drop(stream);
    // Nobody's turn ever comes.
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .unwrap()
        .unwrap();
}
