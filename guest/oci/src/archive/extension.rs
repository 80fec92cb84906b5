//! Extension headers: what they say about the entry that follows.

use super::{head::Head, pax::Pax, sparse::Records};

/// What has been said about the next entry.
#[derive(Default)]
pub(super) struct Extensions {
    pax: Option<Pax>,
    /// GNU `L`.
    path: Option<Vec<u8>>,
    /// GNU `K`.
    link: Option<Vec<u8>>,
}

impl Extensions {
    /// Whether a header of this type is one.
    pub(super) fn has(flag: u8) -> bool {
        matches!(flag, b'x' | b'g' | b'L' | b'K')
    }

    /// Whether nothing has been said.
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.path.is_none() && self.link.is_none()
    }

    /// Adds the content of an extension header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add(&mut self, flag: u8, content: &[u8]) -> Result<(), &'static str> {
        let repeated = match flag {
            b'L' => self.path.replace(until_zero(content)).is_some(),
            b'K' => self.link.replace(until_zero(content)).is_some(),
            _ => {
                let pax = Pax::parse(content)?;
                match flag {
                    // Archives of images have none that matters, and to mistake one is to mistake them all.
                    b'g' if pax.matters() => return Err("it changes every entry that follows"),
                    b'g' => false,
                    _ => self.pax.replace(pax).is_some(),
                }
            }
        };
        match repeated {
            true => Err("an entry has two of its kind"),
            false => Ok(()),
        }
    }

    /// Overrules a header; what was said about holes. GNU's names go before pax's, as in Go.
    pub(super) fn apply(self, head: &mut Head) -> Records {
        let pax = self.pax.unwrap_or_default();
        if let Some(path) = self.path.or(pax.path) {
            head.path = path;
        }
        if let Some(link) = self.link.or(pax.link) {
            head.link = link;
        }
        head.size = pax.size.or(head.size);
        head.pax = pax.attributes;
        pax.sparse
    }
}

/// GNU long names end with a zero byte.
fn until_zero(bytes: &[u8]) -> Vec<u8> {
    let name = bytes.split(|byte| *byte == 0).next();
    name.unwrap_or_default().to_vec()
}
