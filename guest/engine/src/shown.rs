//! What a face makes of an entry of a listing.

use std::{cell::RefCell, rc::Rc};

/// What a face last made of an entry, kept with it: thousands of entries are made anew in a multiple of
/// the time it takes to find them.
#[derive(Default)]
pub struct Shown(RefCell<Option<(u32, Rc<[u8]>)>>);

impl Shown {
    /// Most bytes that are kept; usual entries have half of that.
    pub const MOST: usize = 2048;

    /// What was kept in this form, a number of the face's own.
    pub fn get(&self, form: u32) -> Option<Rc<[u8]>> {
        let kept = self.0.borrow();
        let (_, bytes) = kept.as_ref().filter(|(kept, _)| *kept == form)?;
        Some(Rc::clone(bytes))
    }

    /// Keeps what was made in this form instead of another, if it is not too long.
    pub fn keep(&self, form: u32, bytes: &[u8]) {
        if bytes.len() <= Self::MOST {
            self.0.replace(Some((form, bytes.into())));
        }
    }
}

/// A copy is made to be changed: nothing was made of it yet.
impl Clone for Shown {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_is_kept_and_no_copy_has_it() {
        let shown = Shown::default();
        assert_eq!(shown.get(1), None);
        shown.keep(1, b"one");
        assert_eq!(shown.get(1).as_deref(), Some(&b"one"[..]));
        assert_eq!(shown.get(2), None);
        assert_eq!(shown.clone().get(1), None);
        shown.keep(2, &[0; Shown::MOST + 1]);
        assert_eq!(shown.get(2), None);
        shown.keep(2, b"two");
        assert_eq!(
            (shown.get(1), shown.get(2).as_deref()),
            (None, Some(&b"two"[..]))
        );
    }
}
