//! Imports into a store in memory, from bytes and from a web that answers by script.

mod bodies;
mod configs;
mod hostile;
mod names;
mod urls;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use futures::executor::block_on;
use http::HeaderName;
use strata_oci::{
    Digest, Document, ImageConfig, Manifest, Reference,
    archive::{END, padding},
    layer::{Entry, Kind, Metadata, header},
};
use strata_registry::testing::{Asked, VirtualClock, Web};

use super::{ImportOptions, ImportSource};
use crate::{
    Clock, Engine, Error, Event, Phase, Progress, Reach, Result, Settings, Store as _, Zone,
    catalog::fixture,
    memory::{Bytes, Memory},
};

/// An engine, and everything a test looks at.
struct Bench {
    engine: Engine<(Memory, Rc<Web<Error>>, Ticking)>,
    store: Memory,
    web: Rc<Web<Error>>,
    clock: Rc<VirtualClock>,
    events: Events,
}

impl Bench {
    /// An engine that is offline.
    fn new() -> Self {
        Self::online(|url| panic!("nothing may be asked, not even {url}"))
    }

    /// An engine whose network is `answer`.
    fn online(answer: impl Fn(&str) -> Reply + 'static) -> Self {
        let Engine { settings, .. } = fixture::engine();
        Self::with(settings, answer)
    }

    fn with(settings: Settings, answer: impl Fn(&str) -> Reply + 'static) -> Self {
        let store = Memory::default();
        let clock = Rc::<VirtualClock>::default();
        let web = Web::new(clock.clone(), move |asked: &Asked| {
            let mut names: Vec<&str> = asked.headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["accept-encoding", "user-agent"]);
            answer(&asked.uri.to_string())
        });
        let web = Rc::new(web);
        let ticking = Ticking {
            looked: Cell::default(),
            clock: clock.clone(),
        };
        Self {
            engine: Engine::new(store.clone(), web.clone(), ticking, settings),
            store,
            web,
            clock,
            events: Events::default(),
        }
    }

    /// Imports bytes under a name.
    fn import(&self, name: &str, bytes: &[u8]) -> Result<Digest> {
        self.import_with(bytes, &named(name))
    }

    fn import_with(&self, bytes: &[u8], options: &ImportOptions) -> Result<Digest> {
        let body = Bytes::of(bytes.to_vec());
        self.run(ImportSource::Body(body), options)
    }

    fn import_url(&self, url: &str) -> Result<Digest> {
        self.run(ImportSource::Url(url.to_owned()), &named("a"))
    }

    /// Afterwards no lease is left.
    fn run(&self, source: ImportSource<Bytes>, options: &ImportOptions) -> Result<Digest> {
        let result = self
            .clock
            .run(self.engine.import(source, options, &self.events));
        assert_eq!(self.store.leases(), 0);
        result
    }

    /// The manifest and the config of an image.
    fn image(&self, id: &Digest) -> (Manifest, ImageConfig) {
        let bytes = self.store.bytes(id).unwrap();
        let document = Document::parse("", &bytes).unwrap();
        let Document::Manifest(manifest) = document else {
            panic!("an index");
        };
        let config = self.store.bytes(&manifest.config.digest).unwrap();
        (manifest, ImageConfig::parse(&config).unwrap())
    }

    /// URLs asked for, after `public` if only that was allowed; forgets them.
    fn asked(&self) -> Vec<String> {
        let asked = self.web.log.take().into_iter();
        let asked = asked.map(|asked| match asked.reach {
            Reach::Any => asked.uri.to_string(),
            Reach::From(zone) => {
                assert_eq!(zone, Zone::Public);
                format!("public {}", asked.uri)
            }
        });
        asked.collect()
    }

    /// Neither names nor content.
    fn assert_empty(&self, case: &str) {
        let (_, names) = block_on(self.store.names("images")).unwrap();
        assert!(names.is_empty(), "{case}");
        assert_eq!(self.store.len(), 0, "{case}");
    }
}

/// Options for a name; an empty one is none.
fn named(name: &str) -> ImportOptions {
    ImportOptions {
        reference: Reference::parse(name).ok(),
        ..ImportOptions::default()
    }
}

/// An entry of a tar with its content.
fn entry(path: &str, kind: Kind, content: &[u8]) -> Vec<u8> {
    let entry = Entry {
        path: path.into(),
        kind,
        metadata: Metadata::default(),
    };
    let mut bytes = header(&entry);
    bytes.extend(content);
    bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    bytes
}

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    entry(path, Kind::File(content.len() as u64), content)
}

/// A tar of entries.
fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend_from_slice(&END);
    bytes
}

/// A small root file system.
fn root() -> Vec<u8> {
    tar(&[
        entry("bin", Kind::Directory, b""),
        file("bin/sh", b"a shell"),
        entry("bin/bash", Kind::HardLink(b"bin/sh".into()), b""),
        entry("sh", Kind::Symlink(b"/bin/sh".into()), b""),
        entry("dev/null", Kind::CharacterDevice(1, 3), b""),
        file("etc/large", &[7; 3000]),
    ])
}

/// An answer.
type Reply = strata_registry::testing::Reply<Error>;

/// All of a body, and its length.
fn ok(body: &[u8]) -> Reply {
    Reply::ok(body).header("content-length", &body.len().to_string())
}

fn redirect(location: &str) -> Reply {
    Reply::redirect(302, location).body("moved")
}

/// The host refuses to connect.
fn private() -> Reply {
    Reply::fails(Error::Denied("the address is private".to_owned()))
}

/// A clock of which each look takes a while.
struct Ticking {
    looked: Cell<Duration>,
    clock: Rc<VirtualClock>,
}

impl Clock for Ticking {
    fn now(&self) -> (i64, u32) {
        let now = self.looked.get() + Duration::from_millis(30);
        self.looked.set(now);
        (now.as_secs().try_into().unwrap(), now.subsec_nanos())
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn random(&self) -> u64 {
        0
    }
}

/// Records every event.
#[derive(Default)]
struct Events(RefCell<Vec<Event>>);

impl Progress for Events {
    fn report(&self, event: Event) {
        self.0.borrow_mut().push(event);
    }
}

impl Events {
    /// The events in short; forgets them.
    fn brief(&self) -> Vec<String> {
        let events = self.0.take().into_iter();
        let brief = events.map(|event| match event {
            Event::Content(content) => {
                let phase = match content.phase {
                    Phase::Downloading => "downloading",
                    Phase::Downloaded => "downloaded",
                    other => panic!("{other:?}"),
                };
                format!("{phase} {}/{}", content.current, content.total)
            }
            Event::Completed(completed) => format!(
                "completed {} {}",
                completed.reference.familiar(),
                completed.changed
            ),
            other => panic!("{other:?}"),
        });
        brief.collect()
    }
}
