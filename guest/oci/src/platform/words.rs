//! The words of a platform: which are known, which are allowed, and the one spelling of each.
//!
//! They are those of `database.go` and `platforms.go` in <https://github.com/containerd/platforms>.

/// The pattern of a system in error texts; [`split_os`] implements it.
pub(super) const OS_PATTERN: &str = r"^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$";
/// The pattern of the other parts in error texts; [`is_component`] implements it.
pub(super) const COMPONENT_PATTERN: &str = "^[A-Za-z0-9_.-]+$";

/// Go's list of systems: what one word may name.
pub(super) const KNOWN_OS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// Go's list of architectures: what one word may name.
pub(super) const KNOWN_ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "ppc64",
    "ppc64le",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// Splits `os(version)`; an empty version is none.
pub(super) fn split_os(part: &str) -> Option<(&str, Option<&str>)> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let (os, version) = match part.split_once('(') {
        Some((os, rest)) => (os, rest.strip_suffix(')')?),
        None => (part, ""),
    };
    let fits = !os.is_empty()
        && os.bytes().all(is_word)
        && version.bytes().all(|b| is_word(b) || b == b'.');
    fits.then_some((os, (!version.is_empty()).then_some(version)))
}

pub(super) fn is_component(part: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    !part.is_empty() && part.bytes().all(allowed)
}

pub(super) fn normal_os(os: &str) -> String {
    match os.to_lowercase() {
        os if os == "macos" => "darwin".to_owned(),
        os => os,
    }
}

/// An architecture given without a variant: `arm` means `v7`, but does not show it.
pub(super) fn unversioned_arch(architecture: &str) -> (String, Option<String>) {
    let (architecture, variant) = normal_arch(architecture, "");
    let variant = variant.filter(|variant| architecture != "arm" || variant != "v7");
    (architecture, variant)
}

pub(super) fn normal_arch(architecture: &str, variant: &str) -> (String, Option<String>) {
    let (architecture, variant) = (architecture.to_lowercase(), variant.to_lowercase());
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    let variant = (!variant.is_empty()).then(|| variant.to_owned());
    (architecture.to_owned(), variant)
}
