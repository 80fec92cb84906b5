//! Content digests: parsing, display and incremental hashing.
//!
//! The only way from outside text to a file name in this crate is a parsed [`Digest`], so a
//! path-like digest never reaches the file system.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests>

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

use crate::Error;

/// A digest algorithm a store accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the one everybody uses.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All of them, in the order of their names.
    pub const ALL: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

    /// The name used in digests and as directory below `blobs/`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Length of the hexadecimal part.
    fn hex_length(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha384 => 96,
            Algorithm::Sha512 => 128,
        }
    }
}

/// The digest of stored bytes, `algorithm:hex` in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    text: Box<str>,
}

impl Digest {
    /// Parses `algorithm:hex`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless the algorithm is `sha256`, `sha384` or `sha512` and the rest is
    /// exactly as many lower-case hexadecimal digits as it has.
    pub fn parse(text: &str) -> Result<Digest, Error> {
        let invalid = |why: &str| {
            // The text may be anything, of any length: quote only its beginning, escaped.
            let start: String = text.chars().take(80).collect();
            Error::Invalid(format!("digest {start:?} {why}"))
        };
        let Some((algorithm, hex)) = text.split_once(':') else {
            return Err(invalid("has no algorithm; write algorithm:hex"));
        };
        let Some(algorithm) = Algorithm::ALL.into_iter().find(|a| a.name() == algorithm) else {
            return Err(invalid(
                "has an unsupported algorithm; use sha256, sha384 or sha512",
            ));
        };
        if hex.len() != algorithm.hex_length()
            || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(invalid(
                "must end in lower-case hexadecimal digits of the full length",
            ));
        }
        Ok(Digest {
            algorithm,
            text: text.into(),
        })
    }

    /// The SHA-256 digest of bytes at hand.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }

    /// The whole digest, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Digest, Error> {
        Digest::parse(text)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Incremental hashing with any of the algorithms. SHA-NI is used where the processor has it.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => Hasher::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => Hasher::Sha512(sha2::Sha512::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(h) => h.update(bytes),
            Hasher::Sha384(h) => h.update(bytes),
            Hasher::Sha512(h) => h.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        let (algorithm, hex) = match self {
            Hasher::Sha256(h) => (Algorithm::Sha256, hex::encode(h.finalize())),
            Hasher::Sha384(h) => (Algorithm::Sha384, hex::encode(h.finalize())),
            Hasher::Sha512(h) => (Algorithm::Sha512, hex::encode(h.finalize())),
        };
        Digest {
            algorithm,
            text: format!("{}:{hex}", algorithm.name()).into(),
        }
    }
}

/// Checks bytes at hand against a digest.
pub(crate) fn verify(expected: &Digest, bytes: &[u8]) -> Result<(), Error> {
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(bytes);
    let actual = hasher.finish();
    if actual == *expected {
        Ok(())
    } else {
        Err(Error::DigestMismatch {
            expected: expected.clone(),
            actual,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn exact_lower_case_digests_parse() {
        for text in [
            format!("sha256:{}", "a".repeat(64)),
            format!("sha384:{}", "0".repeat(96)),
            format!("sha512:{}", "f".repeat(128)),
        ] {
            let digest = Digest::parse(&text).unwrap();
            assert_eq!(digest.to_string(), text);
            assert_eq!(
                format!("{}:{}", digest.algorithm().name(), digest.hex()),
                text
            );
        }
    }

    #[test]
    fn path_like_and_malformed_digests_do_not_parse() {
        for text in [
            String::new(),
            "sha256".into(),
            "sha256:".into(),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha256:{}", "a".repeat(65)),
            format!("SHA256:{}", "a".repeat(64)),
            format!("md5:{}", "a".repeat(32)),
            format!("sha256:{}", "../".repeat(22)),
            format!("sha256:../{}", "a".repeat(61)),
            format!("../sha256:{}", "a".repeat(64)),
            format!("sha256:{}\0", "a".repeat(63)),
            format!("sha256:{}é", "a".repeat(62)),
        ] {
            assert!(
                matches!(Digest::parse(&text), Err(Error::Invalid(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn known_vectors_hash_right() {
        assert_eq!(
            Digest::of(b"abc").as_str(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"abc");
        assert!(
            hasher
                .finish()
                .hex()
                .starts_with("ddaf35a193617abacc417349ae204131")
        );
    }
}
