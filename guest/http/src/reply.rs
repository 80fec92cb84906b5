//! Whole responses.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};

use crate::output::{Gone, Output};

/// A response whose body is at hand.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those that all of a face's responses share.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// No body, and no content type.
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    /// Plain text.
    pub fn text(status: StatusCode, body: Vec<u8>) -> Self {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        Self::of(status, text, body)
    }

    /// JSON that is written already.
    pub fn json(status: StatusCode, body: Vec<u8>) -> Self {
        // Exactly this, no charset: clients compare the whole value.
        Self::of(status, HeaderValue::from_static("application/json"), body)
    }

    fn of(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Self {
        let mut reply = Self::empty(status);
        reply.headers.insert(CONTENT_TYPE, content_type);
        reply.body = body;
        reply
    }

    /// The same with another status.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Sends the response, with the headers that all responses share.
    ///
    /// # Errors
    /// [`Gone`] if the client left.
    pub async fn send<W: Output>(
        mut self,
        shared: HeaderMap,
        is_head: bool,
        output: &mut W,
    ) -> Result<(), Gone> {
        if is_head && !self.body.is_empty() {
            // An error; HEAD has no body, and a length without one confuses what is in between.
            self.body.clear();
        } else if !matches!(
            self.status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        ) {
            // Those have no length: HTTP forbids it, or it would be that of something else.
            self.headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        self.headers.extend(shared);
        output.head(self.status, self.headers).await?;
        match self.body.is_empty() {
            true => Ok(()),
            false => output.write(self.body).await,
        }
    }
}
