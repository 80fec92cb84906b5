//! What the command line asks of references: whose credentials to look up, and how docker words progress. What
//! does not parse is shown as it is: the engine says what is wrong with it.

use strata_oci::{Reference, reference::HUB};

/// The registry of a reference as typed.
pub(crate) fn registry(reference: &str) -> String {
    let parsed = Reference::parse(reference);
    parsed.map_or_else(|_| HUB.to_owned(), |parsed| parsed.domain().to_owned())
}

/// The short form of a reference: `alpine:latest` for `docker.io/library/alpine:latest`.
pub(crate) fn familiar(reference: &str) -> String {
    let parsed = Reference::parse(reference);
    parsed.map_or_else(|_| reference.to_owned(), |parsed| parsed.familiar())
}

/// A digest as tables show it: the first twelve digits.
pub(crate) fn short_digest(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_the_first_segment_if_it_can_be_a_host() {
        for (reference, host) in [
            ("alpine", "docker.io"),
            ("alpine:3.22", "docker.io"),
            ("org/app", "docker.io"),
            ("index.docker.io/org/app", "docker.io"),
            ("docker.io/alpine", "docker.io"),
            ("ghcr.io/org/app:1", "ghcr.io"),
            ("localhost/app", "localhost"),
            ("localhost:5000/app:1", "localhost:5000"),
            ("no reference", "docker.io"),
            ("[::1]:5000/app", "[::1]:5000"),
            ("HOST/app", "HOST"),
        ] {
            assert_eq!(registry(reference), host, "{reference}");
        }
    }

    #[test]
    fn references_are_shortened() {
        assert_eq!(familiar("docker.io/library/alpine:3"), "alpine:3");
        assert_eq!(familiar("docker.io/library/a/b:3"), "library/a/b:3");
        assert_eq!(familiar("docker.io/org/app"), "org/app");
        assert_eq!(familiar("ghcr.io/org/app"), "ghcr.io/org/app");
    }
}
