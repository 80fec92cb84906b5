//! HTTP/1.1 by hand: reading honest requests, as far as they are wanted, and writing dishonest answers.

use super::Gate;
use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A request up to its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
}

/// An answer and what is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// What `Content-Length` says; `None` for a chunked body.
    pub(super) length: Option<u64>,
    /// Close the connection after this much of the head.
    pub(super) cut_head: Option<usize>,
    /// Close the connection after this much of the body.
    pub(super) cut: Option<usize>,
    /// Wait here before the first byte.
    pub(super) stall: Option<Gate>,
    /// Wait here after this much of the body.
    pub(super) hold: Option<(usize, Gate)>,
    /// Close the connection instead of answering.
    pub(super) hang_up: bool,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let length = Some(body.len() as u64);
        Self {
            status,
            headers: Vec::new(),
            body,
            length,
            cut_head: None,
            cut: None,
            stall: None,
            hold: None,
            hang_up: false,
        }
    }

    pub(super) fn error(status: u16, code: &str) -> Self {
        let message = code.to_lowercase().replace('_', " ");
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Self::new(status, body).with("Content-Type", "application/json")
    }

    /// Adds or replaces a header.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body and the length that goes with it.
    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.length = Some(self.body.len() as u64);
        self
    }
}

pub(super) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

/// The next request of a connection; `None` once the client has closed it.
pub(super) async fn read(stream: &mut BufReader<OwnedReadHalf>) -> Result<Option<Head>> {
    let Some(first) = line(stream).await? else {
        return Ok(None);
    };
    let mut parts = first.split(' ');
    let method = parts.next().unwrap_or_default().to_owned();
    let target = parts
        .next()
        .context("a request line without a target")?
        .to_owned();
    let mut headers = Vec::new();
    while let Some(next) = line(stream).await?.filter(|next| !next.is_empty()) {
        let (name, value) = next.split_once(':').context("a header without a colon")?;
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    Ok(Some(Head {
        method,
        target,
        headers,
    }))
}

/// The body that goes with these headers, or its first `most` bytes. After a part of a body the connection is of no
/// use.
pub(super) async fn read_body(
    stream: &mut BufReader<OwnedReadHalf>,
    headers: &[(String, String)],
    most: usize,
) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    if header(headers, "transfer-encoding").is_some() {
        while body.len() < most {
            let size = line(stream).await?.context("a chunk is missing")?;
            let size =
                usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
            let wanted = size.min(most - body.len());
            append(stream, &mut body, wanted).await?;
            if wanted < size {
                break;
            }
            line(stream).await?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = header(headers, "content-length") {
        append(stream, &mut body, most.min(length.parse()?)).await?;
    }
    Ok(body)
}

async fn append(
    stream: &mut BufReader<OwnedReadHalf>,
    body: &mut Vec<u8>,
    size: usize,
) -> Result<()> {
    let start = body.len();
    body.resize(start + size, 0);
    stream.read_exact(&mut body[start..]).await?;
    Ok(())
}

async fn line(stream: &mut BufReader<OwnedReadHalf>) -> Result<Option<String>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end().to_owned()))
}

/// Writes an answer. Returns whether the connection is good for another request.
pub(super) async fn write(
    stream: &mut OwnedWriteHalf,
    answer: &Answer,
    head: bool,
) -> Result<bool> {
    if let Some(gate) = &answer.stall
        && !gate.pass(gone(stream)).await
    {
        return Ok(false);
    }
    if answer.hang_up {
        return Ok(false);
    }
    let mut text = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    match answer.length {
        Some(length) => text.push_str(&format!("Content-Length: {length}\r\n\r\n")),
        None => text.push_str("Transfer-Encoding: chunked\r\n\r\n"),
    }
    if let Some(at) = answer.cut_head {
        let at = at.min(text.len());
        stream.write_all(&text.as_bytes()[..at]).await?;
        return Ok(false);
    }
    stream.write_all(text.as_bytes()).await?;
    if head {
        return Ok(true);
    }
    let end = answer
        .cut
        .unwrap_or(answer.body.len())
        .min(answer.body.len());
    if let Some((at, gate)) = &answer.hold {
        let at = (*at).min(end);
        part(stream, &answer.body[..at], answer.length.is_none()).await?;
        if !gate.pass(gone(stream)).await {
            return Ok(false);
        }
        part(stream, &answer.body[at..end], answer.length.is_none()).await?;
    } else {
        part(stream, &answer.body[..end], answer.length.is_none()).await?;
    }
    if answer.cut.is_some() {
        return Ok(false);
    }
    match answer.length {
        None => {
            stream.write_all(b"0\r\n\r\n").await?;
            Ok(true)
        }
        // After a lie about the length nobody knows where the next answer would begin.
        Some(length) => Ok(length == answer.body.len() as u64),
    }
}

/// Ends when the peer has closed the connection.
async fn gone(stream: &OwnedWriteHalf) {
    if let Ok(1..) = stream.as_ref().peek(&mut [0]).await {
        // It asks on already: it is there.
        std::future::pending::<()>().await;
    }
}

async fn part(stream: &mut OwnedWriteHalf, bytes: &[u8], chunked: bool) -> Result<()> {
    if !chunked {
        stream.write_all(bytes).await?;
    } else if !bytes.is_empty() {
        stream
            .write_all(format!("{:x}\r\n", bytes.len()).as_bytes())
            .await?;
        stream.write_all(bytes).await?;
        stream.write_all(b"\r\n").await?;
    }
    Ok(stream.flush().await?)
}

fn reason(status: u16) -> &'static str {
    hyper::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown")
}

/// Both directions of a connection.
pub(super) fn split(stream: TcpStream) -> (BufReader<OwnedReadHalf>, OwnedWriteHalf) {
    let (reader, writer) = stream.into_split();
    (BufReader::new(reader), writer)
}
