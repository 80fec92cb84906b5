//! Programs that keep credentials for the docker CLI: `docker-credential-NAME get` reads a server
//! address from stdin and answers in JSON on stdout.
//!
//! What a helper prints is never repeated in an error, since it may be a secret. Its stderr is
//! the user's: it may ask for a passphrase there.
//!
//! <https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol>

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use strata::types::RegistryAuth;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Long enough for a person to type a passphrase, short enough that a job in CI is not stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tokens have a few kilobytes; more than this is no answer.
const ANSWER_LIMIT: u64 = 1 << 20;
/// The user name that says: the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// What helpers print, with a failing status, when they know nothing about a server.
const NOT_FOUND: &str = "credentials not found";

/// How helpers are found and how long they may take.
#[derive(Debug, Clone)]
pub(crate) struct Helpers {
    /// Where they are; `None` for PATH.
    pub(crate) folder: Option<PathBuf>,
    /// How long one may take.
    pub(crate) patience: Duration,
}

impl Default for Helpers {
    fn default() -> Self {
        Helpers {
            folder: None,
            patience: PATIENCE,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: String,
}

impl Helpers {
    /// Asks the helper `name` for the credentials of `server`; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If the helper does not exist, fails, takes too long, or answers something else.
    pub(crate) async fn get(
        &self,
        name: &str,
        server: &str,
    ) -> anyhow::Result<Option<RegistryAuth>> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        ensure!(
            !name.is_empty() && name.chars().all(allowed),
            "`{name}` is not the name of a credential helper"
        );
        let program = format!("docker-credential-{name}");
        let asked = tokio::time::timeout(self.patience, self.ask(&program, server)).await;
        let (succeeded, answer) = match asked {
            Ok(answer) => answer?,
            Err(_) => bail!(
                "{program} did not answer within {} seconds",
                self.patience.as_secs_f32()
            ),
        };
        if !succeeded {
            let nothing = String::from_utf8_lossy(&answer)
                .trim()
                .starts_with(NOT_FOUND);
            ensure!(
                nothing,
                "{program} failed; to see why, run: echo {server} | {program} get"
            );
            return Ok(None);
        }
        // serde_json's own message could quote the answer.
        let answer: Answer = serde_json::from_slice(&answer)
            .ok()
            .with_context(|| format!("{program} did not answer with a user name and a secret"))?;
        Ok(match (answer.username.as_str(), answer.secret.as_str()) {
            (_, "") => None,
            (TOKEN_USER, _) => Some(RegistryAuth::IdentityToken(answer.secret.into())),
            _ => Some(RegistryAuth::Basic {
                username: answer.username,
                password: answer.secret.into(),
            }),
        })
    }

    /// Whether the program succeeded, and what it printed. Dropping the future kills it.
    async fn ask(&self, program: &str, server: &str) -> anyhow::Result<(bool, Vec<u8>)> {
        let path = self.folder.as_ref().map(|folder| folder.join(program));
        let mut helper = Command::new(path.unwrap_or_else(|| program.into()))
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run the credential helper {program}"))?;
        if let Some(mut stdin) = helper.stdin.take() {
            // One that does not read its input answers nevertheless, or fails for its own reason.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        let mut answer = Vec::new();
        if let Some(stdout) = helper.stdout.take() {
            let mut stdout = stdout.take(ANSWER_LIMIT);
            stdout
                .read_to_end(&mut answer)
                .await
                .with_context(|| format!("{program} stopped"))?;
        }
        let status = helper
            .wait()
            .await
            .with_context(|| format!("{program} is lost"))?;
        Ok((status.success(), answer))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use super::*;

    /// Puts a helper into a folder. Another process writes the file: were it this one, a fork of
    /// a test beside could hold it open for writing, and it would be too busy to be run.
    pub(crate) fn install(folder: &Path, name: &str, script: &str) {
        let path = folder.join(format!("docker-credential-{name}"));
        let mut writer = std::process::Command::new("sh")
            .args(["-c", "cat > \"$1\" && chmod +x \"$1\"", "sh"])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = writer.stdin.take().unwrap();
        write!(stdin, "#!/bin/sh\n{script}\n").unwrap();
        drop(stdin);
        assert!(writer.wait().unwrap().success());
    }

    fn helpers(folder: &Path) -> Helpers {
        Helpers {
            folder: Some(folder.into()),
            patience: Duration::from_secs(20),
        }
    }

    #[tokio::test]
    async fn a_helper_gets_the_server_and_answers_with_a_user() {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"printf '{"ServerURL":"x","Username":"%s","Secret":"%s"}' "$1" "$(cat)""#;
        install(folder.path(), "echo", script);
        let auth = helpers(folder.path()).get("echo", "ghcr.io").await.unwrap();
        assert!(
            matches!(auth, Some(RegistryAuth::Basic { username, password }) if username == "get" && password.expose() == "ghcr.io")
        );
    }

    #[tokio::test]
    async fn the_token_user_means_an_identity_token() {
        let folder = tempfile::tempdir().unwrap();
        install(
            folder.path(),
            "t",
            r#"echo '{"Username":"<token>","Secret":"abc"}'"#,
        );
        let auth = helpers(folder.path()).get("t", "ghcr.io").await.unwrap();
        assert!(
            matches!(auth, Some(RegistryAuth::IdentityToken(token)) if token.expose() == "abc")
        );
    }

    #[tokio::test]
    async fn a_helper_without_the_server_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo credentials not found in native keychain; exit 1";
        install(folder.path(), "none", script);
        assert!(
            helpers(folder.path())
                .get("none", "ghcr.io")
                .await
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn failures_are_clear_and_keep_secrets() {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), "fails", "echo hunter2; exit 3");
        install(folder.path(), "babbles", r#"echo '{"Secret": hunter2}'"#);
        for (name, words) in [
            ("fails", "docker-credential-fails failed"),
            ("babbles", "did not answer with a user name"),
            (
                "missing",
                "cannot run the credential helper docker-credential-missing",
            ),
            ("../x", "is not the name"),
        ] {
            let error = helpers(folder.path())
                .get(name, "ghcr.io")
                .await
                .unwrap_err();
            let message = format!("{error:#}");
            assert!(message.contains(words), "{message}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        install(
            folder.path(),
            "hangs",
            &format!("echo $$ > {}; exec sleep 600", pid.display()),
        );
        let helpers = Helpers {
            patience: Duration::from_millis(500),
            ..helpers(folder.path())
        };
        let error = helpers.get("hangs", "ghcr.io").await.unwrap_err();
        assert!(error.to_string().contains("within 0.5 seconds"), "{error}");
        let pid = std::fs::read_to_string(pid).unwrap();
        let status = format!("/proc/{}/status", pid.trim());
        // A killed process is gone or, until it is reaped, a zombie.
        let runs = || std::fs::read_to_string(&status).is_ok_and(|text| !text.contains("zombie"));
        for _ in 0..100 {
            if !runs() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the helper still runs");
    }
}
