//! Taking a tar in: each entry to its place, and into a layer.

mod checks;
mod directories;

use strata_oci::{
    Descriptor,
    archive::MAX_NAME_BYTES,
    layer::{Entry, Kind, List, Metadata, OPAQUE_WHITEOUT, Whiteout},
    media_type,
};

use crate::{
    Body, ContentProgress, Error, Event, Phase, Progress, Result, Store,
    container::model::CopyInOptions,
    rootfs::{Filled, PROGRESS_BYTES, Reader, Root, Writer, join, refused, split, whiteout},
};

/// Names that one tar may change. All of them are in memory until it is known to be whole, some hundred
/// bytes each and their names.
const MAX_CHANGES: usize = 200_000;

/// What became of a tar.
pub(super) struct Taken {
    /// The layer, stored.
    pub(super) layer: Descriptor,
    /// What it lists.
    pub(super) list: List,
    /// The file system with it on top, though not yet listed among its layers; `None` if
    /// it must be applied to be known.
    pub(super) root: Option<Root>,
}

/// Takes a tar in.
pub(super) struct Intake<S: Store> {
    /// As it is with what came so far.
    root: Root,
    /// The number of the layer being written.
    number: u32,
    /// Where the tar goes: a clean name.
    directory: Vec<u8>,
    writer: Writer<S>,
    /// The parent of the last entry, as written, and the directory it is.
    last: Option<(Vec<u8>, Vec<u8>)>,
    /// Holes that become zeros.
    filled: Filled,
}

impl<S: Store> Intake<S> {
    /// An intake of nothing yet into a directory of `root`.
    ///
    /// # Errors
    /// As the store's `stage`.
    pub(super) async fn new(
        store: &S,
        root: &Root,
        directory: Vec<u8>,
        lease: &S::Lease,
    ) -> Result<Self> {
        Ok(Self {
            number: root.next_layer()?,
            root: root.clone(),
            directory,
            writer: Writer::new(store, lease).await?,
            last: None,
            filled: Filled::default(),
        })
    }

    /// Reads the tar to its end; then all of it is durable. `None` if it changes nothing.
    ///
    /// # Errors
    /// See [`crate::Engine::copy_in`].
    pub(super) async fn run<B: Body<Error = Error>>(
        mut self,
        mut reader: Reader<B>,
        options: &CopyInOptions,
        owner: Option<(u64, u64)>,
        progress: &dyn Progress,
    ) -> Result<Option<Taken>> {
        let report = |phase, current| {
            progress.report(Event::Content(ContentProgress {
                phase,
                current,
                total: 0,
            }));
        };
        let mut reported = 0;
        while let Some(mut entry) = reader.next().await? {
            if let Some((uid, gid)) = owner {
                entry.metadata.uid = uid;
                entry.metadata.gid = gid;
            }
            // Go expands them as well.
            if let Kind::Sparse(sparse) = &entry.kind {
                self.filled.add(sparse)?;
                entry.kind = Kind::File(sparse.size);
            }
            let size = match entry.kind {
                Kind::File(size) => size,
                _ => 0,
            };
            // A tar of a directory begins with that; its own metadata stays.
            if entry.path.is_empty() {
                continue;
            }
            if !self.entry(entry, options).await? {
                continue;
            }
            while let Some(piece) = reader.content().await? {
                self.writer.write(piece).await?;
                if reader.offset() - reported >= PROGRESS_BYTES {
                    reported = reader.offset();
                    report(Phase::Downloading, reported);
                }
            }
            self.writer.pad(size).await?;
        }
        report(Phase::Downloaded, reader.offset());
        if self.writer.entries() == 0 {
            return Ok(None);
        }
        let (layer, list) = self.writer.finish(media_type::OCI_LAYER).await?;
        // Read as a layer, a whiteout removes nothing of the same tar, and what that linked
        // to before is not there.
        let is_sure = !list.has_whiteouts();
        Ok(Some(Taken {
            layer,
            list,
            root: is_sure.then_some(self.root),
        }))
    }

    /// Takes one entry to its place; whether its content goes into the layer.
    async fn entry(&mut self, mut entry: Entry, options: &CopyInOptions) -> Result<bool> {
        let (parent, name) = split(&entry.path);
        let (parent, name) = (parent.to_vec(), name.to_vec());
        let removal = entry.whiteout().map(|whiteout| match whiteout {
            Whiteout::Name(name) => Some(name.to_vec()),
            Whiteout::Opaque => None,
        });
        if let Some(removal) = removal {
            self.remove(&parent, removal, &entry.metadata).await?;
            return Ok(false);
        }
        let parent = self.parent(&parent, &entry.metadata).await?;
        let path = join(&parent, &name);
        self.check_kinds(&path, &entry.kind, options)?;
        if let Kind::HardLink(target) = &entry.kind {
            entry.kind = Kind::HardLink(self.link_target(target, &path)?);
        }
        entry.path = path;
        self.repeat(&parent).await?;
        self.put(entry).await?;
        Ok(true)
    }

    /// Removes a name from a directory, or all that is in it.
    async fn remove(
        &mut self,
        parent: &[u8],
        name: Option<Vec<u8>>,
        like: &Metadata,
    ) -> Result<()> {
        let parent = self.parent(parent, like).await?;
        let path = match &name {
            Some(name) => join(&parent, name),
            None => parent.clone(),
        };
        let is_something = match &name {
            // Other names of aufs remove nothing.
            Some(name) if name.is_empty() => false,
            Some(_) => self.root.tree.find(&path).is_some(),
            None => !self.root.tree.is_empty(&path),
        };
        if !is_something {
            return Ok(());
        }
        self.repeat(&parent).await?;
        let entry = match &name {
            Some(name) => whiteout(&parent, name),
            None => Entry {
                path: join(&parent, OPAQUE_WHITEOUT),
                kind: Kind::File(0),
                metadata: Metadata::default(),
            },
        };
        self.put(entry).await
    }

    /// Adds an entry, whose place is known, to the layer and to the file system.
    async fn put(&mut self, entry: Entry) -> Result<()> {
        let target = match &entry.kind {
            Kind::HardLink(target) | Kind::Symlink(target) => target.len(),
            _ => 0,
        };
        let longest = entry.path.len().max(target);
        if longest > MAX_NAME_BYTES {
            return Err(Error::QuotaExceeded(format!(
                "an archive entry would have a name of {longest} bytes, the limit is {MAX_NAME_BYTES}"
            )));
        }
        if self.writer.entries() >= MAX_CHANGES {
            return Err(Error::QuotaExceeded(format!(
                "the archive has more than {MAX_CHANGES} entries, copy it in parts"
            )));
        }
        // Only what was there, and links, lead elsewhere than before.
        let is_link = matches!(entry.kind, Kind::Symlink(_) | Kind::HardLink(_));
        if is_link || entry.whiteout().is_some() || self.root.tree.find(&entry.path).is_some() {
            self.last = None;
        }
        let offset = self.writer.entry(&entry).await?;
        if !self.root.tree.hide(&entry) {
            let put = self.root.tree.put(self.number, &entry, offset);
            put.map_err(refused)?;
        }
        Ok(())
    }
}
