//! The little the command line must know about references: whose credentials to look up, and how
//! docker words progress. Whether a reference is valid is the engine's business.

/// The host of Docker Hub in references.
pub(crate) const HUB: &str = "docker.io";

/// The registry of a reference as typed: what comes before the first `/`, if it can be a host.
pub(crate) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if is_host(first) && first != "index.docker.io" => first,
        _ => HUB,
    }
}

/// `alpine` and `library/alpine` are paths on Docker Hub; hosts have a dot, a port or a capital.
fn is_host(segment: &str) -> bool {
    let marked = |c: char| c == '.' || c == ':' || c.is_ascii_uppercase();
    segment == "localhost" || segment.contains(marked)
}

/// The short form of a canonical reference: `alpine:latest` for `docker.io/library/alpine:latest`.
pub(crate) fn familiar(canonical: &str) -> &str {
    let Some(path) = canonical.strip_prefix("docker.io/") else {
        return canonical;
    };
    match path.strip_prefix("library/") {
        Some(name) if !name.contains('/') => name,
        _ => path,
    }
}

/// Repository path without its registry, and the tag, of a canonical reference. One with a digest
/// has no tag.
pub(crate) fn path_and_tag(canonical: &str) -> (&str, Option<&str>) {
    let path = canonical
        .split_once('/')
        .map_or(canonical, |(_, path)| path);
    match path.split_once('@') {
        Some((path, _)) => (path.rsplit_once(':').map_or(path, |(path, _)| path), None),
        None => match path.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (path, None),
        },
    }
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
            ("localhost:5000/app@sha256:00", "localhost:5000"),
            ("[::1]:5000/app", "[::1]:5000"),
            ("HOST/app", "HOST"),
        ] {
            assert_eq!(registry(reference), host, "{reference}");
        }
    }

    #[test]
    fn canonical_references_are_shortened_and_split() {
        assert_eq!(familiar("docker.io/library/alpine:3"), "alpine:3");
        assert_eq!(familiar("docker.io/library/a/b:3"), "library/a/b:3");
        assert_eq!(familiar("docker.io/org/app"), "org/app");
        assert_eq!(familiar("ghcr.io/org/app"), "ghcr.io/org/app");
        assert_eq!(
            path_and_tag("docker.io/library/alpine:3"),
            ("library/alpine", Some("3"))
        );
        assert_eq!(path_and_tag("localhost:5000/app"), ("app", None));
        assert_eq!(path_and_tag("ghcr.io/o/app:1@sha256:00"), ("o/app", None));
    }
}
