//! Loads of an archive of plain layers: into an empty store, once more, and the end of its image.

use crate::Options;
use crate::contest::Contest;
use crate::fixture::{Debian, NAME};
use crate::peer::{Peers, knows, measure, place, settle, strata_command, with_look};
use crate::served::Served;
use crate::table::{Table, time};
use crate::wire::Body;
use anyhow::{Result, ensure};
use std::path::Path;
use tokio::process::Command;

/// The operation's path.
pub(crate) const LOAD: &str = "/images/load";

/// What is measured of one archive.
struct Contests {
    first: Contest,
    again: Contest,
    delete: Contest,
}

/// The image of eleven layers: into an empty store, once more, and deleted.
pub(crate) async fn archive(
    options: &Options,
    image: &Debian,
    peers: &Peers,
    table: &mut Table,
) -> Result<()> {
    let archive = image.plain_archive()?;
    let mut contests = Contests {
        first: Contest::new("load of plain layers", "≤ 0.3 ×"),
        again: Contest::new("second load of the same", "≤ 0.5 × the first"),
        delete: Contest::new("delete of that image", "≤ 20 ms"),
    };
    let command = knows("load").await?;
    if !command {
        table.note("load: this build has no `strata load`");
    }
    for run in 1..=options.runs {
        eprintln!("load, run {run} of {}", options.runs);
        if !served(&archive, image, &mut contests).await? {
            break;
        }
        if command {
            by_command(&archive, &mut contests).await?;
        }
        by_skopeo(&archive, &mut contests).await?;
        by_podman(&archive, peers, &mut contests).await?;
        by_ctr(&archive, peers, &mut contests).await?;
        by_docker(&archive, peers, &mut contests).await?;
    }
    contests.first.show(table);
    contests.again.show(table);
    if let (Some(first), Some(again)) = (
        contests.first.of_ours("strata serve"),
        contests.again.of_ours("strata serve"),
    ) {
        let ratio = again.as_secs_f64() / first.as_secs_f64().max(f64::EPSILON);
        let beside = format!("first {} → {ratio:.2} ×", time(first));
        table.row(
            "second load beside the first, strata serve",
            time(again),
            beside,
            "≤ 0.5 ×",
        );
    }
    contests.delete.show(table);
    Ok(())
}

/// `false` where the server does not know how to load.
async fn served(archive: &Path, image: &Debian, contests: &mut Contests) -> Result<bool> {
    let served = Served::start().await?;
    for contest in [&mut contests.first, &mut contests.again] {
        settle().await?;
        let (run, answer) = served.timed(|wire| wire.send("POST", LOAD, Body::File(archive)))?;
        if answer.status == 501 {
            return Ok(false);
        }
        answer.expect(200)?;
        let found = served
            .ask("GET", &format!("/images/{NAME}/json"), Body::Empty)?
            .expect(200)?;
        let found = found.json()?["RootFS"]["Layers"].clone();
        let diff_ids: Vec<&str> = image
            .layers
            .iter()
            .map(|layer| layer.diff_id.as_str())
            .collect();
        ensure!(
            found == serde_json::json!(diff_ids),
            "loaded, but with the layers {found}"
        );
        contest.ours("strata serve", run);
    }
    settle().await?;
    let path = format!("/images/{NAME}");
    let (run, answer) = served.timed(|wire| wire.send("DELETE", &path, Body::Empty))?;
    answer.expect(200)?;
    let blobs = std::fs::read_dir(served.store().join("blobs/sha256"))?.count();
    ensure!(blobs == 0, "{blobs} blobs are left after the delete");
    contests.delete.ours("strata serve", run);
    served.stop().await?;
    Ok(true)
}

async fn by_command(archive: &Path, contests: &mut Contests) -> Result<()> {
    let folder = place()?;
    let (store, archive) = (folder.path().join("store"), archive.display().to_string());
    for contest in [&mut contests.first, &mut contests.again] {
        settle().await?;
        let load = strata_command(&store, &["load", "--input", &archive])?;
        contest.ours("strata load", measure(load).await?);
        measure(strata_command(&store, &["inspect", NAME])?).await?;
    }
    settle().await?;
    let delete = strata_command(&store, &["rmi", NAME])?;
    contests.delete.ours("strata rmi", measure(delete).await?);
    Ok(())
}

/// Into an OCI layout, compressing as it does on its own accord, and keeping the layers plain as strata does.
async fn by_skopeo(archive: &Path, contests: &mut Contests) -> Result<()> {
    let plain = "--dest-oci-accept-uncompressed-layers";
    for (name, option) in [("skopeo oci", None), ("skopeo oci plain", Some(plain))] {
        let folder = place()?;
        let target = format!("oci:{}:{NAME}", folder.path().join("layout").display());
        for contest in [&mut contests.first, &mut contests.again] {
            if !contest.is_in(name) {
                continue;
            }
            settle().await?;
            let mut skopeo = Command::new("skopeo");
            skopeo
                .args(["--insecure-policy", "copy", "--quiet"])
                .args(option);
            skopeo
                .arg(format!("docker-archive:{}", archive.display()))
                .arg(&target);
            contest.peer(name, measure(skopeo).await);
            let mut inspect = Command::new("skopeo");
            measure({
                inspect.arg("inspect").arg(&target);
                inspect
            })
            .await?;
        }
    }
    Ok(())
}

async fn by_podman(archive: &Path, peers: &Peers, contests: &mut Contests) -> Result<()> {
    let (name, archive) = ("podman", archive.display().to_string());
    let Some(podman) = peers.podman_store()?.filter(|_| contests.are_in(name)) else {
        return Ok(());
    };
    contests
        .all(
            name,
            || podman.command(&["load", "--quiet", "--input", &archive]),
            || podman.command(&["image", "exists", NAME]),
            || podman.command(&["rmi", NAME]),
        )
        .await
}

/// A label fails where there is no such image. As ctr does on its own accord, with a snapshot of every layer, and storing the content alone as strata does.
async fn by_ctr(archive: &Path, peers: &Peers, contests: &mut Contests) -> Result<()> {
    let archive = archive.display().to_string();
    for (name, option) in [("ctr", None), ("ctr --no-unpack", Some("--no-unpack"))] {
        if !contests.are_in(name) {
            continue;
        }
        let Some(containerd) = peers.containerd().await? else {
            return Ok(());
        };
        let import = || {
            let mut import = containerd.ctr(&["images", "import"]);
            import.args(option).arg(&archive);
            import
        };
        contests
            .all(
                name,
                import,
                || containerd.ctr(&["images", "label", NAME, "looked=for"]),
                || containerd.ctr(&["images", "rm", "--sync", NAME]),
            )
            .await?;
        containerd.stop().await?;
    }
    Ok(())
}

async fn by_docker(archive: &Path, peers: &Peers, contests: &mut Contests) -> Result<()> {
    let (name, archive) = ("dockerd", archive.display().to_string());
    if !contests.are_in(name) {
        return Ok(());
    }
    let Some(dockerd) = peers.dockerd().await? else {
        return Ok(());
    };
    contests
        .all(
            name,
            || dockerd.docker(&["load", "--quiet", "--input", &archive]),
            || dockerd.docker(&["image", "inspect", NAME]),
            || dockerd.docker(&["rmi", NAME]),
        )
        .await?;
    dockerd.stop().await
}

impl Contests {
    fn are_in(&self, name: &str) -> bool {
        [&self.first, &self.again, &self.delete]
            .iter()
            .all(|contest| contest.is_in(name))
    }

    /// Loads twice, looking for the image each time, and deletes it.
    async fn all(
        &mut self,
        name: &'static str,
        load: impl Fn() -> Command,
        look: impl Fn() -> Command,
        delete: impl Fn() -> Command,
    ) -> Result<()> {
        for contest in [&mut self.first, &mut self.again] {
            settle().await?;
            contest.peer(name, with_look(measure(load()).await, &look).await);
            if !contest.is_in(name) {
                return Ok(());
            }
        }
        settle().await?;
        self.delete.peer(name, measure(delete()).await);
        Ok(())
    }
}
