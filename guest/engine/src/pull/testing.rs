//! A machine without time, disk or network for the tests of pulling: a virtual
//! clock, a store in memory, a web that answers by script.

use std::{cell::RefCell, rc::Rc};

use strata_oci::{Digest, Platform, Reference};

pub(crate) use strata_registry::testing::{Asked, Made, Origin, index, layer};
use strata_registry::testing::{VirtualClock, Web};

use crate::{
    Completed, Engine, Error, Event, Phase, Progress, PullOptions, RegistryAuth, Result, Settings,
    memory::Memory,
};

/// An answer of its network.
pub(crate) type Reply = strata_registry::testing::Reply<Error>;

type Network = Rc<Web<Error>>;

/// An engine on that machine, and everything a test looks at.
pub(crate) struct Bench {
    pub(crate) engine: Engine<(Memory, Network, Rc<VirtualClock>)>,
    pub(crate) store: Memory,
    pub(crate) web: Network,
    pub(crate) clock: Rc<VirtualClock>,
    pub(crate) events: Events,
}

impl Bench {
    /// A machine whose network is `answer`.
    pub(crate) fn new(answer: impl FnMut(&Asked) -> Reply + 'static) -> Self {
        let clock = Rc::new(VirtualClock::default());
        let store = Memory::default();
        let web = Rc::new(Web::new(clock.clone(), answer));
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
            web,
            clock,
            events: Events::default(),
        }
    }

    /// A machine whose network is one honest registry.
    pub(crate) fn with(origin: Origin) -> Self {
        Self::new(move |asked| origin.answer(asked))
    }

    /// Pulls to the end of time.
    pub(crate) fn pull(&self, reference: &str) -> Result<Vec<Completed>> {
        self.pull_with(&options(reference))
    }

    /// Pulls as `options` say.
    pub(crate) fn pull_with(&self, options: &PullOptions) -> Result<Vec<Completed>> {
        self.clock.run(self.engine.pull(options, &self.events))
    }

    /// What was asked so far, `METHOD host/path?query`; forgets it.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.web.log.take();
        asked.iter().map(Asked::line).collect()
    }
}

/// Options for an anonymous pull.
pub(crate) fn options(reference: &str) -> PullOptions {
    PullOptions {
        reference: Reference::parse(reference).unwrap(),
        all_tags: false,
        platforms: Vec::new(),
        all_platforms: false,
        auth: RegistryAuth::Anonymous,
        headers: Vec::new(),
    }
}

pub(crate) fn platform(text: &str) -> Platform {
    let default = Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        ..Platform::default()
    };
    Platform::parse(text, &default).unwrap()
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
    /// The events in short, without the ticks of running downloads; forgets them.
    pub(crate) fn brief(&self) -> Vec<String> {
        let events = self.0.take();
        events.iter().filter_map(brief).collect()
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

    /// Bytes shown as downloaded of a blob.
    pub(crate) fn downloading(&self, digest: &Digest) -> Vec<u64> {
        let events = self.0.borrow();
        let ticks = events.iter().filter_map(|event| match event {
            Event::Blob(blob) if blob.digest == *digest && blob.phase == Phase::Downloading => {
                Some(blob.current)
            }
            _ => None,
        });
        ticks.collect()
    }
}

fn brief(event: &Event) -> Option<String> {
    Some(match event {
        Event::Resolved(resolved) => format!("resolved {}", resolved.reference.familiar()),
        Event::Blob(blob) if blob.phase == Phase::Downloading => return None,
        Event::Blob(blob) => format!("{:?} {}", blob.phase, blob.digest.short()),
        Event::Content(content) => format!("{:?} {}", content.phase, content.current),
        Event::Substituted(_) => "substituted".to_owned(),
        Event::Retry(retry) => format!("retry {} in {} ms", retry.attempt, retry.delay),
        Event::Warning(text) => format!("warning {text}"),
        Event::Completed(completed) => format!(
            "completed {} {}",
            completed.reference.familiar(),
            completed.changed
        ),
    })
}
