use super::*;
use crate::client::skopeo;
use crate::http::Http;
use crate::image::{Schema, small};
use crate::layer::Layer;
use hyper::Method;

async fn registry() -> (FaultRegistry, Http, Image) {
    let registry = FaultRegistry::start().await.unwrap();
    let http = Http::new(&registry.url());
    let layer = Layer::noise(7, 100_000).unwrap();
    let image = Image::builder(Schema::Oci)
        .layer(layer, "COPY noise /")
        .build();
    registry.add("some/image", "1", &image);
    (registry, http, image)
}

fn layer_path(image: &Image) -> String {
    format!("/v2/some/image/blobs/{}", image.layers[0].digest)
}

#[tokio::test]
async fn without_a_script_skopeo_copies_from_it() {
    let (registry, _, image) = registry().await;
    let copy = tempfile::tempdir().unwrap();
    let source = format!("docker://{}/some/image:1", registry.host);
    let target = format!("oci:{}:x", copy.path().display());
    skopeo(&["copy", "--src-tls-verify=false", &source, &target])
        .await
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(registry.fetches(&image.layers[0].digest).len(), 1);
    assert_eq!(registry.seen(Phase::Config).len(), 1);
}

#[tokio::test]
async fn a_range_is_answered_from_its_first_byte() {
    let (_registry, http, image) = registry().await;
    let answer = http
        .send(
            Method::GET,
            &layer_path(&image),
            &[("range", "bytes=1000-")],
            "",
        )
        .await
        .unwrap();
    assert_eq!(answer.status, 206);
    assert_eq!(answer.body, image.layers[0].bytes.slice(1000..));
    let size = image.layers[0].bytes.len();
    assert_eq!(
        answer.header("content-range"),
        format!("bytes 1000-{}/{size}", size - 1)
    );
    let beyond = format!("bytes={size}-");
    let answer = http
        .send(Method::GET, &layer_path(&image), &[("range", &beyond)], "")
        .await
        .unwrap();
    assert_eq!(answer.status, 416);
}

#[tokio::test]
async fn bodies_are_cut_shortened_and_corrupted_as_told() {
    let (registry, http, image) = registry().await;
    let path = layer_path(&image);
    registry.once(Phase::Layer, Fault::Cut(10));
    assert!(http.get(&path).await.is_err());
    registry.once(Phase::Layer, Fault::HangUp);
    assert!(http.get(&path).await.is_err());
    registry.once(Phase::Layer, Fault::Short(10));
    assert_eq!(http.get(&path).await.unwrap().body.len(), 10);
    registry.once(Phase::Layer, Fault::LyingLength(5));
    assert!(http.get(&path).await.is_err());
    registry.once(Phase::Layer, Fault::LyingLength(-5));
    assert_eq!(
        http.get(&path).await.unwrap().body.len(),
        image.layers[0].bytes.len() - 5
    );
    registry.once(Phase::Layer, Fault::Chunked);
    assert_eq!(http.get(&path).await.unwrap().body, image.layers[0].bytes);
    registry.once(Phase::Layer, Fault::Corrupt);
    assert_ne!(http.get(&path).await.unwrap().body, image.layers[0].bytes);
    assert_eq!(http.get(&path).await.unwrap().body, image.layers[0].bytes);
}

#[tokio::test]
async fn a_held_body_goes_on_when_the_gate_opens() {
    let (registry, http, image) = registry().await;
    let gate = Gate::new();
    registry.once(Phase::Layer, Fault::Hold(500, gate.clone()));
    let path = layer_path(&image);
    let mut answer = http
        .open(Method::GET, &path, &[], Bytes::new())
        .await
        .unwrap();
    gate.reached(1).await.unwrap();
    assert_eq!(answer.piece().await.unwrap().unwrap().len(), 500);
    gate.open();
    assert_eq!(
        answer.whole().await.unwrap().body,
        image.layers[0].bytes.slice(500..)
    );
}

#[tokio::test]
async fn tokens_are_given_used_up_and_given_again() {
    let (registry, http, _) = registry().await;
    registry.protect(Access::Bearer(Tokens {
        uses: Some(1),
        ..Tokens::default()
    }));
    let path = "/v2/some/image/manifests/1";
    let refused = http.get(path).await.unwrap();
    assert_eq!(refused.status, 401);
    assert!(
        refused
            .header("www-authenticate")
            .contains("scope=\"repository:some/image:pull\"")
    );
    let given = http
        .get("/token?service=fault&scope=repository%3Asome%2Fimage%3Apull")
        .await
        .unwrap();
    let bearer = format!(
        "Bearer {}",
        given.json().unwrap()["token"].as_str().unwrap()
    );
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(
        http.send(Method::GET, path, &headers, "")
            .await
            .unwrap()
            .status,
        200
    );
    let expired = http.send(Method::GET, path, &headers, "").await.unwrap();
    assert_eq!(expired.status, 401);
    assert!(
        expired
            .header("www-authenticate")
            .contains("error=\"invalid_token\"")
    );
}

#[tokio::test]
async fn skopeo_logs_in_by_basic_and_by_token() {
    let (registry, _, _) = registry().await;
    let source = format!("docker://{}/some/image:1", registry.host);
    let args = [
        "inspect",
        "--tls-verify=false",
        "--creds",
        "ann:secret",
        &source,
    ];
    registry.protect(Access::Basic("ann".to_owned(), "secret".to_owned()));
    skopeo(&args).await.unwrap().ok().unwrap();
    let users = vec![("ann".to_owned(), "secret".to_owned())];
    registry.protect(Access::Bearer(Tokens {
        users,
        anonymous: false,
        ..Tokens::default()
    }));
    skopeo(&args).await.unwrap().ok().unwrap();
    let wrong = [
        "inspect",
        "--tls-verify=false",
        "--creds",
        "ann:wrong",
        &source,
    ];
    skopeo(&wrong).await.unwrap().failed().unwrap();
}

#[tokio::test]
async fn small_images_are_distinct() {
    assert_ne!(small("a").unwrap().digest(), small("b").unwrap().digest());
}

/// Sends bytes to an upload of this registry.
async fn send(http: &Http, method: Method, url: &str, range: &str, bytes: &[u8]) -> (u16, String) {
    let headers = [("content-range", range)];
    let headers = if range.is_empty() { &[][..] } else { &headers };
    let bytes = Bytes::copy_from_slice(bytes);
    let answer = http.send(method, url, headers, bytes).await.unwrap();
    (answer.status, answer.header("range").to_owned())
}

#[tokio::test]
async fn without_a_script_skopeo_copies_to_it() {
    let (registry, _, image) = registry().await;
    let source = format!("docker://{}/some/image:1", registry.host);
    let target = format!("docker://{}/other/image:2", registry.host);
    let flags = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo(&["copy", flags[0], flags[1], &source, &target])
        .await
        .unwrap()
        .ok()
        .unwrap();
    let tagged = registry.tagged("other/image", "2").unwrap();
    assert_eq!(tagged.as_deref(), Some(image.digest()));
    assert_eq!(registry.tagged("other/image", "3").unwrap(), None);
}

#[tokio::test]
async fn uploads_are_held_to_their_offsets_digests_and_references() {
    let (registry, http, image) = registry().await;
    let (layer, manifest) = (&image.layers[0], &image.root);
    let start = "/v2/new/uploads/blobs/uploads/";
    let opened = http.post(start).await.unwrap();
    let url = opened.header("location").to_owned();
    let (head, tail) = layer.bytes.split_at(40_000);
    let wrong = format!("{url}&digest={}", manifest.digest);
    let right = format!("{url}&digest={}", layer.digest);
    for (method, url, range, bytes, expected) in [
        (Method::GET, &url, "", &b""[..], (204, "0-0")),
        (Method::PATCH, &url, "0-39999", head, (202, "0-39999")),
        (Method::PATCH, &url, "0-39999", head, (416, "0-39999")),
        (Method::GET, &url, "", b"", (204, "0-39999")),
        (Method::PUT, &right, "", tail, (201, "")),
        (Method::GET, &url, "", b"", (404, "")),
    ] {
        let (status, range) = send(&http, method.clone(), url, range, bytes).await;
        assert_eq!((status, range.as_str()), expected, "{method} {url}");
    }
    let opened = http.post(start).await.unwrap();
    assert_ne!(opened.header("location"), url);
    let url = wrong.replace("/1?", "/2?");
    assert_eq!(send(&http, Method::PUT, &url, "", head).await.0, 400);

    let put = async |path: &str| {
        let path = format!("/v2/{path}");
        let bytes = manifest.bytes.clone();
        http.send(Method::PUT, &path, &[], bytes)
            .await
            .unwrap()
            .status
    };
    // The config is missing.
    assert_eq!(put("new/uploads/manifests/1").await, 400);
    assert_eq!(registry.tagged("new/uploads", "1").unwrap(), None);
    let mount = format!("{start}?mount={}&from=some/image", image.configs[0].digest);
    assert_eq!(http.post(&mount).await.unwrap().status, 201);
    let other = format!("new/uploads/manifests/{}", layer.digest);
    assert_eq!(put(&other).await, 400);
    assert_eq!(put("new/uploads/manifests/1").await, 201);
    let tagged = registry.tagged("new/uploads", "1").unwrap();
    assert_eq!(tagged.as_deref(), Some(image.digest()));
}

#[tokio::test]
async fn requests_are_cut_refused_and_forgotten_as_told() {
    let (registry, http, image) = registry().await;
    let layer = &image.layers[0];
    let start = "/v2/new/faults/blobs/uploads/";
    let opened = http.post(start).await.unwrap();
    let url = opened.header("location").to_owned();
    let patch = async || {
        let bytes = layer.bytes.clone();
        http.send(Method::PATCH, &url, &[("content-range", "0-1")], bytes)
            .await
    };
    registry.once(Phase::Chunk, Fault::status(503));
    assert_eq!(patch().await.unwrap().status, 503);
    registry.once(Phase::Chunk, Fault::CutRequest(1000));
    assert!(patch().await.is_err());
    let status = send(&http, Method::GET, &url, "", b"").await;
    assert_eq!(status, (204, "0-999".to_owned()));
    registry.once(Phase::UploadStatus, Fault::CutHead(20));
    assert!(http.get(&url).await.is_err());
    registry.once(Phase::Chunk, Fault::LoseUpload);
    assert_eq!(patch().await.unwrap().status, 404);
    assert_eq!(http.get(&url).await.unwrap().status, 404);

    registry.once(Phase::Publish, Fault::LoseBlobs);
    let path = "/v2/some/image/manifests/2";
    let bytes = image.root.bytes.clone();
    let refused = http.send(Method::PUT, path, &[], bytes).await.unwrap();
    assert!(refused.text().contains("MANIFEST_BLOB_UNKNOWN"));
    assert!(registry.tagged("some/image", "1").is_err());
}

#[tokio::test]
async fn a_stalled_answer_comes_when_the_gate_opens() {
    let (registry, http, _) = registry().await;
    let gate = Gate::new();
    registry.once(Phase::Ping, Fault::Stall(gate.clone()));
    let asked = tokio::spawn(async move { http.get("/v2/").await });
    gate.reached(1).await.unwrap();
    assert!(!asked.is_finished());
    gate.open();
    assert_eq!(asked.await.unwrap().unwrap().status, 200);
}
