//! API versions: what a client asked for, and whether that is served.
//!
//! Shapes follow the *requested* version, so everything below the router asks
//! [`ApiVersion::at_least`] and never looks at the text again.

use crate::failure::Failure;

/// The newest API version served, and the one meant by a path without a version.
pub const MAX_API_VERSION: &str = "1.54";
/// The oldest API version served: that of Docker 1.0. What is older than 1.24 gets the shapes of 1.24, which tools
/// that never learnt to negotiate can read; skopeo of Debian 12 asks 1.22, for example.
pub const MIN_API_VERSION: &str = "1.12";

/// A served API version. Only 1.x exists, so the minor number says it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiVersion(u32);

impl ApiVersion {
    /// See [`MAX_API_VERSION`].
    pub(crate) const MAX: Self = Self(54);
    /// See [`MIN_API_VERSION`].
    pub(crate) const MIN: Self = Self(12);

    /// Whether this is 1.`minor` or newer.
    pub(crate) fn at_least(self, minor: u32) -> bool {
        self.0 >= minor
    }

    /// The number after `1.`.
    pub(crate) fn minor(self) -> u32 {
        self.0
    }

    /// Whether clients of this version read errors as plain text. From 1.24 on they are JSON.
    pub(crate) fn reads_plain_errors(self) -> bool {
        !self.at_least(24)
    }

    /// The version of a path prefix (`1.41` of `/v1.41/images/json`).
    ///
    /// # Errors
    /// 400 if it is newer or older than what is served; plain text for the old, whose clients do not
    /// read JSON errors.
    pub(crate) fn negotiate(requested: &str) -> Result<Self, Failure> {
        let parts = Parts::new(requested);
        if parts > Parts::of(Self::MAX) {
            return Err(Failure::invalid(format!(
                "client version {requested} is too new. Maximum supported API version is {MAX_API_VERSION}"
            )));
        }
        if parts < Parts::of(Self::MIN) {
            return Err(Failure::invalid(format!(
                "client version {requested} is too old. Minimum supported API version is \
                 {MIN_API_VERSION}, please upgrade your client to a newer version"
            ))
            .in_plain_text());
        }
        Ok(Self(parts.0.get(1).copied().unwrap_or_default()))
    }
}

/// The numbers between the dots, without trailing zeros: `1.40.0` is `1.40`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parts(Vec<u32>);

impl Parts {
    /// What is no number counts as 0, as in dockerd; the router lets only digits and dots through.
    fn new(text: &str) -> Self {
        let number = |part: &str| {
            let digits = part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty();
            // A number too big for u32 is certainly too new.
            part.parse().unwrap_or(if digits { u32::MAX } else { 0 })
        };
        let mut parts: Vec<u32> = text.split('.').map(number).collect();
        while parts.last() == Some(&0) {
            parts.pop();
        }
        Self(parts)
    }

    fn of(version: ApiVersion) -> Self {
        Self(vec![1, version.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_agree() {
        for (version, text) in [
            (ApiVersion::MAX, MAX_API_VERSION),
            (ApiVersion::MIN, MIN_API_VERSION),
        ] {
            assert_eq!(ApiVersion::negotiate(text).ok(), Some(version), "{text}");
        }
    }

    #[test]
    fn compares_part_by_part() {
        for (text, minor) in [
            ("1.24", Some(24)),
            ("1.54", Some(54)),
            ("1.54.0", Some(54)),
            ("1.53.9", Some(53)),
            ("1.054", Some(54)),
            ("1.54.1", None),
            ("1.100", None),
            ("2", None),
            ("1.99999999999999999999", None),
            ("1.23.9", Some(23)),
            ("1.12", Some(12)),
            ("1.11.9", None),
            ("1.3", None),
            ("1", None),
            (".", None),
        ] {
            let got = ApiVersion::negotiate(text).ok().map(|version| version.0);
            assert_eq!(got, minor, "{text}");
        }
    }

    #[test]
    fn refusals_read_like_dockerds() {
        let new = ApiVersion::negotiate("1.99").unwrap_err();
        assert_eq!(
            new.message,
            "client version 1.99 is too new. Maximum supported API version is 1.54"
        );
        let old = ApiVersion::negotiate("1.11").unwrap_err();
        assert_eq!(
            old.message,
            "client version 1.11 is too old. Minimum supported API version is 1.12, \
             please upgrade your client to a newer version"
        );
    }
}
