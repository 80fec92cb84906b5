//! From what a caller typed to a container.

use crate::{
    Engine, Error, Result, Store,
    catalog::{Container, Snapshot},
    container::record::Saved,
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

impl<S: Store, T, C> Engine<S, T, C> {
    /// The container `text` names, with all that is stored of it.
    ///
    /// # Errors
    /// As [`Snapshot::find_container`] and [`Engine::saved`].
    pub(super) async fn find_saved(&self, text: &str) -> Result<Saved> {
        let snapshot = self.snapshot().await?;
        let container = snapshot.find_container(text)?;
        self.saved(container).await
    }
}
