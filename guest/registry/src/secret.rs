//! Text that is never shown.

use std::fmt;

/// A password or token. Its `Debug` shows nothing, it has no `Display`, and what reads it
/// says so by name.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// The text, to be sent to whom it is for.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RegistryAuth;

    #[test]
    fn a_secret_is_not_shown_wherever_it_is() {
        let secret = || Secret::from("hunter2");
        for auth in [
            RegistryAuth::Basic {
                username: "me".to_owned(),
                password: secret(),
            },
            RegistryAuth::IdentityToken(secret()),
            RegistryAuth::RegistryToken(secret()),
        ] {
            assert!(!format!("{auth:?} {auth:#?}").contains("hunter2"));
        }
        assert_eq!(format!("{:?}", secret()), "(secret)");
        assert_eq!(secret().expose(), "hunter2");
    }
}
