//! A small HTTP client: whole answers, or a body that is read piece by piece and may be dropped in the middle.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::path::Path;

/// A client of one server, keeping its connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// An answer whose body is still arriving. Dropping it closes the connection, as a cancelled client does.
#[derive(Debug)]
pub struct Streaming {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
}

impl Http {
    /// A client of `base`, such as `http://127.0.0.1:2375`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// Sends a request and hands back the answer before its body. `path` may also be a whole URL.
    ///
    /// # Errors
    /// When the server cannot be reached or does not speak HTTP.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Streaming> {
        let url = if path.contains("://") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        let mut request = Request::builder().method(method.clone()).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.client.request(request.body(Full::new(body))?).await;
        Ok(Streaming::new(
            answer.with_context(|| format!("{method} {url}"))?,
        ))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails before the end of the answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        self.open(method, path, headers, body.into())
            .await?
            .whole()
            .await
    }

    /// `GET`, whole.
    ///
    /// # Errors
    /// When the connection fails before the end of the answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], "").await
    }

    /// `POST` without a body, whole.
    ///
    /// # Errors
    /// When the connection fails before the end of the answer.
    pub async fn post(&self, path: &str) -> Result<Answer> {
        self.send(Method::POST, path, &[], "").await
    }

    /// `DELETE`, whole.
    ///
    /// # Errors
    /// When the connection fails before the end of the answer.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], "").await
    }
}

/// One `GET` over a unix socket.
///
/// # Errors
/// When the socket cannot be reached or the answer breaks off.
pub async fn get_unix(socket: &Path, path: &str) -> Result<Answer> {
    let stream = tokio::net::UnixStream::connect(socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .uri(path)
        .header("host", "strata")
        .body(Full::<Bytes>::default())?;
    Streaming::new(sender.send_request(request).await?)
        .whole()
        .await
}

impl Streaming {
    fn new(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn whole(self) -> Result<Answer> {
        let body = self.body.collect().await?.to_bytes();
        Ok(Answer {
            status: self.status,
            headers: self.headers,
            body,
        })
    }
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as one JSON document.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("not JSON ({}): {}", self.status, self.text()))
    }

    /// A header's value, or the empty string.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The answer itself if its status is one of these.
    ///
    /// # Errors
    /// When it is another status: the text says which, with the body.
    pub fn expect_status(self, expected: &[u16]) -> Result<Self> {
        if !expected.contains(&self.status) {
            bail!(
                "status {} instead of {expected:?}: {}",
                self.status,
                self.text()
            );
        }
        Ok(self)
    }

    /// Checks for an error of the Docker API: this status, this message, in exactly its form.
    ///
    /// # Errors
    /// When the answer is another.
    pub fn expect_error(&self, status: u16, message: &str) -> Result<()> {
        let (form, text) = (self.header("content-type"), self.text());
        ensure!(
            self.status == status,
            "status {} instead of {status}: {text}",
            self.status
        );
        ensure!(
            form == "application/json",
            "an error of type {form:?}: {text}"
        );
        let said = self.json()?["message"].clone();
        ensure!(said == message, "the error says {said}, not {message:?}");
        ensure!(
            text.ends_with("}\n"),
            "no line break after the error: {text:?}"
        );
        Ok(())
    }
}
