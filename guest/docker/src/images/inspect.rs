//! `GET /images/{name}/json`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageInspect>

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap};
use strata_engine::{Host, ImageDetails, InspectOptions};
use strata_http::Reply;
use strata_oci::{Digest, ImageConfig, config::ContainerConfig, timestamp};

use super::{
    config::Config,
    manifest::{Identity, Manifest},
    platform_json,
};
use crate::{Asked, failure::Failure, reply, version::ApiVersion};

/// Go's zero time: what clients read as "not known".
pub(crate) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Answers an inspection.
///
/// # Errors
/// 400 for parameters, else the engine's.
pub(crate) async fn inspect<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let version = asked.version;
    let manifests = version.at_least(48) && asked.boolean("manifests");
    let platform = match version.at_least(49) {
        true => platform_json(asked.query.text("platform"))?,
        false => None,
    };
    if manifests && platform.is_some() {
        return Err(Failure::invalid(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let options = InspectOptions {
        platform,
        manifests,
    };
    let details = asked.engine.inspect(asked.name, &options).await?;
    reply::json(&Inspected {
        details: &details,
        version,
    })
}

/// An image in the shape of one API version.
struct Inspected<'a> {
    details: &'a ImageDetails,
    version: ApiVersion,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    r#type: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    layers: &'a [Digest],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    name: &'static str,
    data: (),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    last_tag_time: &'a str,
}

impl Serialize for Inspected<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (details, version) = (self.details, self.version);
        let empty = ImageConfig::default();
        let image = details.config.as_deref().unwrap_or(&empty);
        let keep_empty = !version.at_least(52);
        let text = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let mut map = serializer.serialize_map(None)?;

        map.serialize_entry("Id", &details.target.digest)?;
        map.serialize_entry("RepoTags", &details.tags)?;
        map.serialize_entry("RepoDigests", &details.digests)?;
        for (key, value) in [("Parent", text(&image.parent)), ("Comment", comment(image))] {
            if keep_empty || value.is_some() {
                map.serialize_entry(key, value.as_deref().unwrap_or_default())?;
            }
        }
        match created(image) {
            Some(created) => map.serialize_entry("Created", &created)?,
            None if version.at_least(44) => {}
            None => map.serialize_entry("Created", ZERO_TIME)?,
        }
        if !version.at_least(45) {
            map.serialize_entry("Container", image.container.as_deref().unwrap_or_default())?;
            map.serialize_entry("ContainerConfig", &image.container_config)?;
        }
        for (key, value) in [
            ("DockerVersion", text(&image.docker_version)),
            ("Author", text(&image.author)),
        ] {
            if keep_empty || value.is_some() {
                map.serialize_entry(key, value.as_deref().unwrap_or_default())?;
            }
        }
        // Optional in the document, never in the answer: clients look into it.
        let none = ContainerConfig::default();
        let config = image.config.as_ref().unwrap_or(&none);
        map.serialize_entry("Config", &Config::new(config, version))?;
        map.serialize_entry("Architecture", &image.architecture)?;
        if let Some(variant) = &image.variant {
            map.serialize_entry("Variant", variant)?;
        }
        map.serialize_entry("Os", &image.os)?;
        if let Some(os_version) = &image.os_version {
            map.serialize_entry("OsVersion", os_version)?;
        }
        map.serialize_entry("Size", &details.size)?;
        if !version.at_least(44) {
            map.serialize_entry("VirtualSize", &details.size)?;
        }
        if keep_empty {
            let driver = GraphDriver {
                name: crate::system::DRIVER,
                data: (),
            };
            map.serialize_entry("GraphDriver", &driver)?;
        }
        let root_fs = RootFs {
            r#type: &image.rootfs.type_,
            layers: &image.rootfs.diff_ids,
        };
        map.serialize_entry("RootFS", &root_fs)?;
        let tagged = details.last_tagged;
        let tagged = tagged.map(|(secs, nanos)| timestamp::format_rfc3339_nano(secs, nanos));
        let metadata = Metadata {
            last_tag_time: tagged.as_deref().unwrap_or(ZERO_TIME),
        };
        map.serialize_entry("Metadata", &metadata)?;
        if version.at_least(48) {
            map.serialize_entry("Descriptor", &details.target)?;
        }
        if !details.manifests.is_empty() {
            let manifests: Vec<_> = details.manifests.iter().map(Manifest::new).collect();
            map.serialize_entry("Manifests", &manifests)?;
        }
        if version.at_least(53)
            && let Some(identity) = Identity::new(&details.sources)
        {
            map.serialize_entry("Identity", &identity)?;
        }
        // Not Docker's: clients skip members they do not know.
        if let Some(damaged) = &details.damaged {
            map.serialize_entry("Damaged", damaged)?;
        }
        map.end()
    }
}

/// The image's comment, or else that of its last step: builders write theirs there.
fn comment(image: &ImageConfig) -> Option<String> {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    filled(&image.comment).or_else(|| filled(&image.history.last()?.comment))
}

/// `created` as Go would write it again: without trailing zeros, in its zone. `None` if it is no time.
fn created(image: &ImageConfig) -> Option<Cow<'_, str>> {
    let text = image.created.as_deref()?;
    let (secs, nanos) = timestamp::parse_rfc3339(text)?;
    if text.ends_with('Z') {
        return Some(timestamp::format_rfc3339_nano(secs, nanos).into());
    }
    Some(text.into())
}
