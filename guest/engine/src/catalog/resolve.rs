//! From what a caller typed to an image.

use std::rc::Rc;

use strata_oci::{
    Digest, Reference,
    reference::{NameOrId, id_prefix, parse_name_or_id},
};

use super::{Image, ImageName, Snapshot};
use crate::{Engine, Error, Host, Result};

/// An image, and how it was found.
pub(crate) struct Found {
    /// Where it was found.
    pub(crate) snapshot: Rc<Snapshot>,
    /// Its position there.
    pub(crate) position: usize,
    /// What of the text named it.
    pub(crate) by: By,
}

/// What of the text it was that named the image.
pub(crate) enum By {
    /// Its ID, a prefix of it, or its dangling name.
    Id,
    /// One of its names.
    Name(Rc<ImageName>),
    /// Its digest, and a repository that has a name for it; a tag may stand
    /// between them.
    Digest(Reference),
}

impl Snapshot {
    /// Finds the image `text` names. A name wins over an ID prefix.
    pub(crate) fn resolve(self: Rc<Self>, text: &str) -> Result<Found> {
        let (position, by) = self.search(text)?;
        Ok(Found {
            snapshot: self,
            position,
            by,
        })
    }

    /// The target of the image `text` names, for [`Engine::settled`].
    pub(super) fn target_of(self: &Rc<Self>, text: &str) -> Result<Vec<Digest>> {
        let found = self.clone().resolve(text)?;
        Ok(vec![found.image()?.target.digest.clone()])
    }

    fn search(&self, text: &str) -> Result<(usize, By)> {
        // Dangling names, and names of other tools that are no references.
        if let Some((position, name)) = self.find(text)
            && name.reference.is_none()
        {
            let by = match name.is_dangling() {
                true => By::Id,
                false => By::Name(name.clone()),
            };
            return Ok((position, by));
        }
        // The grammar's own words are what dockerd answers.
        let parsed =
            parse_name_or_id(text).map_err(|error| Error::InvalidArgument(error.to_string()))?;
        let reference = match parsed {
            NameOrId::Id(digest) => {
                let position = self.position(&digest);
                let position = position.ok_or_else(|| no_such_image(digest.as_str()))?;
                return Ok((position, By::Id));
            }
            NameOrId::Name(reference) => reference,
        };
        if let Some(digest) = reference.digest() {
            let position = self.position(digest).filter(|position| {
                let image = self.images.get(*position);
                image.is_some_and(|image| image.is_in_repository(&reference))
            });
            let position = position.ok_or_else(|| no_such_image(&reference.familiar()))?;
            return Ok((position, By::Digest(reference)));
        }
        let reference = reference.with_default_tag();
        if let Some((position, name)) = self.find(&reference.to_string()) {
            return Ok((position, By::Name(name.clone())));
        }
        let Some((algorithm, encoded)) = id_prefix(text) else {
            return Err(no_such_image(&reference.familiar()));
        };
        let prefix = format!("{}:{encoded}", algorithm.as_str());
        let mut positions = self.positions_by_prefix(&prefix);
        match (positions.next(), positions.next()) {
            (Some(position), None) => Ok((position, By::Id)),
            (Some(_), Some(_)) => Err(Error::NotFound("ambiguous reference".to_owned())),
            (None, _) => Err(no_such_image(&reference.familiar())),
        }
    }
}

impl Image {
    /// Whether one of its names is in the repository of `reference`.
    fn is_in_repository(&self, reference: &Reference) -> bool {
        let mut references = self.names.iter().filter_map(|name| name.reference.as_ref());
        references.any(|name| same_repository(name, reference))
    }
}

/// Whether both name the same repository.
pub(crate) fn same_repository(one: &Reference, other: &Reference) -> bool {
    one.domain() == other.domain() && one.path() == other.path()
}

impl Found {
    /// The image.
    ///
    /// # Errors
    /// [`Error::Internal`] if the position is outside the snapshot: never.
    pub(crate) fn image(&self) -> Result<&Image> {
        let image = self.snapshot.images.get(self.position);
        image.ok_or_else(|| Error::Internal("image outside its snapshot".to_owned()))
    }

    /// The image's name as texts show it.
    pub(crate) fn familiar(&self) -> Result<String> {
        Ok(match &self.by {
            By::Name(name) => name.familiar.clone(),
            By::Digest(reference) => reference.familiar(),
            By::Id => match self.image()?.names.first() {
                Some(name) => name.familiar.clone(),
                None => self.image()?.target.digest.to_string(),
            },
        })
    }
}

/// What is said of a name that no image has; the text is dockerd's.
fn no_such_image(familiar: &str) -> Error {
    Error::NotFound(format!("No such image: {familiar}"))
}

impl<H: Host> Engine<H> {
    /// Finds the image `text` names: a reference, an ID, or an ID prefix.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if it is neither; [`Error::NotFound`] if there is
    /// no such image or the prefix has several.
    pub(crate) async fn resolve(&self, text: &str) -> Result<Found> {
        self.snapshot().await?.resolve(text)
    }
}
