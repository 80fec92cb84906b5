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
