//! An engine with an image and a container, and how requests reach it.

use strata_docker::{Call, HostFacts};
use strata_engine::{
    Engine, Mirror, Settings, Store as _, Target,
    memory::{Bytes, Memory},
};
use strata_http::{Head, MAX_WHOLE_BODY, RequestBody, Taking};
use strata_oci::{Digest, Platform};

use crate::{
    client::{self, Answer},
    clock::Ticking,
    script::{self, Asked, Harm, Reply},
    web::Web,
};

/// The layer of `base:1`: a folder with a file, and a link to it.
const LAYER: &[u8] = include_bytes!("layer.tar");
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// All there is.
pub(crate) struct World {
    engine: Engine<(Memory, Web, Ticking)>,
    clock: Ticking,
    pub(crate) store: Memory,
    pub(crate) web: Web,
    size: usize,
}

impl World {
    /// A world whose bodies come in pieces of `size` bytes.
    pub(crate) fn new(size: usize, replies: Vec<Reply>) -> Self {
        let (store, web, clock) = (
            Memory::default(),
            Web::new(replies, size),
            Ticking::default(),
        );
        add_image(&store);
        let engine = Engine::new(store.clone(), web.clone(), clock.clone(), settings());
        let world = Self {
            engine,
            clock,
            store,
            web,
            size,
        };
        let create = b"POST /containers/create?name=box\ncontent-type: application/json\n\n{\"Image\":\"base:1\"}";
        let created = world.send(script::request(create).expect("a request"));
        assert_eq!(created.code(), 201, "{}", created.text());
        world
    }

    /// Harms a blob, if there is any.
    pub(crate) fn harm(&self, harm: Harm, blob: usize) {
        let blobs = client::run(self.store.blobs()).and_then(Result::ok);
        let blobs = blobs.unwrap_or_default();
        let Some((digest, size)) = blobs.get(blob % blobs.len().max(1)) else {
            return;
        };
        match harm {
            Harm::Flip => self.store.damage(digest),
            Harm::Cut => {
                let half = usize::try_from(size / 2).unwrap_or_default();
                self.store.truncate(digest, half);
            }
            Harm::Lose => self.store.lose(digest),
        }
    }

    /// Sends a request as the component passes it on.
    pub(crate) fn send(&self, asked: Asked) -> Answer {
        self.clock.begin();
        let Asked {
            method,
            path_and_query,
            headers,
            mut body,
        } = asked;
        let waits = path_and_query.contains("wait") || path_and_query.contains("%");
        let shown = format!("{method} {path_and_query}");
        let call = Call::new(Head::new(method, &path_and_query, headers));
        let body = match call.body() {
            Taking::Nothing => RequestBody::Bytes(Vec::new()),
            Taking::Stream => RequestBody::Stream(Bytes::in_pieces(body, self.size)),
            Taking::Whole => {
                body.truncate(MAX_WHOLE_BODY);
                RequestBody::Bytes(body)
            }
        };
        let mut answer = Answer::default();
        let answered = client::run(call.answer(&self.engine, &host(), body, &mut answer));
        assert!(answered.is_some() || waits, "{shown} waits for ever");
        answer.left |= answered.is_none();
        answer
    }
}

fn add_image(store: &Memory) {
    let layer = store.insert(LAYER);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["sh"],"Labels":{{"a":"b"}}}},"rootfs":{{"type":"layers","diff_ids":["{layer}"]}},"history":[{{"created_by":"ADD layer.tar /"}}]}}"#
    );
    let size = config.len();
    let config = store.insert(config);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{size}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{}}}]}}"#,
        LAYER.len()
    );
    let size = manifest.len() as u64;
    let digest: Digest = store.insert(manifest);
    let target = Target {
        media_type: MANIFEST_TYPE.to_owned(),
        digest,
        size,
    };
    store.name("images", "docker.io/library/base:1", &target, &[]);
}

fn linux() -> Platform {
    Platform {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        ..Platform::default()
    }
}

fn settings() -> Settings {
    Settings {
        version: "0.1.0".to_owned(),
        platform: linux(),
        mirrors: vec![Mirror {
            host: "mirrored.example".to_owned(),
            url: "http://127.0.0.1:5000".to_owned(),
        }],
        insecure_registries: Vec::new(),
        parallel_layers: 3,
        allow_unsafe_redirects: false,
        verify_diff_ids_first: false,
    }
}

fn host() -> HostFacts {
    HostFacts {
        hostname: "box".to_owned(),
        processors: 2,
        memory: 1024,
        kernel: "6.1".to_owned(),
        root: "/store".to_owned(),
        id: "some-id".to_owned(),
    }
}
