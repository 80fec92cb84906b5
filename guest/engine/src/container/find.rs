//! From what a caller typed to a container.

use std::rc::Rc;

use strata_oci::Digest;

use super::record::Saved;
use crate::{
    Engine, Error, Host, LeaseOf, Result, Store,
    catalog::{Container, Snapshot},
    naming::MAX_TRIES,
    rootfs::{Root, copies_damaged},
};

impl Snapshot {
    /// The container `text` names: by its ID, its name with or without slash, or a
    /// prefix of its ID.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; [`Error::InvalidArgument`] if the prefix has
    /// several.
    pub(super) fn find_container(&self, text: &str) -> Result<&Container> {
        let none = || Error::NotFound(format!("No such container: {text}"));
        let name = text.strip_prefix('/').unwrap_or(text);
        if text.is_empty() || name.is_empty() {
            return Err(none());
        }
        let mut by_id = self.all_containers().filter(|it| it.id == text);
        let mut by_name = self.all_containers().filter(|it| it.own_name == name);
        if let Some(found) = by_id.next().or_else(|| by_name.next()) {
            return Ok(found);
        }
        let mut by_prefix = self.all_containers().filter(|it| it.id.starts_with(text));
        match (by_prefix.next(), by_prefix.next()) {
            (Some(found), None) => Ok(found),
            (None, _) => Err(none()),
            (Some(_), Some(_)) => Err(Error::InvalidArgument(format!(
                "multiple IDs found with provided prefix: {text}"
            ))),
        }
    }
}

impl<H: Host> Engine<H> {
    /// The container `text` names, with all that is stored of it.
    ///
    /// # Errors
    /// As [`Snapshot::find_container`] and [`Engine::saved`].
    pub(super) async fn find_saved(&self, text: &str) -> Result<Saved> {
        self.reading(text, async |saved| Ok(saved)).await
    }

    /// What `read` makes of the container `text` names. If something was not there because the
    /// container was changed meanwhile, and a prune was fast, it is read as it is by then.
    ///
    /// # Errors
    /// As [`Engine::find_saved`] and `read`; [`Error::Conflict`] if it never stops being changed.
    pub(super) async fn reading<R>(
        &self,
        text: &str,
        mut read: impl AsyncFnMut(Saved) -> Result<R>,
    ) -> Result<R> {
        for _ in 0..MAX_TRIES {
            let container = self.snapshot().await?.find_container(text)?.clone();
            let mut own = Vec::new();
            let done = match self.saved(&container).await {
                Ok(saved) => {
                    own.extend(saved.diffs.iter().map(|layer| layer.digest.clone()));
                    read(saved).await
                }
                Err(error) => Err(error),
            };
            let Err(error @ (Error::NotFound(_) | Error::Damaged(_))) = done else {
                return done;
            };
            let now = self.snapshot().await?;
            let now = now.find_container(&container.id);
            if now.is_ok_and(|now| now.target == container.target) {
                return Err(match error {
                    Error::Damaged(_) => self.about_copies(&own, error).await?,
                    error => error,
                });
            }
        }
        Err(Error::Conflict(format!(
            "container {text} keeps being changed, try again"
        )))
    }

    /// What to say of damage, if that is in what was copied into a container: no image has it.
    async fn about_copies(&self, own: &[Digest], error: Error) -> Result<Error> {
        if own.is_empty() {
            return Ok(error);
        }
        let mut damaged = self.store.damaged().await?.into_iter();
        Ok(match damaged.find(|(digest, _)| own.contains(digest)) {
            Some((digest, why)) => copies_damaged(&format!("blob {digest} is damaged: {why}")),
            None => error,
        })
    }

    /// The file system of a container, protected as long as the lease is held.
    ///
    /// # Errors
    /// As [`Engine::reading`] and [`Engine::root`].
    pub(super) async fn held_root(&self, text: &str) -> Result<(Rc<Root>, LeaseOf<H>)> {
        self.reading(text, async |saved| {
            let lease = self.store.acquire_lease().await?;
            let root = self.root(&saved).await?;
            self.protect(&root, &lease).await?;
            Ok((root, lease))
        })
        .await
    }
}
