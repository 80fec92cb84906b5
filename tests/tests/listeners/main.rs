//! Who may ask, over what, and what the HTTP face takes before any operation begins.

mod browser;
mod connections;
mod default;
mod inherited;
mod requests;
mod tls;

use anyhow::Result;
use hyper::Method;
use std::path::Path;
use strata_tests::debian::{Content, Entry};
use strata_tests::layer;
use strata_tests::server::Server;

/// A server with an image of one file of this many bytes, `some/image:1`.
async fn furnished(store: &Path, args: &[&str], size: usize) -> Result<Server> {
    let server = Server::start(store, args).await?;
    import(&server, "some/image", size).await?;
    Ok(server)
}

/// Makes `name:1` of a file of this many bytes.
async fn import(server: &Server, name: &str, size: usize) -> Result<()> {
    let path = format!("/images/create?fromSrc=-&repo={name}&tag=1");
    let answer = server.http.send(Method::POST, &path, &[], tar(size)?);
    answer.await?.expect_status(&[200])?;
    Ok(())
}

/// An archive of one file.
fn tar(size: usize) -> Result<Vec<u8>> {
    layer::tar(&[Entry {
        path: "file".to_owned(),
        mode: 0o644,
        content: Content::File(layer::noise(7, size).into()),
    }])
}
