//! What a client is told before it asks: who it is, whom it may ask how, and with which credentials.

use std::fmt;

use crate::Secret;

/// A registry to try before the one in the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Registry host as in references, for example `docker.io`.
    pub host: String,
    /// Base URL without `/v2`, for example `http://127.0.0.1:5000`.
    pub url: String,
}

/// What is the same for every repository.
#[derive(Clone, Copy, Debug)]
pub struct RegistrySettings<'s> {
    /// The client's version, for its `User-Agent`.
    pub version: &'s str,
    /// Mirrors, tried in order by what only reads.
    pub mirrors: &'s [Mirror],
    /// `host` or `host:port` that may be reached by plain HTTP besides loopback.
    pub insecure: &'s [String],
}

/// Credentials for one registry.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum RegistryAuth {
    /// None.
    #[default]
    Anonymous,
    /// User name and password or access token.
    Basic {
        /// User name.
        username: String,
        /// Password or access token.
        password: Secret,
    },
    /// OAuth2 refresh token.
    IdentityToken(Secret),
    /// Bearer token sent as it is.
    RegistryToken(Secret),
}

impl fmt::Debug for RegistryAuth {
    /// Names the kind only: secrets never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Basic { .. } => "basic",
            Self::IdentityToken(_) => "identity-token",
            Self::RegistryToken(_) => "registry-token",
        })
    }
}
