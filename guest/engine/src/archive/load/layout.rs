//! Which images an OCI layout has.

use strata_oci::{
    Descriptor, Reference,
    archive::{
        MAX_NAME_BYTES,
        layout::{IMAGE_NAME, LAYOUT_VERSION, Layout, REF_NAME, parse_index},
    },
    media_type::{self, Kind},
};

use super::{Image, intake::Arrived};
use crate::{
    Error, Result,
    archive::{invalid, quoted},
    catalog::DANGLING_PREFIX,
};

/// The images of the layout; `None` if the archive is none.
pub(super) fn images(arrived: &Arrived) -> Result<Option<Vec<Image>>> {
    let Some(layout) = &arrived.layout else {
        return Ok(None);
    };
    let layout = Layout::parse(layout)
        .map_err(|error| invalid(format_args!("untar oci layout \"oci-layout\": {error}")))?;
    match layout.image_layout_version.as_str() {
        "" => return Ok(None),
        LAYOUT_VERSION => {}
        other => {
            return Err(Error::Unsupported(format!(
                "unsupported OCI version {}",
                other.chars().take(64).collect::<String>()
            )));
        }
    }
    let index = arrived.index.as_ref().ok_or_else(|| {
        invalid(format_args!(
            "missing index.json in OCI layout {LAYOUT_VERSION}"
        ))
    })?;
    let descriptors =
        parse_index(index).map_err(|error| invalid(format_args!("invalid index.json: {error}")))?;
    let mut images = Vec::with_capacity(descriptors.len());
    for descriptor in descriptors {
        if is_image(&descriptor)? {
            let name = name(&descriptor)?;
            images.push(Image { name, descriptor });
        }
    }
    Ok(Some(images))
}

/// Whether an entry may be an image. Layouts may list anything; what is unknown is passed
/// over.
fn is_image(descriptor: &Descriptor) -> Result<bool> {
    match media_type::kind(&descriptor.media_type) {
        Kind::Index | Kind::Manifest => Ok(true),
        Kind::Schema1 => Err(Error::Unsupported(format!(
            "{} is a Docker schema 1 manifest, which is no longer supported",
            descriptor.digest
        ))),
        // Tools that leave the type out mean images.
        Kind::Other => Ok(media_type::essence(&descriptor.media_type).is_empty()),
        Kind::Config | Kind::Layer | Kind::ForeignLayer => Ok(false),
    }
}

/// The name an entry says it has, verbatim.
fn name(descriptor: &Descriptor) -> Result<Option<String>> {
    let annotations = &descriptor.annotations;
    let stated = [IMAGE_NAME, REF_NAME].iter();
    let mut stated = stated.filter_map(|key| annotations.get(*key));
    let Some(name) = stated.find(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::QuotaExceeded(format!(
            "an image name in index.json has {} bytes, the limit is {MAX_NAME_BYTES}",
            name.len()
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(invalid(format_args!(
            "image name {} in index.json has control characters",
            quoted(name)
        )));
    }
    // Another store's name for an image without one.
    if name.starts_with(DANGLING_PREFIX) {
        return Ok(None);
    }
    let reference = Reference::parse(name).ok();
    match reference.as_ref().and_then(Reference::digest) {
        Some(digest) if *digest != descriptor.digest => Err(invalid(format_args!(
            "image name {} in index.json has another digest than its content, {}",
            quoted(name),
            descriptor.digest
        ))),
        _ => Ok(Some(name.clone())),
    }
}
