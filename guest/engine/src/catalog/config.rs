//! Image configs: whole for whoever asks for one, their essentials for listings.

use std::{collections::HashMap, rc::Rc};

use strata_oci::{Digest, ImageConfig, Labels, Platform, config::MAX_CONFIG_BYTES, timestamp};

use super::{
    content::damage,
    facts::{self, Facts},
    weight,
};
use crate::{Engine, Error, Host, Result, Store};

/// Bytes of a config that is kept whole when its essentials are read: whoever lists inspects next.
const AT_HAND: usize = 64 << 10;
/// What the labels of a config may take to be kept with its essentials. Usual ones take a few hundred bytes; heavier
/// ones are read again where they are needed, one image at a time.
const LABELS_AT_HAND: usize = 16 << 10;
/// What the labels of one call's essentials may take together. Those beyond are read again like heavy ones.
const LABELS_AT_ONCE: usize = 16 << 20;

/// A config as stored and as read.
pub(crate) struct Config {
    /// As stored.
    pub(crate) bytes: Rc<[u8]>,
    /// As read.
    pub(crate) image: Rc<ImageConfig>,
}

/// What listings and filters need of a config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Essentials {
    /// The platform it states.
    pub(crate) platform: Platform,
    /// When the image was made: Unix seconds and nanoseconds.
    pub(crate) created: Option<(i64, u32)>,
    /// Its labels, unless they are heavy: see [`Engine::config_labels`].
    pub(crate) labels: Option<Rc<Labels>>,
}

/// The essentials of a config, or why it cannot be read.
pub(crate) type Known = std::result::Result<Rc<Essentials>, Rc<str>>;

impl Essentials {
    fn of(config: &ImageConfig) -> Self {
        let created = config.created.as_deref();
        let labels = labels(config);
        Self {
            platform: config.platform(),
            created: created.and_then(timestamp::parse_rfc3339),
            labels: (labels.weight() <= LABELS_AT_HAND).then(|| Rc::new(labels)),
        }
    }

    /// What they take in memory.
    pub(super) fn weight(&self) -> usize {
        let labels = self.labels.as_ref().map_or(0, |labels| labels.weight());
        size_of::<Self>() + 128 + weight::platform(&self.platform) + labels
    }
}

fn labels(config: &ImageConfig) -> Labels {
    Labels::new(config.labels())
}

impl<H: Host> Engine<H> {
    /// The essentials of these configs, which are here and have these sizes.
    ///
    /// # Errors
    /// [`Error::Cancelled`] only.
    pub(super) async fn essentials(
        &self,
        configs: Vec<(Digest, u64)>,
    ) -> Result<HashMap<Digest, Known>> {
        let mut essentials = HashMap::with_capacity(configs.len());
        let mut unread = Vec::new();
        let mut labels = 0;
        for (digest, size) in configs {
            let known = self.catalog.essentials.borrow_mut().get(&digest);
            match known {
                Some(known) => drop(essentials.insert(digest, few(known, &mut labels))),
                None => unread.push((digest, size)),
            }
        }
        let blobs = unread.iter().map(|(digest, _)| digest);
        let kept = self.recall_facts(blobs, facts::ESSENTIALS, facts::essentials);
        let mut kept = kept.await?;
        unread.retain(|(digest, _)| {
            let Some(known) = kept.remove(digest) else {
                return true;
            };
            let known = Ok(Rc::new(known));
            self.keep_essentials(digest, &known);
            essentials.insert(digest.clone(), few(known, &mut labels));
            false
        });
        let mut read = Facts::default();
        self.read_each(unread, MAX_CONFIG_BYTES, |digest, bytes| {
            let known: Known = match bytes {
                // Other bytes may come to be here: not kept.
                Err(error) => {
                    essentials.insert(digest.clone(), Err(damage(&digest, &error).into()));
                    return;
                }
                Ok(bytes) => match ImageConfig::parse(&bytes) {
                    Ok(image) => {
                        let essentials = Essentials::of(&image);
                        if bytes.len() <= AT_HAND {
                            self.keep_config(&digest, bytes, image);
                        }
                        read.add(&digest, facts::of_essentials(&essentials));
                        Ok(Rc::new(essentials))
                    }
                    Err(error) => Err(Error::config(&digest, &error).to_string().into()),
                },
            };
            self.keep_essentials(&digest, &known);
            essentials.insert(digest, few(known, &mut labels));
        })
        .await?;
        self.remember_facts(read, facts::ESSENTIALS).await;
        Ok(essentials)
    }

    fn keep_essentials(&self, digest: &Digest, known: &Known) {
        let weight = match known {
            Ok(essentials) => essentials.weight(),
            Err(reason) => reason.len(),
        };
        let mut cache = self.catalog.essentials.borrow_mut();
        cache.insert(digest.clone(), known.clone(), weight);
    }

    /// The labels of a config, however heavy they are. None if it cannot be read.
    ///
    /// # Errors
    /// [`Error::Cancelled`] only.
    pub(crate) async fn config_labels(&self, digest: &Digest) -> Result<Rc<Labels>> {
        let known = self.catalog.configs.borrow_mut().get(digest);
        if let Some(known) = known {
            return Ok(Rc::new(labels(&known.image)));
        }
        match self.store.get(digest, MAX_CONFIG_BYTES as u64).await {
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(_) => Ok(Rc::default()),
            Ok(bytes) => {
                let image = ImageConfig::parse(&bytes).ok();
                Ok(Rc::new(image.as_ref().map(labels).unwrap_or_default()))
            }
        }
    }

    /// A config.
    ///
    /// # Errors
    /// As the store's `get`; [`Error::ManifestInvalid`] if it is none, [`Error::QuotaExceeded`]
    /// if it is more than is read.
    pub(super) async fn config(&self, digest: &Digest) -> Result<Rc<Config>> {
        if let Some(config) = self.catalog.configs.borrow_mut().get(digest) {
            return Ok(config);
        }
        let bytes = self.store.get(digest, MAX_CONFIG_BYTES as u64).await?;
        let image = ImageConfig::parse(&bytes).map_err(|error| Error::config(digest, &error))?;
        Ok(self.keep_config(digest, bytes, image))
    }

    fn keep_config(&self, digest: &Digest, bytes: Vec<u8>, image: ImageConfig) -> Rc<Config> {
        let weight = weight::config(&image, bytes.len());
        let config = Rc::new(Config {
            bytes: bytes.into(),
            image: Rc::new(image),
        });
        let mut cache = self.catalog.configs.borrow_mut();
        cache.insert(digest.clone(), config.clone(), weight);
        config
    }
}

/// The same, without labels once those of others take enough.
fn few(known: Known, taken: &mut usize) -> Known {
    let essentials = known?;
    let weight = essentials.labels.as_ref().map_or(0, |it| it.weight());
    if *taken + weight > LABELS_AT_ONCE {
        return Ok(Rc::new(Essentials {
            labels: None,
            ..(*essentials).clone()
        }));
    }
    *taken += weight;
    Ok(essentials)
}
