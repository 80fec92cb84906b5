//! What names reach: the content that must stay.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::Digest;

use crate::{
    Engine, Result, Store, Target,
    catalog::{Companion, Foreign, Snapshot, Visit, Visited, Walk},
    pace::Pace,
};

/// What of the candidates may go, and what keeps nothing any more.
#[derive(Default)]
pub(crate) struct Marks {
    /// The candidates that no name reaches.
    pub(crate) unmarked: HashSet<Digest>,
    /// Companions whose subject is not reached.
    pub(crate) forsaken: Vec<Companion>,
    /// Something names point at cannot be read, and nobody knows what it refers to. So
    /// everything might be needed: then there is nothing above. Says what, for people.
    pub(crate) unknown: Option<String>,
}

/// What is being marked.
struct Marking<'a> {
    unmarked: HashSet<Digest>,
    /// Companions not reached yet, by subject.
    companions: HashMap<&'a Digest, Vec<&'a Companion>>,
    except: &'a HashSet<Digest>,
    walk: Walk,
    unknown: Option<String>,
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Takes from `candidates` what the names reach, except through the manifests in
    /// `except`.
    ///
    /// An index reaches its entries, a manifest its config and layers; not so its
    /// `subject`. A companion is reached by its subject, and by nothing else: other
    /// referrers need a name of their own. Bytes that are no document reach nothing; what
    /// is named but not here does no harm. A document that cannot be read reaches what it
    /// was known to; if that is not known, everything.
    ///
    /// # Errors
    /// As the store's reads.
    pub(crate) async fn mark(
        &self,
        snapshot: &Snapshot,
        except: &HashSet<Digest>,
        candidates: HashSet<Digest>,
    ) -> Result<Marks> {
        self.mark_with(snapshot, &[], except, candidates).await
    }

    /// As [`Engine::mark`], with more roots than names have.
    pub(crate) async fn mark_with(
        &self,
        snapshot: &Snapshot,
        more: &[&Target],
        except: &HashSet<Digest>,
        candidates: HashSet<Digest>,
    ) -> Result<Marks> {
        let mut companions: HashMap<&Digest, Vec<&Companion>> = HashMap::new();
        for companion in &snapshot.companions {
            let about = companions.entry(&companion.subject).or_default();
            about.push(companion);
        }
        let mut marking = Marking {
            unmarked: candidates,
            companions,
            except,
            walk: Walk::new(Some(snapshot.damage.clone()), &snapshot.roots),
            unknown: None,
        };
        for root in &snapshot.foreign {
            marking.walk.add_foreign(&root.target);
        }
        for root in more {
            marking.walk.add_root(root);
        }
        let foreign = snapshot.foreign.iter().map(|name| &name.target);
        let roots = snapshot.roots.iter().chain(foreign);
        for root in roots.chain(more.iter().copied()) {
            marking.reach(&root.digest);
        }
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
        if marking.unknown.is_some() {
            return Ok(Marks {
                unknown: marking.unknown,
                ..Marks::default()
            });
        }
        let forsaken = marking.companions.into_values().flatten().cloned();
        Ok(Marks {
            forsaken: forsaken.collect(),
            unmarked: marking.unmarked,
            unknown: None,
        })
    }
}

/// What came of a visit.
enum Reach {
    /// What it reaches is marked; in so many steps.
    Marked(usize),
    /// It cannot be told from the document.
    Unknown,
}

impl Marking<'_> {
    /// Marks a blob, and what is about it, and what is about that, and so on.
    fn reach(&mut self, digest: &Digest) {
        let mut reached = vec![digest.clone()];
        while let Some(digest) = reached.pop() {
            self.unmarked.remove(&digest);
            for companion in self.companions.remove(&digest).unwrap_or_default() {
                self.walk.add_root(&companion.target);
                reached.push(companion.target.digest.clone());
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
