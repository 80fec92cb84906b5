//! The media types of images: names, what each stands for, and the `Accept` value.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md>,
//! <https://distribution.github.io/distribution/spec/manifest-v2-2/>

/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker manifest list: Docker's image index.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker image manifest, schema 1: withdrawn, always refused.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker image manifest, schema 1 with signatures: withdrawn, always refused.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker plugin config: not an image.
pub const DOCKER_PLUGIN_CONFIG: &str = "application/vnd.docker.plugin.v1+json";
/// OCI layer, uncompressed tar.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Docker layer, uncompressed tar.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker layer, gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker layer, zstd: rare and not standard, but seen.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// OCI foreign layer, uncompressed tar (deprecated).
pub const OCI_FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// OCI foreign layer, gzip (deprecated).
pub const OCI_FOREIGN_LAYER_GZIP: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
/// OCI foreign layer, zstd (deprecated).
pub const OCI_FOREIGN_LAYER_ZSTD: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
/// Docker foreign layer, uncompressed tar.
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
/// Docker foreign layer, gzip.
pub const DOCKER_FOREIGN_LAYER_GZIP: &str =
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// The empty descriptor: the two bytes `{}`, an artifact's stand-in for a config.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// An OCI descriptor standing alone.
pub const OCI_DESCRIPTOR: &str = "application/vnd.oci.descriptor.v1+json";
/// The `oci-layout` file.
pub const OCI_LAYOUT_HEADER: &str = "application/vnd.oci.layout.header.v1+json";
/// An in-toto statement: the layers of BuildKit's attestation manifests.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// OCI artifact manifest of the 1.1 release candidates: withdrawn, treated as unknown.
pub const OCI_ARTIFACT_MANIFEST: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// The `Accept` value of a manifest request. Without it a registry may answer schema 1.
pub const ACCEPT_MANIFEST: &str = concat!(
    "application/vnd.docker.distribution.manifest.v2+json, ",
    "application/vnd.docker.distribution.manifest.list.v2+json, ",
    "application/vnd.oci.image.manifest.v1+json, ",
    "application/vnd.oci.image.index.v1+json, */*",
);

/// What the content under a media type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An image index or Docker manifest list.
    Index,
    /// An image manifest.
    Manifest,
    /// An image config.
    Config,
    /// A layer.
    Layer,
    /// A layer whose content may live at its descriptor's `urls` only.
    ForeignLayer,
    /// A Docker schema 1 manifest: to be refused.
    Schema1,
    /// Anything else: stored and copied, never parsed.
    Other,
}

/// How a layer's media type says its tar is compressed. Readers go by the magic bytes instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Plain tar.
    None,
    /// gzip, possibly of several members.
    Gzip,
    /// zstd, possibly of several frames.
    Zstd,
}

/// `media_type` without its parameters: `a/b; charset=utf-8` is `a/b`.
pub fn essence(media_type: &str) -> &str {
    match media_type.split_once(';') {
        Some((essence, _)) => essence.trim(),
        None => media_type.trim(),
    }
}

/// What `media_type` stands for; parameters are ignored, letter case counts.
pub fn kind(media_type: &str) -> Kind {
    match essence(media_type) {
        OCI_INDEX | DOCKER_MANIFEST_LIST => Kind::Index,
        OCI_MANIFEST | DOCKER_MANIFEST => Kind::Manifest,
        OCI_CONFIG | DOCKER_CONFIG => Kind::Config,
        DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED => Kind::Schema1,
        other => match layer(other) {
            Some((kind, _)) => kind,
            None => Kind::Other,
        },
    }
}

/// The compression a layer's media type names; `None` if it is no layer.
pub fn layer_compression(media_type: &str) -> Option<Compression> {
    layer(essence(media_type)).map(|(_, compression)| compression)
}

/// Whether a manifest with a config of this type is an image rather than an artifact.
///
/// Old pushers wrote generic types, or none: those count as images too.
pub fn is_image_config(media_type: &str) -> bool {
    matches!(
        essence(media_type),
        OCI_CONFIG
            | DOCKER_CONFIG
            | "application/octet-stream"
            | "application/json"
            | "text/html"
            | ""
    )
}

fn layer(essence: &str) -> Option<(Kind, Compression)> {
    Some(match essence {
        OCI_LAYER | DOCKER_LAYER => (Kind::Layer, Compression::None),
        OCI_LAYER_GZIP | DOCKER_LAYER_GZIP => (Kind::Layer, Compression::Gzip),
        OCI_LAYER_ZSTD | DOCKER_LAYER_ZSTD => (Kind::Layer, Compression::Zstd),
        OCI_FOREIGN_LAYER | DOCKER_FOREIGN_LAYER => (Kind::ForeignLayer, Compression::None),
        OCI_FOREIGN_LAYER_GZIP | DOCKER_FOREIGN_LAYER_GZIP => {
            (Kind::ForeignLayer, Compression::Gzip)
        }
        OCI_FOREIGN_LAYER_ZSTD => (Kind::ForeignLayer, Compression::Zstd),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_kind_and_compression() {
        use Compression::{Gzip, None as Plain, Zstd};
        for (media_type, expected, compression) in [
            (OCI_INDEX, Kind::Index, None),
            (DOCKER_MANIFEST_LIST, Kind::Index, None),
            (OCI_MANIFEST, Kind::Manifest, None),
            (DOCKER_MANIFEST, Kind::Manifest, None),
            (DOCKER_SCHEMA1, Kind::Schema1, None),
            (DOCKER_SCHEMA1_SIGNED, Kind::Schema1, None),
            (OCI_CONFIG, Kind::Config, None),
            (DOCKER_CONFIG, Kind::Config, None),
            (OCI_LAYER, Kind::Layer, Some(Plain)),
            (OCI_LAYER_GZIP, Kind::Layer, Some(Gzip)),
            (OCI_LAYER_ZSTD, Kind::Layer, Some(Zstd)),
            (DOCKER_LAYER, Kind::Layer, Some(Plain)),
            (DOCKER_LAYER_GZIP, Kind::Layer, Some(Gzip)),
            (DOCKER_LAYER_ZSTD, Kind::Layer, Some(Zstd)),
            (OCI_FOREIGN_LAYER, Kind::ForeignLayer, Some(Plain)),
            (OCI_FOREIGN_LAYER_GZIP, Kind::ForeignLayer, Some(Gzip)),
            (OCI_FOREIGN_LAYER_ZSTD, Kind::ForeignLayer, Some(Zstd)),
            (DOCKER_FOREIGN_LAYER, Kind::ForeignLayer, Some(Plain)),
            (DOCKER_FOREIGN_LAYER_GZIP, Kind::ForeignLayer, Some(Gzip)),
            (IN_TOTO, Kind::Other, None),
            (OCI_EMPTY, Kind::Other, None),
            (DOCKER_PLUGIN_CONFIG, Kind::Other, None),
            (OCI_ARTIFACT_MANIFEST, Kind::Other, None),
            ("", Kind::Other, None),
        ] {
            assert_eq!(kind(media_type), expected, "{media_type}");
            assert_eq!(layer_compression(media_type), compression, "{media_type}");
            let with_parameter = format!("{media_type} ; charset=utf-8");
            assert_eq!(kind(&with_parameter), expected, "{with_parameter}");
            assert_eq!(layer_compression(&with_parameter), compression);
        }
    }

    #[test]
    fn parameters_are_dropped() {
        assert_eq!(essence("a/b"), "a/b");
        assert_eq!(essence(" a/b ; q=1; x=2"), "a/b");
        assert_eq!(essence(";"), "");
    }

    #[test]
    fn image_configs_include_what_old_pushers_wrote() {
        for yes in [
            OCI_CONFIG,
            DOCKER_CONFIG,
            "application/octet-stream",
            "application/json; charset=utf-8",
            "text/html",
            "",
        ] {
            assert!(is_image_config(yes), "{yes}");
        }
        for no in [DOCKER_PLUGIN_CONFIG, OCI_EMPTY, "text/plain", OCI_LAYER] {
            assert!(!is_image_config(no), "{no}");
        }
    }

    #[test]
    fn accept_names_all_four_documents_then_anything() {
        let offered: Vec<_> = ACCEPT_MANIFEST.split(", ").collect();
        assert_eq!(
            offered,
            [
                DOCKER_MANIFEST,
                DOCKER_MANIFEST_LIST,
                OCI_MANIFEST,
                OCI_INDEX,
                "*/*"
            ]
        );
    }
}
