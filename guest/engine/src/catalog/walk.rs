//! Visiting the documents that names reach, a few at a time.
//!
//! Whoever needs one fact of each document (marking, mostly) need not hold all of them. Memory is bounded by what
//! is here: what documents name and nobody has is asked for, and forgotten.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use futures::stream::{self, StreamExt as _};
use strata_oci::{
    Digest, Document,
    document::MAX_DOCUMENT_BYTES,
    media_type::{self, Kind},
};

use super::{
    content::{Content, Unparsable, lean},
    documents::{PARALLEL_READS, Readable},
    facts::{self, Facts, Origin},
    weight,
};
use crate::{Engine, Error, Host, Result, Store, Target};

/// Documents visited at once.
const STEP: usize = 256;
/// Bytes of documents read at once: one of the largest, or hundreds of usual ones.
const STEP_BYTES: u64 = 4 << 20;
/// Blobs whose sizes are asked for at once.
const STAT_AT_ONCE: usize = 4096;

/// Why blobs that are here cannot be had, by digest.
pub(crate) type Damage = HashMap<Digest, Rc<str>>;

/// What a store says is damaged, for people.
pub(super) fn damage_from(damaged: Vec<(Digest, String)>) -> Damage {
    let text = |(digest, why): (Digest, String)| {
        let text = format!("blob {digest} is damaged: {why}");
        (digest, text.into())
    };
    damaged.into_iter().map(text).collect()
}

/// A walk: what was visited, and what is to be.
pub(crate) struct Walk {
    seen: HashSet<Digest>,
    /// Not looked for yet.
    wanted: Vec<Wanted>,
    /// Here, with their sizes.
    found: Vec<(Wanted, u64)>,
    damage: Option<Rc<Damage>>,
    /// Whether facts are believed.
    believes: bool,
}

/// A blob to visit.
#[derive(Clone)]
struct Wanted {
    digest: Digest,
    readable: Readable,
    is_root: bool,
}

/// A blob that was visited.
pub(crate) struct Visited {
    /// Its digest.
    pub(crate) digest: Digest,
    /// Its bytes, if it is here.
    pub(crate) size: Option<u64>,
    /// What it is.
    pub(crate) content: Content,
}

impl Walk {
    /// A walk that starts at `roots`. What is damaged is visited as that, by what is known in `damage` and
    /// whatever comes to light; without `damage` it passes for absent.
    pub(crate) fn new<'a>(
        damage: Option<Rc<Damage>>,
        roots: impl IntoIterator<Item = &'a Target>,
    ) -> Self {
        let mut walk = Self {
            seen: HashSet::new(),
            wanted: Vec::new(),
            found: Vec::new(),
            damage,
            believes: false,
        };
        for root in roots {
            walk.add_root(root);
        }
        walk
    }

    /// The same, but what the store keeps of documents is believed as long as their files look as they did: for what
    /// is shown and for filters. Marking what must stay reads.
    pub(super) fn believing(mut self) -> Self {
        self.believes = true;
        self
    }

    /// What is damaged, as far as it came to light.
    pub(super) fn damage(&self) -> Rc<Damage> {
        self.damage.clone().unwrap_or_default()
    }

    /// Visits a root as well. Of roots it is told that they are absent, of nothing else.
    pub(crate) fn add_root(&mut self, target: &Target) {
        // What names point at is an image, whatever its type is called: another tool may have written it, or
        // a disk have changed it.
        let readable = match media_type::kind(&target.media_type) {
            Kind::Other => Readable::Perhaps,
            _ => Readable::announced(&target.media_type),
        };
        self.add(&target.digest, readable, true);
    }

    /// Visits the target of a name whose meaning is not known: whatever it mentions counts.
    pub(crate) fn add_foreign(&mut self, target: &Target) {
        let large = target.size > MAX_DOCUMENT_BYTES as u64;
        let readable = if large { Readable::No } else { Readable::Yes };
        self.add(&target.digest, readable, true);
    }

    /// Visits something as well that may be a document or may not.
    pub(crate) fn add_mentioned(&mut self, digest: &Digest) {
        self.add(digest, Readable::Perhaps, false);
    }

    fn add(&mut self, digest: &Digest, readable: Readable, is_root: bool) {
        if !self.seen.contains(digest) {
            self.wanted.push(Wanted {
                digest: digest.clone(),
                readable,
                is_root,
            });
        }
    }
}

impl<H: Host> Engine<H> {
    /// Visits some more: each blob once, so neither depth nor cycles matter. The entries of indexes come after them;
    /// configs and layers are not visited. `None` at the end.
    ///
    /// # Errors
    /// As the store's `stat_all`. What cannot be read is visited as that.
    pub(crate) async fn advance(&self, walk: &mut Walk) -> Result<Option<Vec<Visited>>> {
        let mut visited = self.look_for_wanted(walk).await?;
        if visited.is_empty() && walk.found.is_empty() {
            return Ok(None);
        }
        let mut bytes = 0;
        let mut unread = Vec::new();
        while let Some((next, size)) = walk.found.pop() {
            if next.readable == Readable::No {
                visited.push(Visited::new(next.digest, Some(size), Content::Other));
                continue;
            }
            let known = self.catalog.documents.borrow_mut().get(&next.digest);
            let known = known.filter(|(_, origin)| walk.believes || *origin == Origin::Bytes);
            if let Some((content, _)) = known {
                visited.push(Visited::read(next, size, content));
            } else if size > MAX_DOCUMENT_BYTES as u64 {
                let content = Content::Unparsable(Rc::new(Unparsable {
                    reason: format!(
                        "{}: manifest has {size} bytes, the limit is {MAX_DOCUMENT_BYTES}",
                        next.digest
                    ),
                    mentions: None,
                }));
                visited.push(Visited::read(next, size, content));
            } else if bytes > 0 && bytes + size > STEP_BYTES {
                walk.found.push((next, size));
                break;
            } else {
                bytes += size;
                unread.push((next, size));
            }
            if visited.len() + unread.len() >= STEP {
                break;
            }
        }
        if walk.believes {
            let blobs = unread.iter().map(|(next, _)| &next.digest);
            let kept = self.recall_facts(blobs, facts::DOCUMENTS, facts::document);
            let mut kept = kept.await?;
            unread.retain(|(next, size)| {
                let Some(document) = kept.remove(&next.digest) else {
                    return true;
                };
                let content = self.keep_document(&next.digest, document, Origin::Fact);
                visited.push(Visited::read(next.clone(), *size, content));
                false
            });
        }
        let reads = unread.into_iter().map(|(next, size)| async move {
            let content = self.read_document(&next.digest).await?;
            Ok::<_, Error>(Visited::read(next, size, content))
        });
        let mut reads = stream::iter(reads).buffer_unordered(PARALLEL_READS);
        let mut read = Facts::default();
        while let Some(next) = reads.next().await {
            let next = next?;
            let document = next.content.document();
            read.add(&next.digest, document.and_then(|it| facts::of_document(it)));
            visited.push(next);
        }
        self.remember_facts(read, facts::DOCUMENTS).await;
        for visited in &visited {
            if let Some(Document::Index(index)) = visited.content.document().map(Rc::as_ref) {
                for child in &index.manifests {
                    let readable = Readable::announced(&child.media_type);
                    walk.add(&child.digest, readable, false);
                }
            }
        }
        Ok(Some(visited))
    }

    /// Looks for what is wanted; what cannot be had is visited at once.
    async fn look_for_wanted(&self, walk: &mut Walk) -> Result<Vec<Visited>> {
        let mut visited = Vec::new();
        let wanted = std::mem::take(&mut walk.wanted);
        let digests: Vec<Digest> = wanted.iter().map(|it| it.digest.clone()).collect();
        let mut sizes = Vec::with_capacity(digests.len());
        for part in digests.chunks(STAT_AT_ONCE) {
            sizes.extend(self.sizes(part).await?);
        }
        if let Some(known) = &walk.damage {
            walk.damage = Some(self.damage_behind(&sizes, known).await?);
        }
        for (wanted, size) in wanted.into_iter().zip(sizes) {
            let digest = &wanted.digest;
            let reason = walk.damage.as_ref().and_then(|damage| damage.get(digest));
            match size {
                Some(_) if !walk.seen.insert(digest.clone()) => {}
                Some(size) => walk.found.push((wanted, size)),
                None if let Some(reason) = reason
                    && walk.seen.insert(digest.clone()) =>
                {
                    let content = Content::Damaged(Error::Damaged(reason.to_string()));
                    visited.push(Visited::new(wanted.digest, None, content));
                }
                None if walk.seen.contains(digest) => {}
                None if wanted.is_root => {
                    visited.push(Visited::new(wanted.digest, None, Content::Absent));
                }
                None => {}
            }
        }
        Ok(visited)
    }

    /// What is damaged, now that these sizes were asked for: looking for a blob may show that it cannot be
    /// read, and who takes it for absent loses what it refers to.
    pub(super) async fn damage_behind(
        &self,
        sizes: &[Option<u64>],
        known: &Rc<Damage>,
    ) -> Result<Rc<Damage>> {
        if sizes.iter().all(Option::is_some) {
            return Ok(known.clone());
        }
        let now = self.store.damaged().await?;
        if now.iter().all(|(digest, _)| known.contains_key(digest)) {
            return Ok(known.clone());
        }
        Ok(Rc::new(damage_from(now)))
    }

    /// Reads a document that is here, and keeps it.
    ///
    /// # Errors
    /// [`Error::Cancelled`] only.
    pub(super) async fn read_document(&self, digest: &Digest) -> Result<Content> {
        let bytes = match self.store.get(digest, MAX_DOCUMENT_BYTES as u64).await {
            Ok(bytes) => bytes,
            Err(Error::NotFound(_)) => return Ok(Content::Absent),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => return Ok(Content::Damaged(error)),
        };
        // Without an announced type the outcome depends on the bytes alone, so it
        // may be kept by digest.
        Ok(match Document::parse("", &bytes).map(lean) {
            Ok(document) => self.keep_document(digest, document, Origin::Bytes),
            Err(error) => {
                let unparsable = Unparsable::new(digest, &error, &bytes);
                let weight = unparsable.weight();
                let content = Content::Unparsable(Rc::new(unparsable));
                self.keep_content(digest, (content, Origin::Bytes), weight)
            }
        })
    }

    fn keep_document(&self, digest: &Digest, document: Document, origin: Origin) -> Content {
        let weight = weight::document(&document);
        let content = Content::Document(Rc::new(document));
        self.keep_content(digest, (content, origin), weight)
    }

    fn keep_content(&self, digest: &Digest, known: (Content, Origin), weight: usize) -> Content {
        let mut cache = self.catalog.documents.borrow_mut();
        cache.insert(digest.clone(), known.clone(), weight);
        known.0
    }
}

impl Visited {
    fn new(digest: Digest, size: Option<u64>, content: Content) -> Self {
        Self {
            digest,
            size,
            content,
        }
    }

    fn read(wanted: Wanted, size: u64, content: Content) -> Self {
        let content = match (content, wanted.readable) {
            // It was only tried.
            (Content::Unparsable(_), Readable::Perhaps) => Content::Other,
            // It went meanwhile.
            (Content::Absent, _) if !wanted.is_root => Content::Other,
            (content, _) => content,
        };
        Self::new(wanted.digest, Some(size), content)
    }
}
