//! Content digests, `algorithm:hex`, and how to compute them.
//!
//! Only the three algorithms that can be verified are accepted; a digest of any other kind
//! is refused at the edge instead of travelling on unchecked.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests>

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

/// A hash algorithm: the image-spec's `sha256` and `sha512`, and `sha384`, which Go's library also knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256: the default, and what practically every image uses.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name as it stands before the colon, such as `sha256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The exact number of hexadecimal characters after the colon.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

/// Why a string is not a digest; the texts are Go's, <https://github.com/opencontainers/go-digest>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `algorithm:encoded`, or the hexadecimal part has other characters than `0-9a-f`.
    #[error("invalid checksum digest format")]
    Format,
    /// The hexadecimal part is not exactly as long as the algorithm demands.
    #[error("invalid checksum digest length")]
    Length,
    /// Well formed, but the algorithm is not one of [`Algorithm`].
    #[error("unsupported digest algorithm")]
    Unsupported,
}

/// A verified-format digest such as `sha256:44136fa3…`.
///
/// The text is kept as received (it is canonical: lower-case hex of exact length). Cloning is cheap.
/// `Debug` and `Display` print the text; ordering is that of the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    text: Arc<str>,
    algorithm: Algorithm,
}

impl Digest {
    /// Reads `algorithm:hex`.
    ///
    /// # Errors
    /// [`DigestError`], in the order Go's library checks: shape, algorithm, length, characters.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, encoded) = text.split_once(':').ok_or(DigestError::Format)?;
        if name.is_empty() || encoded.is_empty() {
            return Err(DigestError::Format);
        }
        let Some(algorithm) = Algorithm::named(name) else {
            return Err(if is_well_formed(name, encoded) {
                DigestError::Unsupported
            } else {
                DigestError::Format
            });
        };
        if encoded.len() != algorithm.hex_len() {
            return Err(DigestError::Length);
        }
        if !encoded.bytes().all(is_lower_hex) {
            return Err(DigestError::Format);
        }
        Ok(Self {
            text: text.into(),
            algorithm,
        })
    }

    /// The algorithm before the colon.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hexadecimal part after the colon.
    pub fn encoded(&self) -> &str {
        // `parse` and `Hasher::finish` put exactly the name and a colon before it.
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// The whole text, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first twelve hexadecimal characters: the short ID people see.
    pub fn short(&self) -> &str {
        &self.encoded()[..12]
    }

    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The digest of `bytes` by `algorithm`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Whether `bytes` have this digest.
    pub fn verifies(&self, bytes: &[u8]) -> bool {
        Self::of(self.algorithm, bytes) == *self
    }
}

/// Hashes content that arrives in pieces.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hash) => hash.update(bytes),
            State::Sha384(hash) => hash.update(bytes),
            State::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of all pieces together.
    pub fn finish(self) -> Digest {
        let (algorithm, encoded) = match self.0 {
            State::Sha256(hash) => (Algorithm::Sha256, hex::encode(hash.finalize())),
            State::Sha384(hash) => (Algorithm::Sha384, hex::encode(hash.finalize())),
            State::Sha512(hash) => (Algorithm::Sha512, hex::encode(hash.finalize())),
        };
        Digest {
            text: format!("{}:{encoded}", algorithm.as_str()).into(),
            algorithm,
        }
    }
}

/// Whether `byte` is one of `0-9a-f`; upper case would make two spellings of one digest.
pub(crate) fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The image-spec's general grammar, which unknown algorithms may follow.
fn is_well_formed(name: &str, encoded: &str) -> bool {
    name.split(['.', '+', '_', '-']).all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    }) && encoded
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published values for the empty input and, for SHA-256, for `{}`.
    const EMPTY: [(Algorithm, &str); 3] = [
        (
            Algorithm::Sha256,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            Algorithm::Sha384,
            "sha384:38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
        ),
        (
            Algorithm::Sha512,
            "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
        ),
    ];
    const BRACES: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    /// No digest leads out of a folder: a store makes file names of digests.
    #[test]
    fn nothing_like_a_path_is_a_digest() {
        for text in [
            format!("sha256:{}", "../".repeat(22)),
            format!("sha256:../{}", "a".repeat(61)),
            format!("../sha256:{}", "a".repeat(64)),
            format!("SHA256:{}", "a".repeat(64)),
            format!("md5:{}", "a".repeat(32)),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha256:{}", "a".repeat(65)),
            format!("sha256:{}\0", "a".repeat(63)),
            format!("sha256:{}é", "a".repeat(62)),
        ] {
            assert!(Digest::parse(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn computes_and_reads_every_algorithm() {
        for (algorithm, text) in EMPTY {
            let digest = Digest::of(algorithm, b"");
            assert_eq!(digest.as_str(), text);
            assert_eq!(digest.algorithm(), algorithm);
            assert_eq!(digest.encoded().len(), algorithm.hex_len());
            assert_eq!(text, format!("{}:{}", algorithm.as_str(), digest.encoded()));
            assert_eq!(Digest::parse(text), Ok(digest));
        }
        assert_eq!(Digest::sha256(b"{}").as_str(), BRACES);
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"one ");
            hasher.update(b"");
            hasher.update(b"two");
            assert_eq!(hasher.finish(), Digest::of(algorithm, b"one two"));
        }
    }

    #[test]
    fn verifies_exactly_its_own_content() {
        for (algorithm, text) in EMPTY {
            let digest = Digest::parse(text).unwrap();
            assert!(digest.verifies(b""), "{algorithm:?}");
            assert!(!digest.verifies(b"\0"), "{algorithm:?}");
        }
    }

    #[test]
    fn refuses_with_the_texts_of_docker() {
        let hex = "0".repeat(64);
        for (text, message) in [
            ("", "invalid checksum digest format"),
            ("sha256", "invalid checksum digest format"),
            ("sha256:", "invalid checksum digest format"),
            (&format!(":{hex}"), "invalid checksum digest format"),
            (&format!("sha256:{hex}0"), "invalid checksum digest length"),
            (
                &format!("sha256:{}", &hex[1..]),
                "invalid checksum digest length",
            ),
            (&format!("sha512:{hex}"), "invalid checksum digest length"),
            (
                &format!("sha256:A{}", &hex[1..]),
                "invalid checksum digest format",
            ),
            (
                &format!("sha256:g{}", &hex[1..]),
                "invalid checksum digest format",
            ),
            (
                &format!("sha256:/{}", &hex[1..]),
                "invalid checksum digest format",
            ),
            (&format!("SHA256:{hex}"), "invalid checksum digest format"),
            (&format!("sha256 :{hex}"), "invalid checksum digest format"),
            (&format!("md5:{hex}"), "unsupported digest algorithm"),
            ("a+b.c_d-e:Zz9=_-", "unsupported digest algorithm"),
            ("a++b:x", "invalid checksum digest format"),
            ("md5:../x", "invalid checksum digest format"),
        ] {
            let error = Digest::parse(text).unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
    }

    #[test]
    fn prints_itself_and_its_short_form() {
        let digest: Digest = BRACES.parse().unwrap();
        assert_eq!(format!("{digest} {digest:?}"), format!("{BRACES} {BRACES}"));
        assert_eq!(digest.short(), "44136fa355b3");
    }

    #[test]
    fn json_is_a_checked_string() {
        let json = format!("\"{BRACES}\"");
        let digest: Digest = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&digest).unwrap(), json);
        for bad in ["\"sha256:../../etc/passwd\"", "\"\"", "null", "1"] {
            assert!(serde_json::from_str::<Digest>(bad).is_err(), "{bad}");
        }
    }
}
