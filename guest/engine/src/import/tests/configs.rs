//! What an imported image says of itself.

use serde_json::{Value, json};
use strata_oci::Platform;

use super::*;
use crate::Error;

impl Bench {
    fn config(&self, id: &Digest) -> Value {
        let (manifest, _) = self.image(id);
        let bytes = self.store.bytes(&manifest.config.digest).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

#[test]
fn the_config_has_a_layer_a_platform_and_one_history_entry() {
    let bench = Bench::new();
    let id = bench.import("a", &root()).unwrap();
    let config = bench.config(&id);
    let created = &config["created"];
    assert!(
        created
            .as_str()
            .is_some_and(|it| it.starts_with("1970-01-01T00:00:00."))
    );
    assert_eq!(
        config,
        json!({
            "created": created,
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&root())]},
            "history": [{"created": created, "comment": "Imported from -"}],
        })
    );
}

#[test]
fn options_change_the_config() {
    let bench = Bench::new();
    let options = ImportOptions {
        reference: None,
        message: Some("a message".to_owned()),
        platform: Some(Platform::parse("linux/arm64/v8", &Platform::default()).unwrap()),
        changes: ["CMD [\"/bin/sh\"]", "env A=1", "ENV B=$A"]
            .map(str::to_owned)
            .to_vec(),
    };
    let id = bench.import_with(&root(), &options).unwrap();
    let config = bench.config(&id);
    assert_eq!(config["architecture"], "arm64");
    assert_eq!(config["variant"], "v8");
    assert_eq!(config["history"][0]["comment"], "a message");
    assert_eq!(
        config["config"],
        json!({"Env": ["A=1", "B=1"], "Cmd": ["/bin/sh"]})
    );
}

#[test]
fn what_is_refused_is_refused_before_a_byte_is_read() {
    let digest = format!("a@{}", Digest::sha256(b"x"));
    let change = ImportOptions {
        changes: vec!["RUN true".to_owned()],
        ..named("a")
    };
    for (options, expected) in [
        (named(&digest), "cannot import digest reference"),
        (change, "RUN is not a valid change command"),
    ] {
        let bench = Bench::new();
        for source in [
            ImportSource::Body(Bytes::of(root())),
            ImportSource::Url("http://never.example/asked".to_owned()),
        ] {
            let error = bench.run(source, &options).unwrap_err();
            assert_eq!(error, Error::InvalidArgument(expected.to_owned()));
        }
        assert_eq!(bench.store.calls(), [""; 0]);
        assert!(bench.events.brief().is_empty());
    }
}
