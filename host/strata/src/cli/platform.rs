//! `OS/ARCH[/VARIANT]` as people type it. What it matches is decided by the engine.

use anyhow::bail;
use strata::types::Platform;

/// Reads a platform, with the common spellings of other tools (`aarch64`, `x86_64`).
///
/// # Errors
///
/// If it has not two or three parts of letters, digits, `_`, `.` and `-`.
pub(crate) fn parse(text: &str) -> anyhow::Result<Platform> {
    let lower = text.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('/').collect();
    let word = |part: &&str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        !part.is_empty() && part.chars().all(allowed)
    };
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some(variant)),
        _ => bail!("platform `{text}` is not OS/ARCH[/VARIANT], such as linux/arm64"),
    };
    if !parts.iter().all(word) {
        bail!("platform `{text}` is not OS/ARCH[/VARIANT], such as linux/arm64");
    }
    let (architecture, variant) = match (architecture, variant) {
        ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
        ("aarch64", variant) => ("arm64", variant),
        ("i386", _) => ("386", None),
        ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7")),
        ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
        ("arm", Some("5")) => ("arm", Some("v5")),
        other => other,
    };
    Ok(Platform {
        os: if os == "macos" {
            "darwin".into()
        } else {
            os.into()
        },
        architecture: architecture.into(),
        variant: variant.map(Into::into),
        os_version: None,
    })
}

/// The one spelling of a platform.
pub(crate) fn text(platform: &Platform) -> String {
    let variant = platform.variant.as_deref();
    let parts = [Some(&*platform.os), Some(&*platform.architecture), variant];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_in_every_common_spelling() {
        for (text, os, architecture, variant) in [
            ("linux/amd64", "linux", "amd64", None),
            ("Linux/x86_64", "linux", "amd64", None),
            ("linux/amd64/v3", "linux", "amd64", Some("v3")),
            ("linux/aarch64", "linux", "arm64", None),
            ("linux/arm64/v8", "linux", "arm64", None),
            ("linux/arm", "linux", "arm", Some("v7")),
            ("linux/arm/v6", "linux", "arm", Some("v6")),
            ("linux/armhf", "linux", "arm", Some("v7")),
            ("linux/i386", "linux", "386", None),
            ("linux/riscv64", "linux", "riscv64", None),
        ] {
            let platform = parse(text).unwrap();
            assert_eq!(platform.os, os, "{text}");
            assert_eq!(platform.architecture, architecture, "{text}");
            assert_eq!(platform.variant.as_deref(), variant, "{text}");
        }
        assert_eq!(super::text(&parse("Linux/armhf").unwrap()), "linux/arm/v7");
        for text in ["", "linux", "linux/", "/amd64", "linux/a/b/c", "linux/*"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
