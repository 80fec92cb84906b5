//! Whom a registry sees: the user that was named, or what `docker login` has stored.

use std::io;

use anyhow::Context as _;
use strata::types::{RegistryAuth, Secret};

use super::arguments::Login;
use super::credential_helper::Helpers;
use super::credentials::Sources;
use super::reference::registry;
use super::terminal::Terminal;

/// Passwords and tokens are shorter; more on stdin is a mistake.
const PASSWORD_LIMIT: u64 = 64 << 10;

/// The credentials for the registry of a reference.
///
/// # Errors
///
/// If there is no password on stdin, or the docker CLI's settings make no sense.
pub(crate) async fn credentials(
    login: &Login,
    reference: &str,
    sources: &Sources,
    terminal: &Terminal,
) -> anyhow::Result<RegistryAuth> {
    match &login.username {
        Some(user) => {
            let password = password_from_stdin().await?;
            Ok(RegistryAuth::Basic {
                username: user.clone(),
                password,
            })
        }
        None => {
            let (registry, helpers) = (registry(reference), Helpers::default());
            sources.credentials(&registry, &helpers, terminal).await
        }
    }
}

/// All of stdin, without the line break that `echo` adds.
async fn password_from_stdin() -> anyhow::Result<Secret> {
    let read = tokio::task::spawn_blocking(|| {
        let mut password = String::new();
        let stdin = io::Read::take(io::stdin(), PASSWORD_LIMIT);
        io::read_to_string(stdin)
            .map(|text| password.push_str(text.trim_end_matches(['\r', '\n'])))?;
        Ok::<_, io::Error>(password)
    });
    let password = read.await?.context("cannot read the password from stdin")?;
    anyhow::ensure!(!password.is_empty(), "there is no password on stdin");
    Ok(password.into())
}
