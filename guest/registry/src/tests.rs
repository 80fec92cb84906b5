//! The client alone: no store, no engine.

use std::{cell::RefCell, rc::Rc};

use crate::{
    Body as _, Fault, Mirror, Opened, RegistryAuth, RegistrySettings, Repository, Retry, retrying,
    testing::{Asked, Made, NoAnswer, Origin, Reply, VirtualClock, Web, layer},
};
use strata_oci::Reference;

type Answer = Reply<NoAnswer>;

/// A registry, whom the client asks.
struct Bench {
    web: Rc<Web<NoAnswer>>,
    clock: Rc<VirtualClock>,
    warnings: RefCell<Vec<String>>,
    mirrors: Vec<Mirror>,
}

impl Bench {
    fn new(answer: impl FnMut(&Asked) -> Answer + 'static) -> Self {
        let clock = Rc::<VirtualClock>::default();
        Self {
            web: Rc::new(Web::new(clock.clone(), answer)),
            clock,
            warnings: RefCell::default(),
            mirrors: Vec::new(),
        }
    }

    fn repository(
        &self,
        reference: &Reference,
    ) -> Repository<'_, Rc<Web<NoAnswer>>, Rc<VirtualClock>> {
        let settings = RegistrySettings {
            version: "0",
            mirrors: &self.mirrors,
            insecure: &[],
        };
        let warn = |text| self.warnings.borrow_mut().push(text);
        let (web, clock) = (&self.web, &self.clock);
        Repository::new(
            web,
            clock,
            &settings,
            reference,
            &RegistryAuth::Anonymous,
            &[],
            warn,
        )
    }
}

fn image() -> Made {
    Made::new("amd64", &[layer(1, 3000)])
}

#[test]
fn an_image_is_resolved_listed_and_fetched_from_any_byte_on() {
    let image = image();
    let origin = Origin::default().tagged("1", &image);
    let bench = Bench::new(move |asked| origin.answer(asked));
    let reference = Reference::parse("r.example/app:1").unwrap();
    let repository = bench.repository(&reference);
    bench.clock.run(async {
        let resolution = repository.resolve(&reference).await.unwrap();
        assert_eq!(resolution.digest, image.digest);
        let document = repository.document(&image.digest, None).await.unwrap();
        assert_eq!(document, image.manifest);
        assert_eq!(repository.tags().await.unwrap(), ["1"]);
        let descriptor =
            strata_oci::Descriptor::new("application/octet-stream", image.layer(0), 3000);
        let opened = repository.blob(&descriptor, 1000).await.unwrap();
        let Opened::Body {
            start, mut body, ..
        } = opened
        else {
            panic!("refused");
        };
        assert_eq!(start, 1000);
        let mut bytes = Vec::new();
        while let Some(chunk) = body.chunk().await.unwrap() {
            bytes.extend(chunk);
        }
        assert_eq!(bytes, image.layers[0][1000..]);
    });
}

#[test]
fn a_fault_says_what_is_wrong_and_its_text_what_was_done() {
    let bench = Bench::new(|_| Answer::status(404));
    let reference = Reference::parse("r.example/app:1").unwrap();
    let asked = bench.repository(&reference);
    let error = bench.clock.run(asked.resolve(&reference));
    let error = error.err().unwrap();
    assert!(
        matches!(&*error.fault, Fault::ReferenceNotFound { reference } if reference == "r.example/app:1")
    );
    assert_eq!(
        error.to_string(),
        "failed to resolve reference \"r.example/app:1\": r.example/app:1: not found"
    );
}

#[test]
fn what_mirrors_say_follows_what_the_registry_says() {
    let mut bench = Bench::new(|asked| match asked.host() {
        "m.example" => Answer::error(403, "DENIED"),
        _ => Answer::refused(),
    });
    bench.mirrors.push(Mirror {
        host: "r.example".to_owned(),
        url: "https://m.example".to_owned(),
    });
    let reference = Reference::parse("r.example/app:1").unwrap();
    let asked = bench.repository(&reference);
    let error = bench.clock.run(asked.resolve(&reference)).err().unwrap();
    assert_eq!(
        error.to_string(),
        "failed to resolve reference \"r.example/app:1\": failed to do request: Head \"https://r.example/v2/app/manifests/1\": \
         connection refused; mirror m.example failed: unexpected status from HEAD request to https://m.example/v2/app/manifests/1: 403 Forbidden"
    );
    assert_eq!(bench.warnings.borrow().len(), 1);
}

#[test]
fn attempts_are_counted_and_reported() {
    let bench = Bench::new(|_| Answer::refused());
    let reference = Reference::parse("r.example/app:1").unwrap();
    let asked = bench.repository(&reference);
    let attempts: RefCell<Vec<u32>> = RefCell::default();
    let report = |retry: Retry<NoAnswer>| attempts.borrow_mut().push(retry.attempt);
    let attempt = async || asked.resolve(&reference).await;
    let result = bench.clock.run(retrying(&bench.clock, report, attempt));
    assert!(result.is_err());
    assert_eq!(*attempts.borrow(), [2, 3, 4, 5]);
}
