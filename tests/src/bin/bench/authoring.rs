//! Images that are made here: an imported root file system, a committed container.

use crate::Options;
use crate::contest::Contest;
use crate::fixture::{NAME, rootfs};
use crate::peer::{Peers, knows, measure, place, settle, strata_command, with_look};
use crate::served::Served;
use crate::stock::Stock;
use crate::table::Table;
use crate::wire::Body;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use strata_tests::server::escape;

const IMPORTED: &str = "docker.io/bench/rootfs:1";
const COMMITTED: &str = "docker.io/bench/committed:1";

/// A root file system of 117 MB, plain, into an empty store.
pub(crate) async fn import(options: &Options, peers: &Peers, table: &mut Table) -> Result<()> {
    let (rootfs, diff_id) = rootfs()?;
    let shown = rootfs.display().to_string();
    let mut contest = Contest::new("import of a root file system of 117 MB", "≤ 0.5 ×");
    let command = knows("import").await?;
    if !command {
        table.note("import: this build has no `strata import`");
    }
    for run in 1..=options.runs {
        eprintln!("import, run {run} of {}", options.runs);
        let served = Served::start().await?;
        if !served.serves("POST", "/images/create?fromSrc=-")? {
            break;
        }
        served.stop().await?;
        let served = Served::start().await?;
        settle().await?;
        let path = format!(
            "/images/create?fromSrc=-&repo={}&tag=1",
            escape("bench/rootfs")
        );
        let (run, answer) = served.timed(|wire| wire.send("POST", &path, Body::File(&rootfs)))?;
        answer.expect(200)?;
        let found = served.ask("GET", &format!("/images/{IMPORTED}/json"), Body::Empty)?;
        let found = found.expect(200)?.json()?["RootFS"]["Layers"].clone();
        ensure!(
            found == json!([diff_id]),
            "imported, but with the layers {found}"
        );
        contest.ours("strata serve", run);
        served.stop().await?;

        if command {
            let folder = place()?;
            let store = folder.path().join("store");
            settle().await?;
            let import = strata_command(&store, &["import", &shown, IMPORTED])?;
            contest.ours("strata import", measure(import).await?);
            measure(strata_command(&store, &["inspect", IMPORTED])?).await?;
        }
        if contest.is_in("dockerd")
            && let Some(dockerd) = peers.dockerd().await?
        {
            settle().await?;
            let run = measure(dockerd.docker(&["import", &shown, IMPORTED])).await;
            let look = || dockerd.docker(&["image", "inspect", IMPORTED]);
            contest.peer("dockerd", with_look(run, look).await);
            dockerd.stop().await?;
        }
        if contest.is_in("podman")
            && let Some(podman) = peers.podman_store()?
        {
            settle().await?;
            let run = measure(podman.command(&["import", "--quiet", &shown, IMPORTED])).await;
            let look = || podman.command(&["image", "exists", IMPORTED]);
            contest.peer("podman", with_look(run, look).await);
        }
    }
    contest.show(table);
    Ok(())
}

/// Of a container of the image of eleven layers that never ran: only the commit is measured.
pub(crate) async fn commit(options: &Options, stock: &Stock, table: &mut Table) -> Result<()> {
    let mut contest = Contest::new("commit of a created container", "≤ 0.5 ×");
    let strata = &stock.strata;
    let command = knows("commit").await? && knows("create").await?;
    if !command {
        table.note("commit: this build has no `strata commit`");
    }
    for run in 1..=options.runs {
        eprintln!("commit, run {run} of {}", options.runs);
        if !strata.serves("POST", "/commit")? {
            break;
        }
        let body = json!({"Image": NAME, "Cmd": ["true"]}).to_string();
        let made = strata
            .ask("POST", "/containers/create", Body::Json(&body))?
            .expect(201)?
            .json()?;
        let container = made["Id"].as_str().context("a container without an ID")?;
        settle().await?;
        let path = format!("/commit?container={container}&repo=bench/committed&tag=1");
        let (took, answer) = strata.timed(|wire| wire.send("POST", &path, Body::Empty))?;
        let made = answer.expect(201)?.json()?;
        committed(strata, &made["Id"])?;
        contest.ours("strata serve", took);
        strata
            .ask("DELETE", &format!("/containers/{container}"), Body::Empty)?
            .expect(204)?;
        if command {
            let name = format!("bench-{run}");
            let create = ["create", "--name", &name, NAME, "true"];
            measure(strata_command(&strata.store(), &create)?).await?;
            settle().await?;
            let commit = strata_command(&strata.store(), &["commit", &name, COMMITTED])?;
            contest.ours("strata commit", measure(commit).await?);
            measure(strata_command(&strata.store(), &["rm", &name])?).await?;
        }
        strata
            .ask("DELETE", &format!("/images/{COMMITTED}"), Body::Empty)?
            .expect(200)?;

        if let Some(podman) = stock.podman.as_ref().filter(|_| contest.is_in("podman")) {
            let name = format!("bench-{run}");
            let create = [
                "create",
                "--name",
                &name,
                "--network=none",
                &stock.reference,
                "true",
            ];
            let created = measure(podman.command(&create)).await;
            settle().await?;
            let run = match created {
                Ok(_) => measure(podman.command(&["commit", "--quiet", &name, COMMITTED])).await,
                Err(error) => Err(error),
            };
            contest.peer("podman", run);
        }
    }
    contest.show(table);
    Ok(())
}

/// The image is there under the ID that was answered, and has the layers of what it was made from.
fn committed(strata: &Served, id: &Value) -> Result<()> {
    let layers = |name: &str| {
        let found = strata.ask("GET", &format!("/images/{name}/json"), Body::Empty)?;
        anyhow::Ok(found.expect(200)?.json()?)
    };
    let (made, from) = (layers(COMMITTED)?, layers(NAME)?);
    ensure!(
        &made["Id"] == id,
        "committed as {id}, but the name leads to {}",
        made["Id"]
    );
    ensure!(
        made["RootFS"]["Layers"] == from["RootFS"]["Layers"],
        "committed with other layers: {}",
        made["RootFS"]
    );
    Ok(())
}
