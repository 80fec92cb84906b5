//! Pushes of the image to a registry that has nothing of it.

use crate::Options;
use crate::contest::Contest;
use crate::fixture::{Debian, NAME};
use crate::peer::{Run, knows, measure, settle, strata_command};
use crate::served::Served;
use crate::stock::Stock;
use crate::table::Table;
use crate::wire::Body;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::Value;
use strata_tests::image::Schema;
use strata_tests::layer::sha256;
use strata_tests::registry::Registry;
use strata_tests::server::escape;
use tokio::process::Command;

/// Where everyone pushes to, in a registry that is new each time.
const REPOSITORY: &str = "pushed/debian";

pub(crate) async fn to_an_empty_registry(
    options: &Options,
    image: &Debian,
    stock: &Stock,
    table: &mut Table,
) -> Result<()> {
    let mut contest = Contest::new("push to an empty registry", "≤ 0.8 ×");
    let command = knows("push").await?;
    if !command {
        table.note("push: this build has no `strata push`");
    }
    for run in 1..=options.runs {
        eprintln!("push, run {run} of {}", options.runs);
        let as_is = Some(image.manifest.digest.as_str());
        let layers = image.layers.len();
        let registry = fresh().await?;
        let Some(served) = served(&stock.strata, &registry)? else {
            break;
        };
        arrived(&registry, as_is, layers)
            .await
            .context("strata serve")?;
        contest.ours("strata serve", served);
        if command {
            let registry = fresh().await?;
            name(&stock.strata, &registry)?;
            let target = target(&registry);
            let push = strata_command(&stock.strata.store(), &["push", &target])?;
            contest.ours("strata push", measure(push).await?);
            arrived(&registry, as_is, layers)
                .await
                .context("strata push")?;
        }

        let registry = fresh().await?;
        let mut skopeo = Command::new("skopeo");
        skopeo.args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
        ]);
        skopeo
            .arg(stock.in_layout())
            .arg(format!("docker://{}", target(&registry)));
        let pushed = measure(skopeo).await;
        contest.peer("skopeo", pushed);
        arrived(&registry, as_is, layers).await.context("skopeo")?;

        if let Some(podman) = stock.podman.as_ref().filter(|_| contest.is_in("podman")) {
            let registry = fresh().await?;
            let to = format!("docker://{}", target(&registry));
            let push = [
                "push",
                "--quiet",
                "--tls-verify=false",
                &stock.reference,
                &to,
            ];
            let mut pushed = measure(podman.command(&push)).await;
            // It compresses again, so the manifest is another one.
            if let Err(error) = arrived(&registry, None, layers).await {
                pushed = pushed.and(Err(error));
            }
            contest.peer("podman", pushed);
        }
        if let Some(containerd) = stock.containerd.as_ref().filter(|_| contest.is_in("ctr")) {
            let registry = fresh().await?;
            let push = [
                "images",
                "push",
                "--plain-http",
                &target(&registry),
                &stock.reference,
            ];
            let mut pushed = measure(containerd.ctr(&push)).await;
            if let Err(error) = arrived(&registry, as_is, layers).await {
                pushed = pushed.and(Err(error));
            }
            contest.peer("ctr", pushed);
        }
    }
    contest.show(table);
    Ok(())
}

/// An empty registry, on a disk with nothing left to write.
async fn fresh() -> Result<Registry> {
    settle().await?;
    Registry::start().await
}

fn target(registry: &Registry) -> String {
    format!("{}/{REPOSITORY}:1", registry.host)
}

/// Names the image in strata's store as what is to be pushed.
fn name(strata: &Served, registry: &Registry) -> Result<()> {
    let repository = escape(&format!("{}/{REPOSITORY}", registry.host));
    let path = format!("/images/{NAME}/tag?repo={repository}&tag=1");
    strata.ask("POST", &path, Body::Empty)?.expect(201)?;
    Ok(())
}

/// A push by the server; `None` where it does not know how.
fn served(strata: &Served, registry: &Registry) -> Result<Option<Run>> {
    name(strata, registry)?;
    let path = format!("/images/{}/{REPOSITORY}/push?tag=1", registry.host);
    let (run, answer) = strata.timed(|wire| wire.send("POST", &path, Body::Json("{}")))?;
    if answer.status == 501 {
        return Ok(None);
    }
    answer.expect(200)?;
    Ok(Some(run))
}

/// The registry has the manifest (with this digest, where it is known) and everything it refers to.
async fn arrived(registry: &Registry, digest: Option<&str>, layers: usize) -> Result<()> {
    let accept = format!("{}, {}", Schema::Oci.manifest(), Schema::Docker.manifest());
    let path = format!("/v2/{REPOSITORY}/manifests/1");
    let got = registry
        .http
        .send(Method::GET, &path, &[("accept", &accept)], "")
        .await?;
    let got = got.expect_status(&[200])?;
    if let Some(digest) = digest {
        let here = sha256(&got.body);
        ensure!(here == digest, "the registry has {here}, not {digest}");
    }
    let manifest = got.json()?;
    let listed: Vec<&Value> = manifest["layers"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    ensure!(
        listed.len() == layers,
        "{} of {layers} layers: {manifest}",
        listed.len()
    );
    for blob in listed.into_iter().chain([&manifest["config"]]) {
        let digest = blob["digest"]
            .as_str()
            .context("a descriptor without a digest")?;
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        let there = registry
            .http
            .send(Method::HEAD, &path, &[], "")
            .await?
            .expect_status(&[200])?;
        let size = blob["size"].to_string();
        ensure!(
            there.header("content-length") == size,
            "{digest} has not {size} bytes"
        );
    }
    Ok(())
}
