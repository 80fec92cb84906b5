//! Mutual TLS, as Docker's clients know it.

use super::{furnished, import};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::path::Path;
use std::process::Stdio;
use strata_tests::authority::Authority;
use strata_tests::client::{Docker, strata};
use strata_tests::poll::{until, within};
use strata_tests::raw::{Raw, ask};
use strata_tests::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// Files of a server, as they lie in a folder.
struct Files(tempfile::TempDir);

impl Files {
    fn of(authority: &Authority) -> Result<Self> {
        let files = Self(tempfile::tempdir()?);
        files.replace(authority)?;
        Ok(files)
    }

    fn replace(&self, authority: &Authority) -> Result<()> {
        let (certificate, key) = authority.server();
        std::fs::copy(certificate, self.0.path().join("cert.pem"))?;
        std::fs::copy(key, self.0.path().join("key.pem"))?;
        std::fs::copy(authority.certificate(), self.0.path().join("ca.pem"))?;
        Ok(())
    }

    fn options(&self) -> Vec<String> {
        let files = [
            ("--tls-cert", "cert.pem"),
            ("--tls-key", "key.pem"),
            ("--tls-client-ca", "ca.pem"),
        ];
        let path = |name: &str| self.0.path().join(name).display().to_string();
        files
            .iter()
            .flat_map(|(option, name)| [(*option).to_owned(), path(name)])
            .collect()
    }
}

async fn server(store: &Path, files: &Files) -> Result<Server> {
    let options = files.options();
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    arguments.extend(["--log", "info"]);
    Server::start(store, &arguments).await
}

fn docker(server: &Server, authority: &Authority) -> Result<Docker> {
    let docker = Docker::new(&server.host)?.verifying();
    authority.equip(docker.config())?;
    Ok(docker)
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_works_unchanged_and_nobody_without_a_certificate() -> Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let files = Files::of(&authority)?;
    let store = tempfile::tempdir()?;
    {
        let plain = furnished(store.path(), &[], 1 << 20).await?;
        import(&plain, "other/image", 10).await?;
        plain.terminate().await?;
    }
    let server = server(store.path(), &files).await?;
    // One that never ends its handshake stands in nobody's way.
    let _silent = Raw::tcp(&server.host).await?;

    let docker = docker(&server, &authority)?;
    let images = docker.run(&["images"]).await?.ok()?;
    ensure!(images.contains("some/image"), "{images}");
    let saved = docker.run(&["save", "some/image:1"]).await?.archive()?;
    ensure!(
        docker
            .fed(&["load"], &saved)
            .await?
            .ok()?
            .contains("some/image:1")
    );

    // A certificate of the server's authority, but a client's of another.
    let foreign = Docker::new(&server.host)?.verifying();
    stranger.equip(foreign.config())?;
    std::fs::copy(authority.certificate(), foreign.config().join("ca.pem"))?;
    foreign.run(&["images"]).await?.failed()?;
    // None at all.
    let (ca, host) = (authority.certificate(), server.host.clone());
    let mut without = Tls::connect(&host, &ca, None)?;
    // It may be gone by now, which is an answer as well.
    let asked = "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n";
    let _ = without.send(asked).await;
    ensure!(!without.rest().await?.contains("200 OK"));
    // No TLS.
    let plain = ask(
        &server.host,
        "GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await?;
    ensure!(plain.contains("HTTP request to an HTTPS server"), "{plain}");
    // A browser may hold a certificate.
    let mut page = Tls::connect(&host, &ca, Some(authority.client()))?;
    page.send("GET /images/json HTTP/1.1\r\nHost: any\r\nOrigin: null\r\n\r\n")
        .await?;
    page.until(" 403 ").await?;
    page.send("GET /_ping HTTP/1.1\r\nHost: any.example\r\n\r\n")
        .await?;
    page.until("200 OK").await?;
    server.terminate().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_without_a_restart() -> Result<()> {
    let (before, after) = (Authority::new()?, Authority::new()?);
    let files = Files::of(&before)?;
    let store = tempfile::tempdir()?;
    let server = server(store.path(), &files).await?;
    let mut open = Tls::connect(&server.host, &before.certificate(), Some(before.client()))?;
    let ping = "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n";
    open.send(ping).await?;
    open.until("200 OK").await?;

    // A key that does not belong to the certificate changes nothing.
    std::fs::copy(after.server().1, files.0.path().join("key.pem"))?;
    server.signal(Signal::HUP)?;
    logged(&server, "those read before stay").await?;
    docker(&server, &before)?.run(&["version"]).await?.ok()?;

    files.replace(&after)?;
    server.signal(Signal::HUP)?;
    logged(&server, "certificates were read again").await?;
    docker(&server, &after)?.run(&["version"]).await?.ok()?;
    docker(&server, &before)?
        .run(&["version"])
        .await?
        .failed()?;
    open.send(ping).await?;
    open.until("200 OK").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_others_may_read_is_warned_of() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let files = Files::of(&Authority::new()?)?;
    let key = files.0.path().join("key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    let store = tempfile::tempdir()?;
    let careful = server(store.path(), &files).await?;
    ensure!(
        !careful.log()?.contains("private key"),
        "{}",
        careful.log()?
    );
    careful.terminate().await?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640))?;
    let careless = server(store.path(), &files).await?;
    careless.logged("chmod 600").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_there_is_no_serving_without_certificates() -> Result<()> {
    let store = tempfile::tempdir()?;
    let store = store.path().display().to_string();
    let serve = ["serve", "--store", &store, "--listen", "tcp://0.0.0.0:0"];
    let refused = strata(&serve).await?.failed()?;
    ensure!(refused.contains("--tls-cert"), "{refused}");
    let half = strata(&[&serve[..], &["--tls-cert", "/nowhere"]].concat())
        .await?
        .failed()?;
    ensure!(half.contains("--tls-key and --tls-client-ca"), "{half}");
    Ok(())
}

async fn logged(server: &Server, words: &str) -> Result<()> {
    until(words, async || {
        server.log().ok()?.contains(words).then_some(())
    })
    .await
}

/// A TLS connection on which a test decides what is sent.
struct Tls(Child);

impl Tls {
    fn connect(
        host: &str,
        ca: &Path,
        client: Option<(std::path::PathBuf, std::path::PathBuf)>,
    ) -> Result<Self> {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-quiet", "-verify_return_error", "-connect"]);
        openssl
            .arg(host.trim_start_matches("tcp://"))
            .arg("-CAfile")
            .arg(ca);
        if let Some((certificate, key)) = client {
            openssl.arg("-cert").arg(certificate).arg("-key").arg(key);
        }
        openssl
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Ok(Self(openssl.kill_on_drop(true).spawn()?))
    }

    async fn send(&mut self, text: &str) -> Result<()> {
        let stdin = self.0.stdin.as_mut().context("closed")?;
        stdin.write_all(text.as_bytes()).await?;
        Ok(stdin.flush().await?)
    }

    async fn until(&mut self, words: &str) -> Result<()> {
        let stdout = self.0.stdout.as_mut().context("closed")?;
        let mut all = String::new();
        let reading = async {
            let mut piece = vec![0; 4096];
            while !all.contains(words) {
                let read = stdout.read(&mut piece).await?;
                ensure!(read > 0, "no {words:?} in {all:?}");
                all.push_str(&String::from_utf8_lossy(
                    piece.get(..read).unwrap_or_default(),
                ));
            }
            Ok(())
        };
        within(words, reading).await?
    }

    async fn rest(&mut self) -> Result<String> {
        let mut all = Vec::new();
        let stdout = self.0.stdout.as_mut().context("closed")?;
        within("the end of a connection", stdout.read_to_end(&mut all)).await??;
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}
