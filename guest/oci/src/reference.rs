//! Image references, `[domain/]path[:tag][@digest]`, in the grammar of Docker's reference library,
//! <https://github.com/distribution/reference>.
//!
//! A [`Reference`] is always normalised: it has a domain, and Docker Hub's official images have their
//! `library/`. The short spelling people type is called *familiar*. Resolving a reference against a store
//! or a registry is not done here.

use std::{fmt, str::FromStr};

use crate::digest::{Algorithm, Digest, DigestError, is_lower_hex};

mod grammar;

use grammar::{Parts, is_tag};

/// The host of Docker Hub in references.
pub const HUB: &str = "docker.io";
const LEGACY_HUB: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// The longest path, in bytes, without the domain.
pub const MAX_PATH_LEN: usize = 255;
/// The longest tag, in bytes.
pub const MAX_TAG_LEN: usize = 128;
/// The shortest ID prefix that names an image, in characters: dockerd's bound.
pub const MIN_ID_PREFIX_LEN: usize = 4;

/// Why a string is not a reference; the texts are the library's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The path (given here) has upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UppercasePath(String),
    /// The text would be a reference if its letters were lower case.
    #[error("repository name must be lowercase")]
    Uppercase,
    /// 64 hexadecimal characters: that spelling is kept for image IDs.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    HexId(String),
    /// The path is longer than [`MAX_PATH_LEN`].
    #[error("repository name must not be more than {MAX_PATH_LEN} characters")]
    TooLong,
    /// A tag given on its own does not follow the grammar.
    #[error("invalid tag format")]
    Tag,
    /// The part after `@` is not a usable digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// A normalised image reference. `Display` prints it in full, `docker.io/library/alpine:3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads what a user typed and normalises it. No tag is added.
    ///
    /// A first segment that looks like a domain but is none (`a_b.c/x`) is refused, where Go's library
    /// would return a name without domain, which nothing can be pulled from.
    ///
    /// # Errors
    /// [`ReferenceError`], any case but `Tag`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if is_hex_id(text) {
            return Err(ReferenceError::HexId(text.to_owned()));
        }
        let (domain, remainder) = split_domain(text);
        let path = remainder.split(':').next().unwrap_or_default();
        if path.to_lowercase() != path {
            return Err(ReferenceError::UppercasePath(path.to_owned()));
        }
        let full = format!("{domain}/{remainder}");
        let Some(parts) = Parts::scan(&full) else {
            // Only the domain can still hold upper case here.
            return Err(match Parts::scan(&full.to_lowercase()) {
                Some(_) if full.to_lowercase() != full => ReferenceError::Uppercase,
                _ => ReferenceError::Format,
            });
        };
        if parts.path.len() > MAX_PATH_LEN {
            return Err(ReferenceError::TooLong);
        }
        let digest = parts.digest.map(Digest::parse).transpose()?;
        Ok(Self {
            domain: parts.domain.ok_or(ReferenceError::Format)?.to_owned(),
            path: parts.path.to_owned(),
            tag: parts.tag.map(str::to_owned),
            digest,
        })
    }

    /// The registry's host, with its port if one was given: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within its registry: `library/alpine`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if one is given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one is given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path: `docker.io/library/alpine`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The repository as people write it: `alpine`, `foo/bar`, `quay.io/foo/bar`.
    pub fn familiar_repository(&self) -> String {
        if self.domain != HUB {
            return self.repository();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference as people write it: `alpine:3`, `alpine@sha256:…`, `alpine:3@sha256:…`.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_repository())
    }

    /// Whether neither tag nor digest is given.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// This reference, with the tag `latest` if it has neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(self) -> Self {
        if !self.is_name_only() {
            return self;
        }
        Self {
            tag: Some(DEFAULT_TAG.to_owned()),
            ..self
        }
    }

    /// This reference with another tag; a digest stays.
    ///
    /// # Errors
    /// [`ReferenceError::Tag`] if `tag` does not follow the grammar.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Tag);
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            ..self.clone()
        })
    }

    /// This reference with another digest; a tag stays.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// This reference without its tag; a digest stays.
    #[must_use]
    pub fn without_tag(&self) -> Self {
        Self {
            tag: None,
            ..self.clone()
        }
    }

    /// This reference without its digest; a tag stays.
    #[must_use]
    pub fn without_digest(&self) -> Self {
        Self {
            digest: None,
            ..self.clone()
        }
    }

    /// The repository alone, as a reference.
    #[must_use]
    pub fn without_tag_and_digest(&self) -> Self {
        Self {
            tag: None,
            digest: None,
            ..self.clone()
        }
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.repository()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

/// What the `{name}` of an image request may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NameOrId {
    /// A whole ID, to be looked up as such: 64 hexadecimal characters (then SHA-256) or `algorithm:hex`.
    Id(Digest),
    /// A reference. Where no image has this name it may still be an ID prefix, see [`id_prefix`].
    Name(Reference),
}

/// Reads the `{name}` of an image request; nothing is looked up yet.
///
/// # Errors
/// [`ReferenceError`] if it is neither an ID nor a reference.
pub fn parse_name_or_id(text: &str) -> Result<NameOrId, ReferenceError> {
    if is_hex_id(text) {
        return Ok(NameOrId::Id(Digest::parse(&format!("sha256:{text}"))?));
    }
    match Digest::parse(text) {
        Ok(digest) => Ok(NameOrId::Id(digest)),
        Err(_) => Reference::parse(text).map(NameOrId::Name),
    }
}

/// Reads an ID prefix: an optional `sha256:`, then 4 to 64 lower-case hexadecimal characters, which are
/// returned. `None` if `text` is none.
pub fn id_prefix(text: &str) -> Option<(Algorithm, &str)> {
    let encoded = text.strip_prefix("sha256:").unwrap_or(text);
    let lengths = MIN_ID_PREFIX_LEN..=Algorithm::Sha256.hex_len();
    (lengths.contains(&encoded.len()) && encoded.bytes().all(is_lower_hex))
        .then_some((Algorithm::Sha256, encoded))
}

fn is_hex_id(text: &str) -> bool {
    text.len() == Algorithm::Sha256.hex_len() && text.bytes().all(is_lower_hex)
}

/// Splits off the domain, or supplies Docker Hub's, with the `library/` of its official images.
fn split_domain(text: &str) -> (&str, String) {
    let Some((first, rest)) = text.split_once('/') else {
        return (HUB, format!("{OFFICIAL}{text}"));
    };
    let (domain, remainder) = if first == LEGACY_HUB {
        (HUB, rest)
    } else if first == "localhost" || first.contains(['.', ':']) || first.to_lowercase() != first {
        (first, rest)
    } else {
        (HUB, text)
    };
    if domain == HUB && !remainder.contains('/') {
        return (HUB, format!("{OFFICIAL}{remainder}"));
    }
    (domain, remainder.to_owned())
}

#[cfg(test)]
mod tests;
