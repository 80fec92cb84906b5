//! HTTP over one blocking connection, with next to no cost of its own: a client library would be much of what is measured.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// No answer of a bench run takes this long: reached only when something hangs.
const LONGEST: Duration = Duration::from_secs(900);
/// Bytes of a file sent at once.
const SENT: usize = 256 << 10;
/// Read at once from the socket: an archive that is saved comes in pieces of this size at most.
const READ: usize = 256 << 10;

/// What a request carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    Empty,
    Json(&'a str),
    File(&'a Path),
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The answer itself if it has this status and reports no error in its stream.
    pub(crate) fn expect(self, status: u16) -> Result<Self> {
        let text = String::from_utf8_lossy(&self.body);
        ensure!(
            self.status == status && !text.contains("\"errorDetail\""),
            "status {} instead of {status}: {text}",
            self.status
        );
        Ok(self)
    }

    /// The body as one JSON document.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the answer is not JSON")
    }
}

/// A connection that is kept for the next request.
pub(crate) struct KeepAlive {
    stream: BufReader<TcpStream>,
}

impl KeepAlive {
    pub(crate) fn open(host: &str) -> Result<Self> {
        let address = host.strip_prefix("tcp://").unwrap_or(host);
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LONGEST))?;
        Ok(Self {
            stream: BufReader::with_capacity(READ, stream),
        })
    }

    /// The body of a successful answer to a request without one.
    pub(crate) fn request(&mut self, method: &str, path: &str) -> Result<Vec<u8>> {
        let answer = self.send(method, path, Body::Empty)?;
        ensure!(
            answer.status == 200,
            "{method} {path}: status {}",
            answer.status
        );
        Ok(answer.body)
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: Body<'_>) -> Result<Answer> {
        let mut kept = Vec::new();
        let status = self.exchange(method, path, body, &mut kept)?;
        let body = kept;
        Ok(Answer { status, body })
    }

    /// `GET`, written to a new file.
    pub(crate) fn download(&mut self, path: &str, file: &Path) -> Result<Answer> {
        let status = self.exchange("GET", path, Body::Empty, &mut File::create(file)?)?;
        // An error's text is in the file, and small.
        let body = if status == 200 {
            Vec::new()
        } else {
            std::fs::read(file)?
        };
        Ok(Answer { status, body })
    }

    /// Sends a request and reads the whole answer, which is not kept; returns its status.
    pub(crate) fn pass(&mut self, method: &str, path: &str) -> Result<u16> {
        self.exchange(method, path, Body::Empty, &mut std::io::sink())
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        body: Body<'_>,
        into: &mut impl Write,
    ) -> Result<u16> {
        let (kind, length) = match body {
            Body::Empty => ("", 0),
            Body::Json(text) => ("Content-Type: application/json\r\n", text.len() as u64),
            Body::File(path) => (
                "Content-Type: application/x-tar\r\n",
                path.metadata()?.len(),
            ),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: strata\r\n{kind}Content-Length: {length}\r\n\r\n"
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        match body {
            Body::Empty => self.answer(into),
            Body::Json(text) => {
                self.stream.get_mut().write_all(text.as_bytes())?;
                self.answer(into)
            }
            Body::File(path) => {
                let (mut file, mut upload) =
                    (File::open(path)?, self.stream.get_ref().try_clone()?);
                // Beside the answer: a server that reports progress must find a reader.
                std::thread::scope(|scope| {
                    let sent = scope.spawn(move || send(&mut file, &mut upload));
                    let status = self.answer(into)?;
                    let sent = sent
                        .join()
                        .map_err(|_| anyhow::anyhow!("the upload panicked"))?;
                    // Who refuses a request need not read it.
                    if status < 400 {
                        sent.with_context(|| {
                            format!("{method} {}: the upload broke", path.display())
                        })?;
                    }
                    Ok(status)
                })
            }
        }
    }

    /// Reads an answer; returns its status.
    fn answer(&mut self, into: &mut impl Write) -> Result<u16> {
        let first = self.line()?;
        let status = first
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .with_context(|| format!("not an answer: {first}"))?;
        // No Content: there is no body, and so nothing said about its length.
        let (mut length, mut chunked) = ((status == 204).then_some(0), false);
        loop {
            let line = self.line()?.to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        if chunked {
            while self.part(into)? > 0 {}
        } else {
            self.copy(length.context("an answer without a length")?, into)?;
        }
        Ok(status)
    }

    /// Passes on one chunk; returns its size.
    fn part(&mut self, into: &mut impl Write) -> Result<u64> {
        let size = u64::from_str_radix(&self.line()?, 16).context("a chunk without a size")?;
        self.copy(size, into)?;
        self.line()?;
        Ok(size)
    }

    fn copy(&mut self, size: u64, into: &mut impl Write) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let here = self.stream.fill_buf()?;
            let here = &here[..here.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            ensure!(!here.is_empty(), "the server closed the connection");
            into.write_all(here)?;
            let taken = here.len();
            self.stream.consume(taken);
            left -= taken as u64;
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(
            self.stream.read_line(&mut line)? > 0,
            "the server closed the connection"
        );
        Ok(line.trim_end().to_owned())
    }
}

/// Sends a file the way clients do: read, then written. `io::copy` would have the kernel do it, page by page, which the
/// other end pays for.
fn send(file: &mut File, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0; SENT];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read])?,
        }
    }
}
