//! All that was chosen: image after image, or whatever an index lists, so that a push can
//! send it whole. One document is held at a time, however many an index lists.

use strata_oci::{
    Descriptor, Digest, Document, Index,
    media_type::{self, Kind},
};

use super::{
    Pull,
    choice::{Chosen, Image},
    content::Arrival,
};
use crate::{
    Error, Host, Result, Silent,
    graph::{Ahead, MAX_INDEX_DEPTH},
};

/// Documents followed from one index. The largest list some sixty, attestations
/// included; each costs a request at least.
const MAX_DOCUMENTS: usize = 1000;

/// What is met on the way through an index.
#[allow(
    clippy::large_enum_variant,
    reason = "large on 64-bit targets only; one is alive at a time"
)]
enum Met {
    Document(Descriptor, Document),
    Blob(Descriptor),
}

impl<H: Host> Pull<'_, H> {
    /// Brings in what is not here. Afterwards the lease protects all of it.
    pub(super) async fn fetch_chosen(&self, chosen: &Chosen) -> Result<Arrival> {
        let mut was_all_here = true;
        match chosen {
            Chosen::Images(images) => {
                for image in images {
                    was_all_here &= self.fetch(image).await?.was_all_here;
                }
            }
            Chosen::Everything(index) => {
                let mut way = Way::of(entries(index, 1));
                while let Some(met) = self.next(&mut way).await? {
                    match met {
                        Met::Document(entry, Document::Manifest(_)) if entry.is_attestation() => {
                            self.fetch_attestations(&[entry]).await?;
                        }
                        Met::Document(entry, Document::Manifest(manifest)) => {
                            let image = Image::of(entry.digest, manifest);
                            was_all_here &= self.fetch(&image).await?.was_all_here;
                        }
                        Met::Document(_, Document::Index(_)) => {}
                        Met::Blob(entry) => self.fetch.blob(&entry, &Silent).await?,
                    }
                }
            }
        }
        Ok(Arrival { was_all_here })
    }

    /// The diff-id that a config promises for each layer.
    pub(super) async fn diff_ids_of(&self, chosen: &Chosen) -> Result<Vec<(Digest, Digest)>> {
        let mut promised = Vec::new();
        match chosen {
            Chosen::Images(images) => {
                for image in images {
                    promised.extend(self.diff_ids(image).await?);
                }
            }
            Chosen::Everything(index) => {
                let mut way = Way::of(entries(index, 1));
                while let Some(met) = self.next(&mut way).await? {
                    if let Met::Document(entry, Document::Manifest(manifest)) = met
                        && !entry.is_attestation()
                    {
                        let image = Image::of(entry.digest, manifest);
                        promised.extend(self.diff_ids(&image).await?);
                    }
                }
            }
        }
        Ok(promised)
    }

    /// The next step on the way; its document is stored.
    async fn next(&self, way: &mut Way) -> Result<Option<Met>> {
        let Some((entry, depth)) = way.next() else {
            return Ok(None);
        };
        if way.seen() > MAX_DOCUMENTS {
            return Err(Error::QuotaExceeded(format!(
                "the index lists more than {MAX_DOCUMENTS} manifests, which is the limit for all platforms at once; name those you want"
            )));
        }
        let kind = media_type::kind(&entry.media_type);
        if !matches!(kind, Kind::Manifest | Kind::Index | Kind::Schema1)
            && !entry.media_type.is_empty()
        {
            return Ok(Some(Met::Blob(entry)));
        }
        let document = self.fetch.child(&entry).await?;
        if let Document::Index(nested) = &document {
            if depth >= MAX_INDEX_DEPTH {
                return Err(Error::QuotaExceeded(format!(
                    "indexes are nested more than {MAX_INDEX_DEPTH} deep"
                )));
            }
            way.enter(entries(nested, depth + 1));
        }
        Ok(Some(Met::Document(entry, document)))
    }
}

/// What is still to be seen of an index, with the depth of each entry.
type Way = Ahead<usize>;

/// The entries of an index, at this depth.
fn entries(
    index: &Index,
    depth: usize,
) -> impl DoubleEndedIterator<Item = (Descriptor, usize)> + '_ {
    let entries = index.manifests.iter().cloned();
    entries.map(move |entry| (entry, depth))
}
