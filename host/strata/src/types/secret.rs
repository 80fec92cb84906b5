//! What is never shown.

use std::fmt;

use crate::bindings::strata::image::types as wire;

/// A password or token. Its `Debug` shows nothing, it has no `Display`, and what reads it says so
/// by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, to be given to whom it is for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Credentials for one registry. Never stored, logged or echoed.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum RegistryAuth {
    /// No credentials.
    #[default]
    Anonymous,
    /// User name and password, or personal access token.
    Basic {
        /// User name.
        username: String,
        /// Password or personal access token.
        password: Secret,
    },
    /// An OAuth2 refresh token (Docker's `identitytoken`).
    IdentityToken(Secret),
    /// A bearer token sent as it is (Docker's `registrytoken`).
    RegistryToken(Secret),
}

impl RegistryAuth {
    /// As the component takes it.
    pub(crate) fn into_wire(self) -> wire::RegistryAuth {
        match self {
            Self::Anonymous => wire::RegistryAuth::Anonymous,
            Self::Basic { username, password } => wire::RegistryAuth::Basic((username, password.0)),
            Self::IdentityToken(token) => wire::RegistryAuth::IdentityToken(token.0),
            Self::RegistryToken(token) => wire::RegistryAuth::RegistryToken(token.0),
        }
    }
}

impl fmt::Debug for RegistryAuth {
    /// Names the kind only: some registries take a token for the user name as well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Basic { .. } => "basic",
            Self::IdentityToken(_) => "identity-token",
            Self::RegistryToken(_) => "registry-token",
        })
    }
}
