//! `OS/ARCH[/VARIANT]` as people type it. What it matches is decided by the engine.

use anyhow::bail;
use strata::types::Platform;

/// Reads a platform, with the common spellings of other tools (`aarch64`, `x86_64`).
///
/// # Errors
///
/// If it is not a platform, or one of its first two parts is left out.
pub(crate) fn parse(text: &str) -> anyhow::Result<Platform> {
    let parsed = strata_oci::Platform::parse(text, &strata_oci::Platform::default());
    let Some(platform) = parsed.ok().filter(|_| text.contains('/')) else {
        bail!("platform `{text}` is not OS/ARCH[/VARIANT], such as linux/arm64");
    };
    let platform = platform.normalized();
    Ok(Platform {
        os: platform.os,
        architecture: platform.architecture,
        variant: platform.variant,
        os_version: platform.os_version,
    })
}

/// The one spelling of a platform.
pub(crate) fn text(platform: &Platform) -> String {
    let Platform {
        os,
        architecture,
        variant,
        os_version,
    } = platform.clone();
    let platform = strata_oci::Platform {
        os,
        architecture,
        variant,
        os_version,
        ..strata_oci::Platform::default()
    };
    platform.format()
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
