//! Messages of the stream format, as dockerd's `jsonmessage` package writes them and the CLI's reads them.

use std::borrow::Cow;

use serde::Serialize;
use strata_engine::{Error, Retry};
use strata_http::Message;
use strata_oci::{Descriptor, Digest, printable};

/// One message; members that are empty are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// Text that is shown as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    stream: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: Cow<'static, str>,
    /// Progress, present (even empty) iff the message owns a line of the display.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    detail: Option<Detail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aux: Option<Aux>,
    /// The member that alone counts as a failure for the CLI.
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    failure: Option<ErrorDetail>,
    /// The failure's text again, for older clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Why the work failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ErrorDetail {
    message: String,
}

/// How far a layer is; empty members are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    /// Shows no numbers: the layer is done.
    #[serde(rename = "hidecounts", skip_serializing_if = "std::ops::Not::not")]
    hide_counts: bool,
}

/// What programs read and nobody is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Aux {
    /// What a tag is in the registry now.
    #[serde(rename_all = "PascalCase")]
    Pushed {
        /// Empty if it was pushed by digest.
        tag: String,
        /// The digest of the manifest or index.
        digest: Digest,
        /// The size of the manifest or index, in bytes.
        size: u64,
    },
    /// One platform was pushed because not all of its index is here.
    #[serde(rename_all = "camelCase")]
    Substituted {
        /// The mark of this kind: always true.
        manifest_pushed_instead_of_index: bool,
        /// The index, of which a part is here.
        original_index: Box<Descriptor>,
        /// The manifest that was pushed.
        selected_manifest: Box<Descriptor>,
    },
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Detail {
    /// No numbers yet.
    pub(crate) const PLAIN: Self = Self {
        current: 0,
        total: 0,
        hide_counts: false,
    };
    /// No numbers any more.
    pub(crate) const DONE: Self = Self {
        hide_counts: true,
        ..Self::PLAIN
    };

    /// This many bytes; a total of 0 is unknown.
    pub(crate) fn count(current: u64, total: u64) -> Self {
        Self {
            current,
            total,
            hide_counts: false,
        }
    }
}

impl Line {
    /// A message on its own.
    pub(crate) fn plain(status: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: status.into(),
            ..Self::default()
        }
    }

    /// A message on its own that may quote what others wrote.
    pub(crate) fn warning(text: &str) -> Self {
        Self::plain(printable(text))
    }

    /// A message on its own that names something.
    pub(crate) fn about(id: impl Into<String>, status: impl Into<Cow<'static, str>>) -> Self {
        Self {
            id: Some(id.into()),
            ..Self::plain(status)
        }
    }

    /// An update of the line of a layer.
    pub(crate) fn layer(id: &str, status: impl Into<Cow<'static, str>>, detail: Detail) -> Self {
        Self {
            detail: Some(detail),
            ..Self::about(id, status)
        }
    }

    /// An update of the only line there is.
    pub(crate) fn progress(status: impl Into<Cow<'static, str>>, detail: Detail) -> Self {
        Self {
            detail: Some(detail),
            ..Self::plain(status)
        }
    }

    /// A text with its own line ends.
    pub(crate) fn text(stream: String) -> Self {
        Self {
            stream,
            ..Self::default()
        }
    }

    /// A message for programs, which dockerd gives an empty `progressDetail`.
    pub(crate) fn aux(aux: Aux) -> Self {
        Self {
            detail: Some(Detail::PLAIN),
            aux: Some(aux),
            ..Self::default()
        }
    }

    /// A failure that will be tried again.
    pub(crate) fn retry(retry: &Retry) -> Self {
        let seconds = retry.delay.div_ceil(1000).max(1);
        let unit = if seconds == 1 { "second" } else { "seconds" };
        let status = format!("Retrying in {seconds} {unit}");
        match &retry.digest {
            Some(digest) => Self::layer(digest.short(), status, Detail::PLAIN),
            None => Self::plain(status),
        }
    }

    fn is_count(&self) -> bool {
        self.detail.is_some_and(|detail| detail.current > 0)
    }
}

impl Message for Line {
    fn is_about_the_same_as(&self, other: &Self) -> bool {
        self.id == other.id
    }

    fn is_replaced_by(&self, newer: &Self) -> bool {
        self.is_count() && newer.is_count()
    }

    fn is_progress(&self) -> bool {
        self.detail.is_some() && self.id.is_some()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing strings and numbers to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut *out, self);
        out.extend_from_slice(b"\r\n");
    }

    fn failed(error: &Error) -> Self {
        let message = printable(&error.to_string());
        Self {
            error: Some(message.clone()),
            failure: Some(ErrorDetail { message }),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_replace_counts_and_layers_are_progress() {
        let layer = |current| Line::layer("a", "Downloading", Detail::count(current, 9));
        let retry = Line::layer("a", "Retrying in 1 second", Detail::PLAIN);
        assert!(layer(1).is_replaced_by(&layer(2)));
        assert!(!retry.is_replaced_by(&layer(2)) && !layer(1).is_replaced_by(&retry));
        assert!(layer(1).is_about_the_same_as(&retry));
        assert!(!layer(1).is_about_the_same_as(&Line::plain("a")));
        assert!(retry.is_progress() && !Line::plain("a").is_progress());
    }
}
