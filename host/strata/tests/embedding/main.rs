//! The component in this process, as an embedder drives it: typed calls against a registry that commits
//! faults.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod archives;
mod containers;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use strata::{Capabilities, Engine, Error, types};
use strata_tests::{
    fault::{Fault, FaultRegistry, Gate, Phase, Rule},
    image::{Schema, small},
    layer::Layer,
    store,
};

async fn engine(store: &Path) -> Engine {
    let capabilities = Capabilities {
        store: store.to_path_buf(),
        ..Capabilities::default()
    };
    Engine::new(None, capabilities).await.unwrap()
}

fn options(reference: &str) -> types::PullOptions {
    types::PullOptions {
        reference: reference.to_owned(),
        all_tags: false,
        platforms: Vec::new(),
        all_platforms: false,
        auth: types::RegistryAuth::Anonymous,
    }
}

fn no_filters() -> types::Filters {
    types::Filters {
        references: Vec::new(),
        labels: Vec::new(),
        without_labels: Vec::new(),
        dangling: None,
        before: Vec::new(),
        since: Vec::new(),
        until: None,
    }
}

/// The reference of an image that was pulled.
async fn pulled(engine: &Engine, registry: &FaultRegistry, name: &str) -> String {
    let reference = registry.add(name, "1", &small(name).unwrap());
    engine.pull(options(&reference), |_| ()).await.unwrap();
    reference
}

/// Collects progress.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<types::Event>>>);

impl Events {
    fn listener(&self) -> impl FnMut(types::Event) + Send + Unpin + 'static {
        let events = Arc::clone(&self.0);
        move |event| events.lock().unwrap().push(event)
    }

    fn taken(&self) -> Vec<types::Event> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_typed_operation_works() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let registry = FaultRegistry::start().await.unwrap();
    let image = small("typed").unwrap();
    let reference = registry.add("typed", "1", &image);

    let events = Events::default();
    let completed = engine
        .pull(options(&reference), events.listener())
        .await
        .unwrap();
    assert_eq!(completed.len(), 1);
    assert_eq!(completed[0].digest, image.digest());
    assert!(completed[0].changed);
    let events = events.taken();
    assert!(
        matches!(&events[0], types::Event::Resolved(resolved) if resolved.reference == reference),
        "{events:?}"
    );
    assert!(
        matches!(&events[events.len() - 1], types::Event::Completed(_)),
        "{events:?}"
    );

    let listed = engine.list(no_filters(), true).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, image.digest());
    assert_eq!(listed[0].tags, std::slice::from_ref(&reference));
    let details = engine.inspect(&reference, None).await.unwrap();
    assert_eq!(details.id, image.digest());
    assert_eq!(details.diff_ids.len(), image.layers.len());
    assert!(!engine.history(&reference, None).await.unwrap().is_empty());

    engine.tag(&reference, "other:2").await.unwrap();
    let removed = engine.remove("other:2", false, Vec::new()).await.unwrap();
    assert!(
        matches!(&removed[..], [types::Removal::Untagged(name)] if name == "other:2"),
        "{removed:?}"
    );
    let removed = engine.remove(&reference, false, Vec::new()).await.unwrap();
    assert_eq!(removed.len(), 2, "{removed:?}");
    engine.prune(no_filters()).await.unwrap();
    assert!(store::blobs(folder.path()).unwrap().is_empty());
    assert!(matches!(
        engine.inspect(&reference, None).await,
        Err(Error::Image(types::Error::NotFound(_)))
    ));
    let (status, body) = engine.request("GET", "/_ping").await.unwrap();
    assert_eq!((status, &body[..]), (200, &b"OK"[..]));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_arrives_whole_and_the_next_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let registry = FaultRegistry::start().await.unwrap();
    let image = small("pushed").unwrap();
    pulled(&engine, &registry, "pushed").await;
    let other = FaultRegistry::start().await.unwrap();
    let reference = format!("{}/copy:2", other.host);
    engine
        .tag(&format!("{}/pushed:1", registry.host), &reference)
        .await
        .unwrap();
    let options = || types::PushOptions {
        reference: reference.clone(),
        all_tags: false,
        platform: None,
        auth: types::RegistryAuth::Anonymous,
    };
    let phases = async || {
        let events = Events::default();
        let completed = engine.push(options(), events.listener()).await.unwrap();
        assert_eq!(completed.len(), 1);
        assert_eq!(completed[0].digest, image.digest());
        let layer = image.layers[0].digest.clone();
        let of_layer = events
            .taken()
            .into_iter()
            .filter_map(move |event| match event {
                types::Event::Blob(blob) if blob.digest == layer => Some(blob.phase),
                _ => None,
            });
        of_layer.collect::<Vec<_>>()
    };
    assert_eq!(phases().await.last(), Some(&types::Phase::Uploaded));
    let there = other.tagged("copy", "2").unwrap();
    assert_eq!(there.as_deref(), Some(image.digest()));
    assert_eq!(phases().await.last(), Some(&types::Phase::AlreadyExists));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_come_back_as_their_case() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let registry = FaultRegistry::start().await.unwrap();
    let reference = registry.add("faulty", "1", &small("faulty").unwrap());
    type Expected = fn(&types::Error) -> bool;
    let cases: [(&str, Phase, Fault, Expected); 4] = [
        (
            "a missing manifest",
            Phase::Head,
            Fault::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            |error| matches!(error, types::Error::NotFound(_)),
        ),
        (
            "a refusal",
            Phase::Manifest,
            Fault::error(403, "DENIED", "requested access to the resource is denied"),
            |error| matches!(error, types::Error::Denied(_)),
        ),
        (
            "a rate limit",
            Phase::Manifest,
            Fault::too_many_requests(Some("3600")),
            |error| matches!(error, types::Error::RateLimited(limit) if limit.retry_after == Some(3600)),
        ),
        (
            "a server error without end",
            Phase::Layer,
            Fault::status(500),
            |error| matches!(error, types::Error::Unavailable(_)),
        ),
    ];
    for (what, phase, fault, expected) in cases {
        registry.behave();
        registry.always(phase, fault);
        match engine.pull(options(&reference), |_| ()).await {
            Err(Error::Image(error)) => assert!(expected(&error), "{what}: {error:?}"),
            other => panic!("{what}: {other:?}"),
        }
        assert!(engine.list(no_filters(), false).await.unwrap().is_empty());
    }
    store::check(folder.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_pull_cancels_it_and_the_next_goes_on() {
    const LAYER: usize = 8 << 20;
    const HELD: usize = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let registry = FaultRegistry::start().await.unwrap();
    let image = strata_tests::image::Image::builder(Schema::Oci)
        .layer(Layer::noise(7, LAYER).unwrap(), "COPY noise /")
        .build();
    let reference = registry.add("dropped", "1", &image);
    let gate = Gate::new();
    registry.rule(Rule::new(Phase::Layer, Fault::Hold(HELD, gate.clone())).times(1));

    let mut pull = Box::pin(engine.pull(options(&reference), |_| ()));
    tokio::select! {
        done = &mut pull => panic!("the gate was shut: {done:?}"),
        reached = gate.reached(1) => reached.unwrap(),
    }
    // The bytes are in the store's hands once the partial download has them.
    strata_tests::poll::until("the held bytes to be written", async || {
        tokio::select! {
            done = &mut pull => panic!("the gate was shut: {done:?}"),
            () = tokio::task::yield_now() => {}
        }
        let mut ingests = std::fs::read_dir(folder.path().join(".strata/ingest")).ok()?;
        let size = ingests.next()?.ok()?.metadata().ok()?.len();
        (size > 0).then_some(())
    })
    .await
    .unwrap();
    drop(pull);

    let completed = engine.pull(options(&reference), |_| ()).await.unwrap();
    assert_eq!(completed[0].digest, image.digest());
    let fetches = registry.fetches(&image.layers[0].digest);
    assert_eq!(fetches.len(), 2);
    assert!(
        fetches[1].header("range").is_some(),
        "the second fetch began anew"
    );
    store::check(folder.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_computes_for_too_long_ends_with_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let mut capabilities = Capabilities {
        store: folder.path().to_path_buf(),
        ..Capabilities::default()
    };
    capabilities.limits.compute = std::time::Duration::from_millis(5);
    let engine = Engine::new(None, capabilities).await.unwrap();
    // To take them over is work for the component, whatever it thinks of them then.
    let filters = types::Filters {
        references: vec!["a".to_owned(); 2_000_000],
        ..no_filters()
    };
    match engine.list(filters, false).await {
        Err(Error::Limit(text)) => assert!(text.contains("--compute-limit"), "{text}"),
        other => panic!("{:?}", other.map(|images| images.len())),
    }
}

#[tokio::test]
async fn memory_that_no_instance_can_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for memory in [0, 1, (4 << 20) - 1, (4 << 30) + 1, u64::MAX] {
        let mut capabilities = Capabilities {
            store: folder.path().join("store"),
            ..Capabilities::default()
        };
        capabilities.limits.memory = memory;
        let made = Engine::new(None, capabilities).await;
        let error = made.err().unwrap();
        assert!(
            matches!(
                error,
                Error::Setting {
                    setting: "memory-limit",
                    ..
                }
            ),
            "{error}"
        );
        assert!(!folder.path().join("store").exists());
    }
}
