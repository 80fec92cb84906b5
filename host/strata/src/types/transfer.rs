//! What is pulled and pushed, with whose credentials.

use super::{Platform, RegistryAuth};
use crate::bindings::exports::strata::image::transfer as wire;

/// What to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// A reference. Without tag and digest every tag is pulled if `all_tags` is set, else
    /// `latest`.
    pub reference: String,
    /// Pull every tag of the repository.
    pub all_tags: bool,
    /// The platforms to choose from an index, each of which it must have; empty is the host's
    /// best.
    pub platforms: Vec<Platform>,
    /// Pull all that an index lists, so that a push can send it whole.
    pub all_platforms: bool,
    /// Credentials for the reference's registry.
    pub auth: RegistryAuth,
}

/// What to push.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// A reference. Without tag every tag of the repository that is here is pushed if `all_tags`
    /// is set, else `latest`.
    pub reference: String,
    /// Push every tag of the repository.
    pub all_tags: bool,
    /// Push only this platform's manifest, under the tag; `None` is all of the image.
    pub platform: Option<Platform>,
    /// Credentials for the reference's registry.
    pub auth: RegistryAuth,
}

impl PullOptions {
    /// As the component takes them. What it gives has a `Debug` that prints secrets.
    pub(crate) fn into_wire(self) -> wire::PullOptions {
        wire::PullOptions {
            reference: self.reference,
            all_tags: self.all_tags,
            platforms: self.platforms,
            all_platforms: self.all_platforms,
            auth: self.auth.into_wire(),
        }
    }
}

impl PushOptions {
    /// As the component takes them. What it gives has a `Debug` that prints secrets.
    pub(crate) fn into_wire(self) -> wire::PushOptions {
        wire::PushOptions {
            reference: self.reference,
            all_tags: self.all_tags,
            platform: self.platform,
            auth: self.auth.into_wire(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_can_be_printed_without_their_secrets() {
        let secret = || "hunter2".into();
        for auth in [
            RegistryAuth::Basic {
                username: "hunter2".into(),
                password: secret(),
            },
            RegistryAuth::IdentityToken(secret()),
            RegistryAuth::RegistryToken(secret()),
        ] {
            let pull = PullOptions {
                reference: "a".into(),
                auth: auth.clone(),
                ..PullOptions::default()
            };
            let push = PushOptions {
                reference: "a".into(),
                auth,
                ..PushOptions::default()
            };
            let shown = format!(
                "{pull:?} {pull:#?} {push:?} {push:#?} {:?}",
                super::super::Secret::from("hunter2")
            );
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
