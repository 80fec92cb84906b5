//! Everything an archive will have inside, known before its first byte.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{
    Digest,
    archive::{
        docker::{MANIFEST_FILE, REPOSITORIES_FILE},
        layout::{BLOBS, INDEX_FILE, LAYOUT_FILE, blob_path},
    },
};

use super::{
    choose::choose,
    documents::{Documents, layout},
    select::select,
};
use crate::{
    Completed, Engine, Error, Host, LeaseOf, Result, SaveOptions, Store, catalog::Snapshot,
};

/// What an archive has inside.
pub(super) struct Plan {
    /// By name, which is also their order.
    pub(super) entries: BTreeMap<String, Content>,
    /// What will be complete in the end: every name that is a reference.
    pub(super) completed: Vec<Completed>,
}

/// What an entry has inside.
pub(super) enum Content {
    /// Nothing.
    Directory,
    /// These bytes; its mode.
    Document(Vec<u8>, u32),
    /// A blob; its size.
    Blob(Digest, u64),
}

impl<H: Host> Engine<H> {
    /// Resolves and checks what is to be saved. The lease protects all of it.
    pub(super) async fn plan(&self, options: &SaveOptions, lease: &LeaseOf<H>) -> Result<Plan> {
        let targets = |names: &Rc<Snapshot>| {
            let chosen = choose(names, &options.names)?;
            let targets = chosen
                .iter()
                .map(|it| Ok(it.found.image()?.target.digest.clone()));
            targets.collect()
        };
        let plan = async |names| self.plan_of(names, options, lease).await;
        self.settled(targets, plan, |_| true).await
    }

    async fn plan_of(
        &self,
        snapshot: Rc<Snapshot>,
        options: &SaveOptions,
        lease: &LeaseOf<H>,
    ) -> Result<Plan> {
        let mut documents = Documents::default();
        let mut completed = Vec::new();
        let mut selections = HashMap::new();
        let mut blobs = Vec::new();
        for chosen in choose(&snapshot, &options.names)? {
            let position = chosen.found.position;
            let selection = match selections.get(&position) {
                Some(selection) => Rc::clone(selection),
                None => {
                    let view = self.view(chosen.found.image()?).await?;
                    let host = &self.settings.platform;
                    let selection = select(&chosen.found, &view, &options.platforms, host)?;
                    blobs.extend(selection.blobs.iter().cloned());
                    let selection = Rc::new(selection);
                    selections.insert(position, selection.clone());
                    selection
                }
            };
            let name = chosen.name.as_deref();
            documents.add(&selection.target, selection.row.as_ref(), name);
            let reference = name.and_then(|name| name.reference.clone());
            completed.extend(reference.map(|reference| Completed {
                reference,
                digest: selection.target.digest.clone(),
                size: selection.target.size,
                changed: false,
            }));
        }
        let subjects: HashSet<Digest> = blobs.iter().cloned().collect();
        let referrers = self.referrers(&snapshot).await?;
        let mut about = referrers.about(&subjects).concat();
        about.sort_by(|one, other| one.descriptor.digest.cmp(&other.descriptor.digest));
        for referrer in about {
            // What was lost of it since, nobody can save.
            if let Some(content) = self.whole(&referrer.descriptor).await? {
                blobs.extend(content);
                documents.add_referrer(referrer);
            }
        }
        let mut entries = self.blob_entries(blobs, lease).await?;
        let document = |bytes| Content::Document(bytes, 0o644);
        entries.insert(INDEX_FILE.to_owned(), document(documents.index()?));
        if let Some(bytes) = documents.manifest()? {
            entries.insert(MANIFEST_FILE.to_owned(), document(bytes));
        }
        if let Some(bytes) = documents.repositories()? {
            entries.insert(REPOSITORIES_FILE.to_owned(), document(bytes));
        }
        let layout = Content::Document(layout()?, 0o444);
        entries.insert(LAYOUT_FILE.to_owned(), layout);
        Ok(Plan { entries, completed })
    }

    /// Entries for blobs, each once, and for the directories they are in.
    async fn blob_entries(
        &self,
        mut blobs: Vec<Digest>,
        lease: &LeaseOf<H>,
    ) -> Result<BTreeMap<String, Content>> {
        blobs.sort();
        blobs.dedup();
        let sizes = self.store.stat_all(&blobs, Some(lease)).await?;
        let mut entries = BTreeMap::new();
        for (digest, size) in blobs.into_iter().zip(sizes) {
            // It was here when it was selected; the lease came too late.
            let size = size.ok_or_else(|| {
                Error::NotFound(format!(
                    "{digest} was removed from the store just now, pull its image again"
                ))
            })?;
            let algorithm = digest.algorithm().as_str();
            entries.insert(format!("{BLOBS}/"), Content::Directory);
            entries.insert(format!("{BLOBS}/{algorithm}/"), Content::Directory);
            entries.insert(blob_path(&digest), Content::Blob(digest, size));
        }
        Ok(entries)
    }
}
