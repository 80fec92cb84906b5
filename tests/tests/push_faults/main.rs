//! Registries that fail while they are pushed to: a clear error or a good image there, never a tag with something
//! missing, an unchanged store, a server that still answers.

mod chunks;
mod course;
mod whole;

use anyhow::{Context, Result, bail, ensure};
use futures::stream::{self, StreamExt as _};
use strata_tests::fault::{Access, Fault, FaultRegistry, Phase, Rule, Tokens};
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::Layer;
use strata_tests::push::{Pushed, through};
use strata_tests::server::{Server, escape};
use strata_tests::store;
use tempfile::TempDir;

/// What the registry says beside an error status.
const REGISTRYS_WORDS: &str = "as the test asked";
/// What tells a cut connection.
const CUT: &[&str] = &[
    "connection",
    "closed",
    "reset",
    "ended",
    "cut",
    "broke",
    "unavailable",
];
/// More than strata sends in one request, so that it goes in chunks: two and a bit.
const LARGE: usize = 17 << 20;
/// Cases at once: a large one is in the memory of both sides.
const AT_ONCE: usize = 8;

/// What may come of a push, and what the registry has then.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// An error that contains one of these, in any case. No tag.
    Fails(&'static [&'static str]),
    /// The same, but the registry may have done it all the same: then the image is whole.
    Doubtful(&'static [&'static str]),
    /// The tag, and all of the image.
    Succeeds,
}

/// Name, what is pushed, script, what is expected.
type Case = (String, Size, Vec<Rule>, Outcome);

/// Which image a case pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Blobs that go in one request each.
    Small,
    /// A layer that goes in chunks.
    Large,
    /// An index of two small images.
    Index,
}

/// One server with the images, for many faulty registries at once.
struct House {
    server: Server,
    store: TempDir,
    images: [(Size, Image, String); 3],
    /// What the store had before the first push.
    blobs: Vec<String>,
}

impl House {
    async fn new() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let server = Server::start(store.path(), &[]).await?;
        // Another registry than those that are pushed to: from it nothing can be mounted.
        let origin = FaultRegistry::start().await?;
        let large = Image::builder(Schema::Oci)
            .layer(Layer::noise(1, LARGE)?, "COPY noise /")
            .build();
        let index = Image::index(Schema::Oci)
            .image(&small("amd64")?, Some("linux/amd64"))
            .image(&small("arm64")?, Some("linux/arm64"))
            .build();
        let images = [
            (Size::Small, small("small")?),
            (Size::Large, large),
            (Size::Index, index),
        ];
        let images = images.map(|(size, image)| {
            let reference = origin.add(&format!("{size:?}").to_lowercase(), "1", &image);
            (size, image, reference)
        });
        for (size, _, reference) in &images {
            // All platforms: what is missing here cannot be pushed.
            for platform in ["linux/amd64", "linux/arm64"] {
                if *size == Size::Index || platform == "linux/amd64" {
                    let (name, tag) = reference.rsplit_once(':').context("no tag")?;
                    let path = format!(
                        "/images/create?fromImage={}&tag={tag}&platform={}",
                        escape(name),
                        escape(platform)
                    );
                    server.http.post(&path).await?.expect_status(&[200])?;
                }
            }
        }
        let blobs = store::blobs(store.path())?;
        Ok(Self {
            server,
            store,
            images,
            blobs,
        })
    }

    /// Pushes an image to a registry of its own with this script.
    async fn push(&self, size: Size, registry: &FaultRegistry) -> Result<(Pushed, &Image)> {
        let known = self.images.iter().find(|(known, ..)| *known == size);
        let (_, image, source) = known.context("no such image")?;
        let target = tag(&self.server, source, registry).await?;
        Ok((through(&self.server.http, &target).await?, image))
    }

    async fn case(&self, (name, size, script, expected): Case) -> Result<()> {
        let registry = FaultRegistry::start().await?;
        if name.contains("token") {
            let uses = name.contains("expire").then_some(2);
            let tokens = Tokens {
                uses,
                ..Tokens::default()
            };
            registry.protect(Access::Bearer(tokens));
        }
        for rule in script {
            registry.rule(rule);
        }
        let judged = match self.push(size, &registry).await {
            Ok((pushed, image)) => judge(&pushed, &registry, image, expected),
            Err(error) => Err(error),
        };
        judged.with_context(|| format!("{size:?}: {name}"))?;
        let unmet = registry.unmet();
        ensure!(
            unmet.is_empty(),
            "{size:?}: {name}: no request met {unmet:?}"
        );
        Ok(())
    }

    /// All cases, then the store and the server.
    async fn cases(&self, cases: Vec<Case>) -> Result<()> {
        let running = cases.into_iter().map(|case| self.case(case));
        let judged: Vec<Result<()>> = stream::iter(running)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let wrong: Vec<String> = judged
            .into_iter()
            .filter_map(|judged| Some(format!("{:#}", judged.err()?)))
            .collect();
        ensure!(
            wrong.is_empty(),
            "{} cases went wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        self.holds().await
    }

    /// A push reads: the store has what it had, and the server is there.
    async fn holds(&self) -> Result<()> {
        store::settles(self.store.path()).await?;
        let blobs = store::blobs(self.store.path())?;
        ensure!(blobs == self.blobs, "the store changed: {blobs:?}");
        let log = self.server.log()?.to_lowercase();
        for word in ["panic", "trap", "unreachable"] {
            ensure!(!log.contains(word), "{log}");
        }
        self.server.answers().await
    }
}

/// Names an image as one of this registry, and returns the reference.
async fn tag(server: &Server, source: &str, registry: &FaultRegistry) -> Result<String> {
    let name = format!("{}/pushed/image", registry.host);
    let path = format!("/images/{source}/tag?repo={}&tag=1", escape(&name));
    server.http.post(&path).await?.expect_status(&[201])?;
    Ok(format!("{name}:1"))
}

fn judge(
    pushed: &Pushed,
    registry: &FaultRegistry,
    image: &Image,
    expected: Outcome,
) -> Result<()> {
    // A tag without all of its image is an error here, whatever is expected.
    let tagged = registry.tagged("pushed/image", "1")?;
    let whole = tagged.as_deref() == Some(image.digest());
    ensure!(whole || tagged.is_none(), "another image: {tagged:?}");
    match (expected, pushed.error()) {
        (Outcome::Succeeds, _) => {
            let digest = pushed.ok()?;
            ensure!(digest == image.digest(), "it says {digest}");
            ensure!(whole, "the registry has no such tag");
        }
        (Outcome::Fails(words) | Outcome::Doubtful(words), Some(error)) => {
            let lower = error.to_lowercase();
            // A registry's own words, passed on, are as clear as any.
            let own = lower.contains(REGISTRYS_WORDS);
            let clear = own || words.iter().any(|word| lower.contains(word));
            ensure!(clear, "the error names none of {words:?}: {error}");
            for word in ["wasm", "unreachable", "panic", "backtrace"] {
                ensure!(!lower.contains(word), "the guest trapped: {error}");
            }
            let doubtful = matches!(expected, Outcome::Doubtful(_));
            ensure!(doubtful || !whole, "it failed, yet there is a tag");
        }
        (Outcome::Fails(_) | Outcome::Doubtful(_), None) => {
            bail!("it succeeded: {}", pushed.answer.text())
        }
    }
    Ok(())
}

fn always(phase: Phase, fault: Fault) -> Rule {
    Rule::new(phase, fault)
}

fn once(phase: Phase, fault: Fault) -> Rule {
    Rule::new(phase, fault).times(1)
}
