//! Clients that leave in the middle, and clients that stand still until they are cut off.

use crate::containers::{commit_path, copied};
use crate::images::{root, tag_path};
use crate::model::State;
use crate::worker::Worker;
use crate::world::LARGE;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use std::net::SocketAddr;
use strata_tests::poll::{until, within};
use strata_tests::raw::status;
use strata_tests::server::{escape, pull_path};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

impl Worker {
    /// A connection; none if the server ends.
    async fn connection(&self) -> Result<Option<TcpStream>> {
        let address: SocketAddr = self.seat.host.trim_start_matches("tcp://").parse()?;
        // As little room as there may be, so that who does not read is soon waited for.
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        match socket.connect(address).await {
            Ok(stream) => Ok(Some(stream)),
            Err(_) if self.seat.is_gone() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the head of an upload and this part, in percent, of its body: no image is made of it.
    async fn begin_an_upload(&mut self, part: u64) -> Result<Option<TcpStream>> {
        let fresh = self.fresh_name("never");
        let container = self.model.certain_containers().pop();
        let (method, path, body) = match (self.dice.below(3), container) {
            (0, _) => {
                let known = self.some_known();
                let archive = self.known[known].archive.clone();
                ("POST", "/images/load".to_owned(), archive)
            }
            (1, Some(name)) => {
                let (file, seed) = self.some_file(&name);
                // Nearly all of it may be enough.
                self.copied_in(&name, file.clone(), seed, false)?;
                let path = format!("/containers/{name}/archive?path=/");
                ("PUT", path, copied(&file, seed)?.into())
            }
            _ => ("POST", self.import_path(&fresh), Bytes::from(root(1)?)),
        };
        let Some(mut stream) = self.connection().await? else {
            return Ok(None);
        };
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tar\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let part = usize::try_from(part)? * length / 100;
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.get(..part).unwrap_or_default()).await
        };
        match within(&path, sent).await? {
            Ok(()) => Ok(Some(stream)),
            // Turned away, or the server ends.
            Err(_) => Ok(None),
        }
    }

    pub(crate) async fn leaves_an_upload(&mut self) -> Result<()> {
        let part = self.dice.below(100);
        drop(self.begin_an_upload(part).await?);
        self.world.tally.fault("uploads left");
        Ok(())
    }

    pub(crate) async fn leaves_a_download(&mut self) -> Result<()> {
        let container = self.model.certain_containers().pop();
        let path = match (self.dice.below(3), container) {
            (0, Some(name)) => format!("/containers/{name}/export"),
            (1, Some(name)) => format!("/containers/{name}/archive?path=/"),
            _ => format!("/images/get?names={}", escape(&self.world.large)),
        };
        let http = &self.seat.http;
        let open = within(&path, http.open(Method::GET, &path, &[], Bytes::new()));
        if let Ok(mut answer) = open.await?
            && answer.status == 200
        {
            let _ = within(&path, answer.piece()).await?;
            self.world.tally.fault("downloads left");
        }
        Ok(())
    }

    /// Sends a whole request and does not wait for its answer.
    pub(crate) async fn leaves_at_once(&mut self) -> Result<()> {
        let Some((image, digest)) = self.some_image().await? else {
            return Ok(());
        };
        let container = self.model.certain_containers().pop();
        let (method, path, body) = match (self.dice.below(6), container) {
            (0, Some(container)) => {
                let name = self.fresh_name("committed");
                self.model.may_set(&name, State::Made);
                self.model.container(&container)?.certain = false;
                ("POST", commit_path(&container, &name), "{}".to_owned())
            }
            (1, Some(container)) => {
                let gone = self.model.container(&container)?;
                (gone.certain, gone.doubtful) = (false, true);
                ("DELETE", format!("/containers/{container}"), String::new())
            }
            (2, _) => {
                let name = self.fresh_container();
                self.created(&name, digest, false);
                let path = format!("/containers/create?name={name}");
                ("POST", path, format!(r#"{{"Image":"{image}"}}"#))
            }
            (3, _) => {
                self.model.may_set(&image, State::Absent);
                ("DELETE", format!("/images/{image}?force=1"), String::new())
            }
            (4, _) => {
                let known = self.some_known();
                let known = &self.known[known];
                let state = State::Is(known.image.digest().to_owned());
                self.model.may_set(&known.reference, state);
                ("POST", pull_path(&known.reference), String::new())
            }
            _ => {
                let name = self.fresh_name("tagged");
                self.model.may_set(&name, State::Is(digest));
                ("POST", tag_path(&image, &name), String::new())
            }
        };
        if let Some(mut stream) = self.connection().await? {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(request.as_bytes()).await;
            self.world.tally.fault("requests left");
        }
        Ok(())
    }

    /// Takes both places by copies of which half is sent: they have to give way to others. One that was told to come again
    /// does.
    pub(crate) async fn is_turned_away(&mut self) -> Result<()> {
        let Some(name) = self.some_container().await? else {
            return Ok(());
        };
        let (file, seed) = self.some_file(&name);
        let body = copied(&file, seed)?;
        let path = format!("/containers/{name}/archive?path=/");
        let both = tokio::join!(self.half(&path, &body), self.half(&path, &body));
        let mut is_told = false;
        for answer in [both.0?, both.1?] {
            if status(&answer) != 503 {
                // Nobody waited, or the server is gone.
                let faults = ["uploads stalled", "ended with the server"];
                let gone = usize::from(self.seat.is_gone());
                self.world.tally.fault(faults[gone]);
                continue;
            }
            ensure!(answer.contains("\r\nretry-after: "), "{answer}");
            self.world.tally.fault("turned away");
            is_told = true;
        }
        if !is_told {
            return Ok(());
        }
        let done = self.does("cp in", Method::PUT, &path, body, 200).await?;
        if done {
            self.world.tally.operation("came again");
        }
        self.copied_in(&name, file, seed, done)
    }

    /// What is said, in small letters, to who sends half of a body and then waits.
    async fn half(&self, path: &str, body: &[u8]) -> Result<String> {
        let mut answer = Vec::new();
        let Some(mut stream) = self.connection().await? else {
            return Ok(String::new());
        };
        let length = body.len();
        let head =
            format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        let half = [head.as_bytes(), &body[..length / 2]].concat();
        let asked = async {
            stream.write_all(&half).await?;
            stream.read_to_end(&mut answer).await
        };
        // A reset is an end as well.
        drop(within("a stalled copy to be cut", asked).await?);
        Ok(String::from_utf8_lossy(&answer).to_lowercase())
    }

    /// Sends half, or reads nothing, until the server has had enough of it.
    pub(crate) async fn stands_still(&mut self) -> Result<()> {
        if self.dice.below(2) == 0 {
            if let Some(mut stream) = self.begin_an_upload(50).await? {
                // A reset is an end as well.
                let mut answer = Vec::new();
                let rest = within(
                    "a stalled upload to be cut",
                    stream.read_to_end(&mut answer),
                );
                drop(rest.await?);
                self.world.tally.fault("uploads stalled");
            }
            return Ok(());
        }
        let Some(mut stream) = self.connection().await? else {
            return Ok(());
        };
        let path = format!("/images/get?names={}", escape(&self.world.large));
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        if stream.write_all(request.as_bytes()).await.is_err() {
            return Ok(());
        }
        let ends = (stream.peer_addr()?.port(), stream.local_addr()?.port());
        until("a stalled reader to be cut", async || {
            (!is_established(ends).ok()?).then_some(())
        })
        .await?;
        let mut answer = Vec::new();
        let rest = within("the rest of it", stream.read_to_end(&mut answer));
        drop(rest.await?);
        let length = answer.len();
        ensure!(length < LARGE, "it has read {length} bytes");
        self.world.tally.fault("downloads stalled");
        Ok(())
    }
}

/// Whether the server still has the connection between these ports of 127.0.0.1 open.
fn is_established((server, client): (u16, u16)) -> Result<bool> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let (from, to) = (format!(":{server:04X}"), format!(":{client:04X}"));
    for line in table.lines().skip(1) {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().context("no address")?;
        let remote = words.next().context("no address")?;
        if local.ends_with(&from) && remote.ends_with(&to) {
            return Ok(words.next() == Some("01"));
        }
    }
    Ok(false)
}
