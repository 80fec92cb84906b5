//! Reads beside changes of names.
//!
//! A read holds nothing back: a name may move while its image is read, and a prune take what it
//! pointed at. What is missing then is no news of the image; the image is read as it is by then.

use std::rc::Rc;

use strata_oci::Digest;

use super::Snapshot;
use crate::{Engine, Error, Host, Result};

/// How often something is read that others change faster than that.
const MAX_TRIES: usize = 100;

impl<H: Host> Engine<H> {
    /// What `read` makes of the names. If it fails because something is not there, or gives what
    /// `is_whole` does not take, and what `find` finds is no longer the same, it reads again.
    ///
    /// # Errors
    /// As `read`.
    pub(crate) async fn settled<R>(
        &self,
        find: impl Fn(&Rc<Snapshot>) -> Result<Vec<Digest>>,
        mut read: impl AsyncFnMut(Rc<Snapshot>) -> Result<R>,
        is_whole: impl Fn(&R) -> bool,
    ) -> Result<R> {
        let mut tries = MAX_TRIES;
        loop {
            let then = self.snapshot().await?;
            let done = read(then.clone()).await;
            let is_certain = match &done {
                Ok(read) => is_whole(read),
                Err(Error::NotFound(_) | Error::Damaged(_)) => false,
                Err(_) => true,
            };
            tries = tries.saturating_sub(1);
            if is_certain || tries == 0 {
                return done;
            }
            let now = self.snapshot().await?;
            if Rc::ptr_eq(&then, &now) || find(&then).ok() == find(&now).ok() {
                return done;
            }
        }
    }
}
