//! What documents refer to, written down while they could be read.
//!
//! A document that is damaged later still keeps what it refers to, and only that.

use strata_oci::Digest;

use crate::{Engine, Error, Host, Result, Store};

/// The kind of derived data: digests, one a line.
pub(crate) const CHILDREN: &str = "children-1";

impl<H: Host> Engine<H> {
    /// What a document was known to refer to, if it is known.
    ///
    /// # Errors
    /// [`Error::Cancelled`] only.
    pub(crate) async fn recall_children(&self, digest: &Digest) -> Result<Option<Vec<Digest>>> {
        let known = match self.store.recall(digest, CHILDREN).await {
            Ok(Some(known)) => known,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Ok(None) | Err(_) => return Ok(None),
        };
        let known = String::from_utf8(known).ok();
        let parse = |text: String| text.lines().map(Digest::parse).collect();
        let known: Option<std::result::Result<Vec<Digest>, _>> = known.map(parse);
        Ok(known.and_then(std::result::Result::ok))
    }
}
