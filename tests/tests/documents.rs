//! Manifests, indexes and layers nobody should send: refused by name, or taken without harm.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use strata_tests::fault::FaultRegistry;
use strata_tests::image::{Blob, Image, Schema, small};
use strata_tests::layer::{Compression, Layer, sha256};
use strata_tests::server::Server;
use strata_tests::store;
use tempfile::TempDir;

struct House {
    server: Server,
    registry: FaultRegistry,
    store: TempDir,
}

impl House {
    async fn new() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let server = Server::start(store.path(), &[]).await?;
        Ok(Self {
            server,
            registry: FaultRegistry::start().await?,
            store,
        })
    }

    /// Pulls a manifest as it stands; the error's text in lower case.
    async fn refused(&self, name: &str, manifest: &Blob) -> Result<String> {
        let reference = self.registry.add_manifest(name, "1", manifest);
        let pulled = self.server.pull(&reference).await?;
        let error = pulled
            .failed()
            .with_context(|| name.to_owned())?
            .to_lowercase();
        for word in ["wasm", "unreachable", "panic", "backtrace"] {
            ensure!(!error.contains(word), "{name}: the guest trapped: {error}");
        }
        self.holds().await.with_context(|| name.to_owned())?;
        Ok(error)
    }

    async fn taken(&self, name: &str, image: &Image) -> Result<()> {
        let reference = self.registry.add(name, "1", image);
        self.server
            .pull(&reference)
            .await?
            .ok()
            .with_context(|| name.to_owned())?;
        self.server
            .http
            .get(&format!("/images/{reference}/json"))
            .await?
            .expect_status(&[200])?;
        self.holds().await.with_context(|| name.to_owned())
    }

    async fn holds(&self) -> Result<()> {
        store::check(self.store.path())?;
        self.server.answers().await
    }
}

fn manifest(document: &Value) -> Blob {
    Blob::document(Schema::Oci.manifest(), document)
}

/// A good image's manifest with one member changed.
fn changed(member: &str, value: Value) -> Result<(Image, Blob)> {
    let image = small("changed")?;
    let mut document: Value = serde_json::from_slice(&image.root.bytes)?;
    document[member] = value;
    let blob = manifest(&document);
    Ok((image, blob))
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_are_no_manifests_are_refused() -> Result<()> {
    let house = House::new().await?;
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("not-json", b"{\"schemaVersion\": 2,".to_vec()),
        (
            "not-utf8",
            b"{\"schemaVersion\":2,\"config\":\"\xff\xfe\"}".to_vec(),
        ),
        ("array", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        (
            "deep",
            [b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
        ),
    ] {
        let error = house
            .refused(name, &Blob::new(Schema::Oci.manifest(), bytes))
            .await?;
        ensure!(
            error.contains("manifest") || error.contains("invalid"),
            "{name}: {error}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_with_bad_members_are_refused() -> Result<()> {
    let house = House::new().await?;
    let size = json!(10);
    for (name, member, value) in [
        ("both", "manifests", json!([])),
        ("other-type", "mediaType", json!(Schema::Oci.index())),
        (
            "path-digest",
            "layers",
            json!([{"mediaType": "a/b", "digest": "sha256:../../../../etc/passwd", "size": size}]),
        ),
        (
            "slash-digest",
            "layers",
            json!([{"mediaType": "a/b", "digest": format!("sha256:{}/x", "a".repeat(62)), "size": size}]),
        ),
        (
            "upper-digest",
            "layers",
            json!([{"mediaType": "a/b", "digest": format!("sha256:{}", "A".repeat(64)), "size": size}]),
        ),
        (
            "short-digest",
            "layers",
            json!([{"mediaType": "a/b", "digest": "sha256:abcd", "size": size}]),
        ),
        (
            "unknown-algorithm",
            "layers",
            json!([{"mediaType": "a/b", "digest": format!("md5:{}", "a".repeat(32)), "size": size}]),
        ),
        (
            "negative-size",
            "layers",
            json!([{"mediaType": "a/b", "digest": sha256(b""), "size": -1}]),
        ),
        (
            "text-size",
            "layers",
            json!([{"mediaType": "a/b", "digest": sha256(b""), "size": "1"}]),
        ),
        ("no-layers", "layers", json!("none")),
        ("config-text", "config", json!("none")),
    ] {
        let (image, blob) = changed(member, value)?;
        house.registry.add(name, "good", &image);
        let error = house.refused(name, &blob).await?;
        let clear = [
            "manifest",
            "digest",
            "invalid",
            "media type",
            "mediatype",
            "size",
        ];
        ensure!(
            clear.iter().any(|word| error.contains(word)),
            "{name}: {error}"
        );
    }
    ensure!(!house.store.path().join("blobs/etc").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_over_the_limit_is_refused() -> Result<()> {
    let house = House::new().await?;
    let padding = json!({"padding": "x".repeat(5 << 20)});
    let (image, blob) = changed("annotations", padding)?;
    house.registry.add("huge", "good", &image);
    let error = house.refused("huge", &blob).await?;
    ensure!(
        ["large", "limit", "size", "big"]
            .iter()
            .any(|word| error.contains(word)),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_four_megabytes_is_taken() -> Result<()> {
    let house = House::new().await?;
    let (mut image, blob) = changed("annotations", json!({"padding": "x".repeat(4_000_000)}))?;
    image.root = blob;
    house.taken("large", &image).await
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_1_is_refused_in_dockers_words() -> Result<()> {
    let house = House::new().await?;
    let schema1 =
        json!({"schemaVersion": 1, "name": "old", "tag": "1", "fsLayers": [], "history": []});
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ] {
        let error = house
            .refused("old", &Blob::document(media_type, &schema1))
            .await?;
        let words = "docker image format v1 and docker image manifest version 2, schema 1 support has been removed";
        ensure!(error.contains(words), "{error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_manifest_type_is_refused_by_name() -> Result<()> {
    let house = House::new().await?;
    let error = house
        .refused(
            "unknown",
            &Blob::document("application/x-surprise", &json!({"schemaVersion": 2})),
        )
        .await?;
    ensure!(
        error.contains("application/x-surprise") || error.contains("media type"),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_indexes_are_walked_but_not_for_ever() -> Result<()> {
    let house = House::new().await?;
    let image = small("nested")?;
    let mut index = Image::index(Schema::Oci)
        .image(&image, Some("linux/amd64"))
        .build();
    index = Image::index(Schema::Oci).image(&index, None).build();
    house.taken("nested", &index).await?;
    for _ in 0..200 {
        index = Image::index(Schema::Oci).image(&index, None).build();
    }
    let reference = house.registry.add("deeper", "1", &index);
    let error = house
        .server
        .pull(&reference)
        .await?
        .failed()?
        .to_lowercase();
    ensure!(
        ["deep", "nest", "depth"]
            .iter()
            .any(|word| error.contains(word)),
        "{error}"
    );
    house.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_claims_to_hold_itself_is_refused() -> Result<()> {
    let house = House::new().await?;
    // Two documents cannot hold each other's digests, so the registry has to lie about one of them.
    let claimed = sha256(b"a digest made up beforehand");
    let index = |size: usize| {
        let entry = json!({
            "mediaType": Schema::Oci.index(), "digest": claimed, "size": size,
            "platform": {"os": "linux", "architecture": "amd64"},
        });
        Image::index(Schema::Oci).descriptor(entry).build()
    };
    // Of the size it claims, too: only the digest gives it away.
    let index = index(index(100).root.bytes.len());
    let liar = Blob {
        digest: claimed.clone(),
        ..index.root.clone()
    };
    house.registry.add_manifest("cycle", &claimed, &liar);
    let error = house.refused("cycle", &index.root).await?;
    ensure!(error.contains("digest"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_strange_entries_gives_the_right_image() -> Result<()> {
    let house = House::new().await?;
    let image = small("among strangers")?;
    let stranger =
        json!({"mediaType": "application/x-surprise", "digest": sha256(b"x"), "size": 1});
    let wide: Vec<Value> = (0..500)
        .map(|n: u32| {
            let platform = json!({"os": "linux", "architecture": format!("arch{n}")});
            json!({"mediaType": Schema::Oci.manifest(), "digest": sha256(&n.to_le_bytes()), "size": 1, "platform": platform})
        })
        .collect();
    let mut index = Image::index(Schema::Oci).descriptor(stranger);
    for entry in wide {
        index = index.descriptor(entry);
    }
    let index = index
        .image(&image, Some("linux/amd64"))
        .attestation(&image)
        .build();
    house.taken("strangers", &index).await?;
    let empty = Image::index(Schema::Oci).build();
    let error = house.refused("nobody", &empty.root).await?;
    ensure!(error.contains("no matching manifest"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_and_zero_byte_layers_are_taken() -> Result<()> {
    let house = House::new().await?;
    let layer = Layer::noise(1, 50_000)?;
    let twice = Image::builder(Schema::Oci)
        .layer(layer.clone(), "one")
        .layer(layer.clone(), "two")
        .build();
    house.taken("twice", &twice).await?;
    assert_eq!(house.registry.fetches(&layer.digest).len(), 1);
    let zero = Image::builder(Schema::Oci)
        .layer(layer, "one")
        .layer(Layer::zero_bytes(), "nothing")
        .build();
    house.taken("zero", &zero).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_is_stored_as_it_is() -> Result<()> {
    let house = House::new().await?;
    let artifact = Image::artifact("application/vnd.example.sbom", "payload");
    let reference = house.registry.add("artifact", "1", &artifact);
    house.server.pull(&reference).await?.ok()?;
    let blobs = store::blobs(house.store.path())?;
    for blob in artifact.contents() {
        ensure!(
            blobs.contains(&blob.digest),
            "{} is missing",
            blob.media_type
        );
    }
    house
        .server
        .http
        .get("/images/json")
        .await?
        .expect_status(&[200])?;
    house.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_is_held_in_bounded_memory() -> Result<()> {
    const BOMB: usize = 512 << 20;
    let house = House::new().await?;
    let bomb = Layer::from_tar(&vec![0; BOMB], Compression::Gzip)?;
    let image = Image::builder(Schema::Oci)
        .layer(bomb, "COPY bomb /")
        .build();
    let reference = house.registry.add("bomb", "1", &image);
    let pulled = house.server.pull(&reference).await?;
    // Stored or refused: both are right. Unpacked in memory is not.
    if pulled.error().is_none() {
        pulled.ok()?;
        house
            .server
            .http
            .get(&format!("/images/{reference}/json"))
            .await?;
        house
            .server
            .http
            .get(&format!("/images/{reference}/history"))
            .await?;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.server.pid()))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let peak: usize = peak.trim().trim_end_matches(" kB").parse()?;
    ensure!(
        peak < BOMB / 2 / 1024,
        "the server's memory reached {peak} kB"
    );
    house.holds().await
}
