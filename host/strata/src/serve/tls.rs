//! Mutual TLS, as Docker's clients know it (`DOCKER_TLS_VERIFY=1`): the server has a certificate,
//! and so has every client, from an authority that is named here.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{Error, Result};

/// A handshake takes two round trips; one that takes longer than this is cut.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// What Go's servers say to a client that speaks no TLS.
const NO_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
                        Client sent an HTTP request to an HTTPS server.\n";

/// The files of mutual TLS, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, with the intermediate ones behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose certificates clients may have.
    pub client_authorities: PathBuf,
}

/// Mutual TLS for every TCP listener. Clones share what was read.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::Setting`] if one cannot be read, or they do not fit together.
    pub fn new(files: TlsFiles) -> Result<Self> {
        let current = Arc::new(RwLock::new(read(&files)?));
        let files = Arc::new(files);
        Ok(Self { files, current })
    }

    /// Reads the files again. New connections get what they say now; those that there are stay.
    ///
    /// # Errors
    /// As [`Tls::new`]; what was read before stays in force then.
    pub fn reload(&self) -> Result<()> {
        let read = read(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    fn current(&self) -> Arc<ServerConfig> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Makes sure who the client is.
    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.current());
        let handshake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
                let mut stream = stream;
                stream.write_all(NO_TLS).await?;
                stream.shutdown().await?;
                return Err(std::io::Error::other("the client speaks no TLS"));
            }
            acceptor.accept(stream).await
        };
        tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await?
    }
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(ring::default_provider());
    let certificates = certificates("tls-cert", &files.certificate)?;
    let key = key(&files.key)?;
    let verifier = verifier(&files.client_authorities, &provider)?;
    let refused = |error: rustls::Error| setting("tls-cert", &files.certificate, &error);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(refused)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let key =
        PrivateKeyDer::from_pem_file(path).map_err(|error| setting("tls-key", path, &error))?;
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        tracing::warn!(
            "others than its owner may read the private key {}: make it `chmod 600`",
            path.display()
        );
    }
    Ok(key)
}

fn verifier(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
    const SETTING: &str = "tls-client-ca";
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(SETTING, path)? {
        let added = authorities.add(certificate);
        added.map_err(|error| setting(SETTING, path, &error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(provider))
        .build()
        .map_err(|error| setting(SETTING, path, &error))
}

/// All certificates of a PEM file, which must hold one.
fn certificates(name: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| setting(name, path, &error))?;
    if certificates.is_empty() {
        return Err(setting(name, path, &"it holds no certificate"));
    }
    Ok(certificates)
}

fn setting(name: &'static str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Setting {
        setting: name,
        reason: format!("cannot use {}: {error}", path.display()),
    }
}
