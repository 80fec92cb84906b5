//! Where paths lead.

use super::{NodeId, Tree, arena::Tag};
use crate::layer::{MAX_LINKS, name};

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component is not there.
    #[error("no such file or directory")]
    NotFound,
    /// A component that others follow is not a directory.
    #[error("not a directory")]
    NotDirectory,
    /// More than [`MAX_LINKS`].
    #[error("too many levels of symbolic links")]
    TooManyLinks,
}

/// What may be in the last place of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Anything.
    Any,
    /// Anything, and links are followed.
    Followed,
    /// As `Followed`, or nothing.
    New,
}

impl Tree {
    /// The clean name `path` leads to, following symbolic links, which stay inside the root: an absolute one begins
    /// there, and `..` ends there. `path` may be absolute or not, and have `.` and `..`. A link in the last place is
    /// followed only if `follow_last`, or if a slash comes after it.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Vec<u8>, PathError> {
        let last = match follow_last {
            true => Last::Followed,
            false => Last::Any,
        };
        self.lead(path, last)
    }

    /// As [`Tree::resolve`] with the last link followed, but what is missing at the end is taken as it is written:
    /// where a link whose target is not there leads.
    ///
    /// # Errors
    /// [`PathError`], except that the last component may be missing.
    pub fn resolve_new(&self, path: &[u8]) -> Result<Vec<u8>, PathError> {
        self.lead(path, Last::New)
    }

    fn lead(&self, path: &[u8], last: Last) -> Result<Vec<u8>, PathError> {
        let mut reached = Vec::new();
        let mut at = NodeId::ROOT;
        let mut links = 0;
        // What is still to be gone: the rest of each path on the way, the innermost link's at the end. A path that ends
        // with a slash has an empty component there, so that what is before it is not in the last place.
        let mut rests = vec![path];
        while let Some(rest) = rests.pop() {
            let slash = rest.iter().position(|byte| *byte == b'/');
            let (part, rest) = match slash.and_then(|slash| rest.split_at_checked(slash)) {
                Some((part, rest)) => (part, rest.strip_prefix(b"/")),
                None => (rest, None),
            };
            rests.extend(rest);
            if !self.is_directory(at) {
                return Err(PathError::NotDirectory);
            }
            match part {
                b"" | b"." => continue,
                b".." => {
                    self.ascend(&mut at, &mut reached);
                    continue;
                }
                part => name::push(&mut reached, part),
            }
            let Some(node) = self.child(at.0, part) else {
                let only_slashes = rests
                    .iter()
                    .all(|rest| rest.iter().all(|byte| *byte == b'/'));
                return match last == Last::New && only_slashes {
                    true => Ok(reached),
                    false => Err(PathError::NotFound),
                };
            };
            at = NodeId(node);
            let value = &self.slots.get(node).value;
            if value.kind != Tag::Symlink {
                continue;
            }
            if last == Last::Any && rests.is_empty() {
                break;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(PathError::TooManyLinks);
            }
            let target = self.target(value);
            match target {
                b"" => return Err(PathError::NotFound),
                [b'/', ..] => {
                    at = NodeId::ROOT;
                    reached.clear();
                }
                _ => self.ascend(&mut at, &mut reached),
            }
            rests.push(target);
        }
        Ok(reached)
    }

    /// One directory up; the root is its own.
    fn ascend(&self, at: &mut NodeId, reached: &mut Vec<u8>) {
        let parent = name::parent(reached).map_or(0, <[u8]>::len);
        reached.truncate(parent);
        if *at != NodeId::ROOT {
            *at = NodeId(self.slots.get(at.0).parent);
        }
    }
}
