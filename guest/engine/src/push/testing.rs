//! A machine without time, disk or network for the tests of pushing: pull's
//! virtual clock, the store in memory, and a registry that takes uploads.

use std::{cell::RefCell, rc::Rc};

use serde_json::json;
use strata_oci::{Digest, Platform, Reference, media_type};

pub(crate) use strata_registry::testing::{Asked, Registry};
use strata_registry::testing::{VirtualClock, Web};

use crate::{
    Completed, Engine, Error, Event, Phase, Progress, PushOptions, RegistryAuth, Result, Settings,
    Store as _, Target, memory::Memory,
};

/// An answer of its network.
pub(crate) type Reply = strata_registry::testing::Reply<Error>;

/// An engine on that machine, and everything a test looks at.
pub(crate) struct Bench {
    pub(crate) engine: Engine<(Memory, Rc<Web<Error>>, Rc<VirtualClock>)>,
    pub(crate) store: Memory,
    pub(crate) registry: Rc<RefCell<Registry>>,
    pub(crate) web: Rc<Web<Error>>,
    pub(crate) clock: Rc<VirtualClock>,
    pub(crate) events: Events,
}

impl Bench {
    /// A machine whose network is one honest registry.
    pub(crate) fn new() -> Self {
        Self::bent(|registry, asked| registry.answer(asked))
    }

    /// A machine whose network is `answer`, which may ask an honest registry.
    pub(crate) fn bent(mut answer: impl FnMut(&mut Registry, &Asked) -> Reply + 'static) -> Self {
        let clock = Rc::new(VirtualClock::default());
        let store = Memory::default();
        let registry = Rc::new(RefCell::new(Registry::default()));
        let honest = registry.clone();
        let web = Rc::new(Web::new(clock.clone(), move |asked: &Asked| {
            let writes = ["POST", "PUT", "PATCH"].contains(&asked.method.as_str());
            if writes && asked.host() == "r.example" {
                let length = asked.header("content-length").map(str::to_owned);
                let sent = Some(asked.body.len().to_string());
                assert_eq!(length, sent, "{}", asked.brief());
            }
            answer(&mut honest.borrow_mut(), asked)
        }));
        let settings = Settings {
            version: "0.0.0".to_owned(),
            platform: platform("linux/amd64"),
            mirrors: Vec::new(),
            insecure_registries: Vec::new(),
            parallel_layers: 4,
            allow_unsafe_redirects: false,
            verify_diff_ids_first: false,
        };
        Self {
            engine: Engine::new(store.clone(), web.clone(), clock.clone(), settings),
            store,
            registry,
            web,
            clock,
            events: Events::default(),
        }
    }

    /// Stores an image and names it.
    pub(crate) fn image(&self, name: &str, architecture: &str, layers: &[Vec<u8>]) -> Target {
        let target = self.unnamed(architecture, layers);
        self.store.name("images", name, &target, &[]);
        target
    }

    /// Stores an image.
    pub(crate) fn unnamed(&self, architecture: &str, layers: &[Vec<u8>]) -> Target {
        let listed = layers.iter().map(|layer| {
            let digest = self.store.insert(layer.clone());
            json!({ "mediaType": media_type::OCI_LAYER, "digest": digest, "size": layer.len() })
        });
        let listed: Vec<_> = listed.collect();
        let config = json!({ "architecture": architecture, "os": "linux" });
        let config = self.store.document(media_type::OCI_CONFIG, &config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": crate::catalog::fixture::pointer(&config),
            "layers": listed,
        });
        self.store.document(media_type::OCI_MANIFEST, &manifest)
    }

    /// Pushes to the end of time.
    pub(crate) fn push(&self, reference: &str) -> Result<Vec<Completed>> {
        self.push_with(&options(reference))
    }

    /// Pushes as `options` say. Afterwards no lease is left.
    pub(crate) fn push_with(&self, options: &PushOptions) -> Result<Vec<Completed>> {
        let result = self.clock.run(self.engine.push(options, &self.events));
        self.check_leases();
        result
    }

    /// Nothing is protected any more: a probe can be deleted.
    pub(crate) fn check_leases(&self) {
        let (_, names) = self.clock.run(self.store.names("images")).unwrap();
        let digests: Vec<Digest> = names
            .iter()
            .map(|name| name.target.digest.clone())
            .collect();
        for digest in digests {
            let Ok(bytes) = self.clock.run(self.store.get(&digest, u64::MAX)) else {
                continue;
            };
            let generation = self.store.now();
            let delete = self.store.delete(std::slice::from_ref(&digest), generation);
            let gone = self.clock.run(delete).unwrap();
            assert_eq!(gone.len(), 1, "a lease was left");
            self.store.insert(bytes);
        }
        self.store.calls();
    }

    /// What was asked so far, `METHOD path`, uploads without their number; forgets
    /// it.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.web.log.take().iter().map(Asked::brief).collect()
    }
}

/// Options for an anonymous push.
pub(crate) fn options(reference: &str) -> PushOptions {
    PushOptions {
        reference: Reference::parse(reference).unwrap(),
        all_tags: false,
        platform: None,
        auth: RegistryAuth::Anonymous,
        headers: Vec::new(),
    }
}

pub(crate) fn platform(text: &str) -> Platform {
    crate::catalog::fixture::platform(text)
}

/// Bytes that differ from those of another seed, and from place to place.
pub(crate) fn layer(seed: u8, length: usize) -> Vec<u8> {
    let unit: Vec<u8> = (0..=250).map(|at: u8| at.wrapping_mul(7) ^ seed).collect();
    let mut bytes = unit.repeat(length / unit.len() + 1);
    bytes.truncate(length);
    bytes
}

/// Records every event.
#[derive(Default)]
pub(crate) struct Events(pub(crate) RefCell<Vec<Event>>);

impl Progress for Events {
    fn report(&self, event: Event) {
        self.0.borrow_mut().push(event);
    }
}

impl Events {
    /// The events in short, without the ticks of running uploads; forgets them.
    pub(crate) fn brief(&self) -> Vec<String> {
        self.0.take().iter().filter_map(brief).collect()
    }

    /// Reasons of the retries.
    pub(crate) fn retries(&self) -> Vec<String> {
        let events = self.0.borrow();
        let retries = events.iter().filter_map(|event| match event {
            Event::Retry(retry) => Some(retry.reason.to_string()),
            _ => None,
        });
        retries.collect()
    }

    /// Bytes shown as uploaded.
    pub(crate) fn uploading(&self) -> Vec<u64> {
        let events = self.0.borrow();
        let ticks = events.iter().filter_map(|event| match event {
            Event::Blob(blob) if blob.phase == Phase::Uploading => Some(blob.current),
            _ => None,
        });
        ticks.collect()
    }
}

fn brief(event: &Event) -> Option<String> {
    Some(match event {
        Event::Resolved(resolved) => format!("resolved {}", resolved.reference.familiar()),
        Event::Blob(blob) if blob.phase == Phase::Uploading => return None,
        Event::Blob(blob) => format!("{:?} {}", blob.phase, blob.digest.short()),
        Event::Retry(retry) => format!("retry {} in {} ms", retry.attempt, retry.delay),
        Event::Warning(text) => format!("warning {text}"),
        // Kept as a warning looks, so that it stands in its place among the events.
        Event::Substituted(it) => {
            let (manifest, index) = (it.manifest.digest.short(), it.index.digest.short());
            format!("warning {manifest} for {index}")
        }
        Event::Content(content) => format!("content {:?}", content.phase),
        Event::Completed(completed) => format!(
            "completed {} {}",
            completed.reference.familiar(),
            completed.changed
        ),
    })
}
