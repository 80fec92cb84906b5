//! Descriptors: the pointers from one stored content to another.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md>

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{digest::Digest, json::limits, nullable, platform::Platform};

/// The annotation that says what a manifest in an index is for; `attestation-manifest` marks attestations.
pub const ATTESTATION_TYPE: &str = "vnd.docker.reference.type";
/// The annotation with the digest of the manifest that an attestation is about.
pub const ATTESTATION_SUBJECT: &str = "vnd.docker.reference.digest";

/// A pointer to content: what it is, its digest and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's media type; empty if the document gives none, as old pushers did for configs.
    #[serde(default, deserialize_with = "nullable::media_type")]
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes, at most `i64::MAX`: the specification counts in signed numbers.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Other places the content may be had from: foreign layers.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "limits::urls"
    )]
    pub urls: Vec<String>,
    /// Annotations of the pointer (the content has its own).
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "limits::annotations"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The content itself in base64, unchecked: read it with [`Descriptor::inline`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The platform an index entry is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The kind of artifact the content is, if it is no image.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_media_type"
    )]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor with its three required members only.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// Whether this index entry is a BuildKit attestation rather than an image:
    /// <https://docs.docker.com/build/metadata/attestations/attestation-storage/>.
    pub fn is_attestation(&self) -> bool {
        self.annotations
            .get(ATTESTATION_TYPE)
            .is_some_and(|kind| kind == "attestation-manifest")
    }

    /// The digest of the manifest this attestation is about; `None` if it is no attestation or does not say.
    pub fn attestation_for(&self) -> Option<Digest> {
        if !self.is_attestation() {
            return None;
        }
        Digest::parse(self.annotations.get(ATTESTATION_SUBJECT)?).ok()
    }

    /// The content carried in `data`, if its size and digest are the descriptor's: then it may stand
    /// in for a fetch. `None` if there is none or it lies.
    pub fn inline(&self) -> Option<Vec<u8>> {
        let bytes = BASE64_STANDARD.decode(self.data.as_ref()?).ok()?;
        let size = u64::try_from(bytes.len()).ok()?;
        (size == self.size && self.digest.verifies(&bytes)).then_some(bytes)
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = Option::<i64>::deserialize(deserializer)?;
    let size = size.ok_or_else(|| de::Error::missing_field("size"))?;
    u64::try_from(size).map_err(|_| de::Error::custom("size must not be negative"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    /// The image-spec's empty descriptor.
    const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="}"#;

    fn with(member: &str) -> Result<Descriptor, json::Error> {
        json::from_slice(
            EMPTY
                .replace(r#""size":2,"data":"e30=""#, member)
                .as_bytes(),
        )
    }

    #[test]
    fn keeps_member_order_and_leaves_out_what_is_empty() {
        let descriptor: Descriptor = serde_json::from_str(EMPTY).unwrap();
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), EMPTY);

        let full = r#"{"mediaType":"m","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"urls":["https://x"],"annotations":{"a":"b"},"data":"e30=","platform":{"architecture":"arm64","os":"linux"},"artifactType":"t"}"#;
        let descriptor: Descriptor = serde_json::from_str(full).unwrap();
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), full);
    }

    #[test]
    fn null_is_absent() {
        let nulls = r#""size":0,"urls":null,"annotations":null,"data":null,"platform":null,"artifactType":null"#;
        assert_eq!(with(nulls).unwrap(), with(r#""size":0"#).unwrap());
        let no_type = r#"{"mediaType":null,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":0}"#;
        let descriptor: Descriptor = serde_json::from_str(no_type).unwrap();
        assert_eq!(descriptor.media_type, "");
    }

    #[test]
    fn size_is_a_whole_number_from_zero_to_i64_max() {
        let largest = with(r#""size":9223372036854775807"#).unwrap();
        assert_eq!(largest.size, i64::MAX.unsigned_abs());
        for bad in ["-1", "9223372036854775808", "1.5", "\"1\"", "null"] {
            assert!(with(&format!(r#""size":{bad}"#)).is_err(), "{bad}");
        }
        assert!(with(r#""urls":[]"#).is_err(), "size is required");
    }

    #[test]
    fn inline_data_counts_only_if_size_and_digest_agree() {
        for (members, expected) in [
            (r#""size":2,"data":"e30=""#, Some(b"{}".to_vec())),
            (r#""size":3,"data":"e30=""#, None),
            (r#""size":2,"data":"e31=""#, None),
            (r#""size":2,"data":"W10=""#, None),
            (r#""size":2,"data":"e30""#, None),
            (r#""size":2,"data":"%""#, None),
            (r#""size":2"#, None),
        ] {
            assert_eq!(with(members).unwrap().inline(), expected, "{members}");
        }
    }

    #[test]
    fn attestations_are_known_by_their_annotation() {
        let subject = Digest::sha256(b"image");
        let annotated = |kind: &str, subject: &str| {
            let mut descriptor = Descriptor::new("m", Digest::sha256(b"attestation"), 11);
            descriptor.annotations = BTreeMap::from([
                (ATTESTATION_TYPE.to_owned(), kind.to_owned()),
                (ATTESTATION_SUBJECT.to_owned(), subject.to_owned()),
            ]);
            descriptor
        };
        let attestation = annotated("attestation-manifest", subject.as_str());
        assert!(attestation.is_attestation());
        assert_eq!(attestation.attestation_for(), Some(subject.clone()));

        let other = annotated("something-else", subject.as_str());
        assert!(!other.is_attestation());
        assert_eq!(other.attestation_for(), None);

        let lost = annotated("attestation-manifest", "../../etc/passwd");
        assert!(lost.is_attestation());
        assert_eq!(lost.attestation_for(), None);
    }
}
