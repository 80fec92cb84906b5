//! What names reach: the content that must stay.
//!
//! Names that come while garbage is being removed are added to what is known: see [`Marking`].

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::Digest;

use crate::{
    Engine, Host, Result, Target,
    catalog::{Foreign, Image, ReferrerName, Snapshot, Visit, Visited, Walk},
    pace::Pace,
};

/// What names reach, as far as it was looked at: those of one snapshot, then those that are new in a later one, and
/// so on. What was reached once stays so.
pub(crate) struct Marking<'a> {
    /// The candidates that no name reaches.
    pub(crate) unmarked: HashSet<Digest>,
    /// Names of referrers whose subject is not reached, by that.
    waiting: HashMap<Digest, Vec<ReferrerName>>,
    /// Manifests through which nothing is reached.
    except: &'a HashSet<Digest>,
    /// What is to be looked at of the names of `seen`.
    walk: Walk,
    /// The names that were looked at last.
    seen: Option<Rc<Snapshot>>,
    /// What the names point at that were looked at.
    roots: HashSet<Digest>,
    /// The same of name spaces that mean nothing here.
    foreign: HashSet<Digest>,
    unknown: Option<String>,
}

impl<H: Host> Engine<H> {
    /// Takes from the candidates what the names reach, except through some manifests. Of
    /// a later snapshot only names are looked at that the last one did not have.
    ///
    /// An index reaches its entries, a manifest its config and layers; not so its
    /// `subject`. What has a name as a referrer is reached by its subject, and by nothing else: other
    /// referrers need a name of their own. Bytes that are no document reach nothing; what
    /// is named but not here does no harm. A document that cannot be read reaches what it
    /// was known to; if that is not known, everything.
    ///
    /// # Errors
    /// As the store's reads.
    pub(crate) async fn mark(
        &self,
        marking: &mut Marking<'_>,
        snapshot: &Rc<Snapshot>,
    ) -> Result<()> {
        self.mark_with(marking, snapshot, &[]).await
    }

    /// As [`Engine::mark`], with more roots than names have.
    pub(crate) async fn mark_with(
        &self,
        marking: &mut Marking<'_>,
        snapshot: &Rc<Snapshot>,
        more: &[&Target],
    ) -> Result<()> {
        marking.look_at(snapshot, more);
        let mut pace = Pace::default();
        while let Some(visited) = self.advance(&mut marking.walk).await? {
            for it in &visited {
                let known = match marking.visit(it) {
                    Reach::Marked(steps) => {
                        pace.steps(steps).await;
                        continue;
                    }
                    Reach::Unknown => self.recall_children(&it.digest).await?,
                };
                match known {
                    Some(children) => marking.mentioned(&children),
                    None => marking.give_up(it, &snapshot.foreign),
                }
            }
        }
        Ok(())
    }
}

/// What came of a visit.
enum Reach {
    /// What it reaches is marked; in so many steps.
    Marked(usize),
    /// It cannot be told from the document.
    Unknown,
}

impl<'a> Marking<'a> {
    /// Nothing is reached yet.
    pub(crate) fn new(except: &'a HashSet<Digest>, candidates: HashSet<Digest>) -> Self {
        Self {
            unmarked: candidates,
            waiting: HashMap::new(),
            except,
            walk: Walk::new(None, []),
            seen: None,
            roots: HashSet::new(),
            foreign: HashSet::new(),
            unknown: None,
        }
    }

    /// Why everything might be needed, for people: something that names point at cannot
    /// be read, and nobody knows what it refers to.
    pub(crate) fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Names of referrers whose subject is not reached.
    pub(crate) fn forsaken(&self) -> Vec<ReferrerName> {
        self.waiting.values().flatten().cloned().collect()
    }

    /// Begins to look at what is new among these names, and at `more`.
    fn look_at(&mut self, snapshot: &Rc<Snapshot>, more: &[&Target]) {
        // From the beginning: what a name reaches may not have been here when another was looked at.
        self.walk = Walk::new(Some(snapshot.damage.clone()), []);
        let before = self.seen.replace(snapshot.clone());
        let late = self.look_at_referrers(snapshot, before.as_deref());
        // A name that was set again may have got content with it, another platform for example.
        let is_known = |before: &Snapshot, image: &Image| {
            let mut names = image.names.iter();
            names.all(|name| before.has(name))
        };
        let images = snapshot.images.iter().filter(|image| {
            let before = before.as_deref();
            !before.is_some_and(|before| is_known(before, image))
        });
        let again: HashSet<&Digest> = images.map(|image| &image.target.digest).collect();
        let mut new = Vec::new();
        for root in &snapshot.roots {
            if self.roots.insert(root.digest.clone()) || again.contains(&root.digest) {
                self.walk.add_root(root);
                new.push(root);
            }
        }
        for root in snapshot.foreign.iter().map(|name| &name.target) {
            if self.foreign.insert(root.digest.clone()) {
                self.walk.add_foreign(root);
                new.push(root);
            }
        }
        for root in late.into_iter().chain(more.iter().copied()) {
            self.walk.add_root(root);
            new.push(root);
        }
        for root in new {
            self.reach(&root.digest);
        }
    }

    /// Takes up the referrers. Of those that came since `before` nobody remembers whether
    /// their subject is reached, so they are kept: their targets.
    fn look_at_referrers<'s>(
        &mut self,
        snapshot: &'s Snapshot,
        before: Option<&Snapshot>,
    ) -> Vec<&'s Target> {
        let mut late = Vec::new();
        let Some(before) = before else {
            for referrer in &snapshot.referrer_names {
                let about = self.waiting.entry(referrer.subject.clone());
                about.or_default().push(referrer.clone());
            }
            return late;
        };
        let known: HashSet<&ReferrerName> = before.referrer_names.iter().collect();
        let new = snapshot.referrer_names.iter();
        late.extend(new.filter(|it| !known.contains(it)).map(|it| &it.target));
        let here: HashSet<&ReferrerName> = snapshot.referrer_names.iter().collect();
        for referrers in self.waiting.values_mut() {
            referrers.retain(|referrer| here.contains(referrer));
        }
        late
    }

    /// Marks a blob, and what is about it, and what is about that, and so on.
    fn reach(&mut self, digest: &Digest) {
        let mut reached = vec![digest.clone()];
        while let Some(digest) = reached.pop() {
            self.unmarked.remove(&digest);
            for referrer in self.waiting.remove(&digest).unwrap_or_default() {
                self.walk.add_root(&referrer.target);
                reached.push(referrer.target.digest.clone());
            }
        }
    }

    fn visit(&mut self, visited: &Visited) -> Reach {
        match &visited.content {
            Visit::Document(document) if !self.except.contains(&visited.digest) => {
                let document = Rc::clone(document);
                let children = document.children();
                for child in &children {
                    if !self.except.contains(&child.digest) {
                        self.reach(&child.digest);
                    }
                }
                Reach::Marked(1 + children.len())
            }
            Visit::Document(_) | Visit::Other => Reach::Marked(1),
            Visit::Unparsable(unparsable) => match &unparsable.mentions {
                Some(mentions) => {
                    self.mentioned(mentions);
                    Reach::Marked(1 + mentions.len())
                }
                None => Reach::Unknown,
            },
            Visit::Damaged(_) | Visit::Absent => Reach::Unknown,
        }
    }

    /// Marks what may be documents too.
    fn mentioned(&mut self, digests: &[Digest]) {
        for digest in digests {
            self.reach(digest);
            self.walk.add_mentioned(digest);
        }
    }

    fn give_up(&mut self, visited: &Visited, foreign: &[Foreign]) {
        self.unknown.get_or_insert_with(|| {
            let reason = visited.content.damage(&visited.digest).unwrap_or_default();
            let mut foreign = foreign.iter();
            match foreign.find(|name| name.target.digest == visited.digest) {
                Some(name) => name.keeps_all(&reason),
                None => format!(
                    "{reason}, so whatever is here may belong to it; pull or load it again, remove it, or run `strata check --repair`",
                ),
            }
        });
    }
}
