//! `GET /images/json`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageList>

use std::rc::Rc;

use http::StatusCode;
use serde::Serialize;
use strata_engine::{Host, ImageSummary, ListOptions, Listed};
use strata_http::{Output, Reply};
use strata_oci::{Descriptor, Digest, Labels};

use super::{filters, manifest::Manifest};
use crate::{Answer, Asked, failure::Failure, version::ApiVersion};

/// What dockerd says where it does not count or compute.
const NOT_COMPUTED: i64 = -1;
const NO_TAGS: [&str; 1] = ["<none>:<none>"];
const NO_DIGESTS: [&str; 1] = ["<none>@<none>"];

/// Bytes of a listing sent at once when it is sent in parts.
const PART_BYTES: usize = 256 * 1024;

/// Answers a listing. Nothing of `all` and `digests` needs doing: there are no intermediate images, and
/// digests are always told.
///
/// # Errors
/// 400 for parameters, else the engine's.
pub(crate) async fn list<H: Host, W: Output>(asked: &Asked<'_, H>, output: &mut W) -> Answer {
    let (version, query) = (asked.version, &asked.query);
    let manifests = version.at_least(47) && asked.boolean("manifests");
    if version.at_least(54) && asked.boolean("identity") && !manifests {
        let message = "conflicting options: identity requires manifests=1";
        return Err(Failure::invalid(message).into());
    }
    let (now, _) = asked.engine.now();
    let mut filters = filters::for_list(query.text("filters"), now)?;
    // Before 1.41 one name pattern had a parameter of its own.
    if !version.at_least(41) && !query.text("filter").is_empty() {
        filters.references.push(query.text("filter").to_owned());
    }
    let options = ListOptions {
        filters,
        shared_size: version.at_least(42) && asked.boolean("shared-size"),
        manifests,
    };
    let images = asked.engine.list(&options).await?;
    let heavy = |image: &Rc<ImageSummary>| {
        matches!(image.labels, Listed::InConfig(_)) || image.manifests_later
    };
    if images.iter().any(heavy) {
        return send(asked, &images, output).await;
    }
    let mut body = Vec::with_capacity(images.len().saturating_mul(1024));
    body.push(b'[');
    for (position, image) in images.iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        show(image, version, &mut body)?;
    }
    body.extend_from_slice(b"]\n");
    Ok(Some(Reply::json(StatusCode::OK, body)))
}

/// Writes an entry; one that was written before is kept and not made again.
pub(crate) fn show(
    image: &ImageSummary,
    version: ApiVersion,
    body: &mut Vec<u8>,
) -> Result<(), Failure> {
    let form = version.minor();
    if let Some(shown) = image.shown.get(form) {
        body.extend_from_slice(&shown);
        return Ok(());
    }
    let labels = match &image.labels {
        Listed::Here(labels) => Some(labels.as_ref()),
        Listed::None | Listed::InConfig(_) => None,
    };
    let start = body.len();
    serde_json::to_writer(&mut *body, &Entry::new(image, labels, version))
        .map_err(Failure::unwritable)?;
    image
        .shown
        .keep(form, body.get(start..).unwrap_or_default());
    Ok(())
}

/// Sends a listing with labels too heavy to be held at once, image by image.
///
/// # Errors
/// Only that the client left.
async fn send<H: Host, W: Output>(
    asked: &Asked<'_, H>,
    images: &[Rc<ImageSummary>],
    output: &mut W,
) -> Answer {
    let headers = asked.growing("application/json");
    output.head(StatusCode::OK, headers).await?;
    let mut part = Vec::new();
    for (position, image) in images.iter().enumerate() {
        part.push(if position == 0 { b'[' } else { b',' });
        let Ok(labels) = asked.engine.labels(image).await else {
            output.abort().await;
            return Ok(None);
        };
        let mut later = Vec::new();
        if image.manifests_later {
            match asked.engine.manifests(image).await {
                Ok(manifests) => later = manifests,
                Err(_) => {
                    output.abort().await;
                    return Ok(None);
                }
            }
        }
        let mut entry = Entry::new(image, labels.as_deref(), asked.version);
        entry.manifests.extend(later.iter().map(Manifest::new));
        if serde_json::to_writer(&mut part, &entry).is_err() {
            output.abort().await;
            return Ok(None);
        }
        if part.len() >= PART_BYTES {
            output.write(std::mem::take(&mut part)).await?;
        }
    }
    part.extend_from_slice(b"]\n");
    output.write(part).await?;
    Ok(None)
}

/// One element, in the shape of one API version.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    containers: i64,
    created: i64,
    id: &'a Digest,
    labels: Option<&'a Labels>,
    /// Not Docker's: why the image cannot be read, or not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<&'a str>,
    parent_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptor: Option<&'a Descriptor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    manifests: Vec<Manifest<'a>>,
    repo_digests: Names<'a>,
    repo_tags: Names<'a>,
    shared_size: i64,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_size: Option<u64>,
}

/// Names, or what stood for none before 1.43.
#[derive(Serialize)]
#[serde(untagged)]
enum Names<'a> {
    Given(&'a [String]),
    Missing([&'static str; 1]),
}

impl<'a> Names<'a> {
    fn new(names: &'a [String], placeholder: [&'static str; 1], version: ApiVersion) -> Self {
        if names.is_empty() && !version.at_least(43) {
            Self::Missing(placeholder)
        } else {
            Self::Given(names)
        }
    }
}

impl<'a> Entry<'a> {
    fn new(image: &'a ImageSummary, labels: Option<&'a Labels>, version: ApiVersion) -> Self {
        let containers = image.containers.filter(|_| version.at_least(51));
        let shared_size = image.shared_size.and_then(|size| i64::try_from(size).ok());
        Self {
            containers: containers.map_or(NOT_COMPUTED, i64::from),
            created: image.created,
            id: &image.target.digest,
            labels,
            damaged: image.damaged.as_deref(),
            parent_id: image.parent.as_ref().map_or("", Digest::as_str),
            descriptor: version.at_least(48).then_some(&image.target),
            manifests: image.manifests.iter().map(Manifest::new).collect(),
            repo_digests: Names::new(&image.digests, NO_DIGESTS, version),
            repo_tags: Names::new(&image.tags, NO_TAGS, version),
            shared_size: shared_size.unwrap_or(NOT_COMPUTED),
            size: image.size,
            virtual_size: (!version.at_least(44)).then_some(image.size),
        }
    }
}
