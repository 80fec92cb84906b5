//! Names, as the native store keeps them.

use std::sync::Arc;

use async_trait::async_trait;

use super::Store;
use crate::backend::Names;
use crate::name::{Change, Name, apply};
use crate::sync::blocking;
use crate::{Error, database, reserve};

#[async_trait]
impl Names for Store {
    fn generation(&self) -> Result<u64, Error> {
        Ok(self.parts.names.database.head()?.generation)
    }

    async fn namespaces(&self) -> Result<Vec<String>, Error> {
        let names = self.parts.names.clone();
        blocking(move || names.spaces()).await
    }

    async fn names(&self, namespace: &str) -> Result<(u64, Arc<Vec<Name>>), Error> {
        let head = self.parts.names.database.head()?;
        if let Some(names) = self.parts.names.current(namespace, head) {
            return Ok((head.generation, names));
        }
        let (names, namespace) = (self.parts.names.clone(), namespace.to_owned());
        blocking(move || {
            let (head, names) = names.load(&namespace)?;
            Ok((head.generation, names))
        })
        .await
    }

    async fn apply(&self, changes: Vec<Change>, generation: Option<u64>) -> Result<u64, Error> {
        self.parts.layout.check_writable("names")?;
        let names = self.parts.names.clone();
        // Only what frees something may use the reserve.
        let frees = changes
            .iter()
            .all(|change| matches!(change, Change::Remove { .. }));
        blocking(move || {
            let write = || {
                names.write(|transaction, head| {
                    if generation.is_some_and(|expected| expected != head.generation) {
                        return Err(Error::Conflict(format!(
                            "the store changed: it is at generation {}; read again",
                            head.generation
                        )));
                    }
                    let applied = apply::apply(transaction, &names.layout, &changes)?;
                    let generation = if applied.any {
                        database::advance(transaction, true)?
                    } else {
                        head.generation
                    };
                    Ok((generation, applied))
                })
            };
            let (generation, applied) = if frees {
                reserve::spend(&names.layout, write)?
            } else {
                write()?
            };
            if applied.images {
                names.projection.mark();
            }
            Ok(generation)
        })
        .await
    }
}
