//! Which processor runs another's programs, and in which order of preference.
//!
//! The order is that of `compare.go` in <https://github.com/containerd/platforms>. It is computed from the version
//! numbers, not listed, because the wanted variant comes from a request and may name an absurd version.

/// An architecture and a variant, normalised.
type Processor<'a> = (&'a str, Option<&'a str>);

/// The oldest 32-bit ARM version images are built for.
const OLDEST_ARM: usize = 5;

/// How well `candidate`'s programs run on `wanted`: 0 is best, `None` is not at all.
pub(super) fn processor(wanted: Processor<'_>, candidate: Processor<'_>) -> Option<usize> {
    if wanted == candidate {
        return Some(0);
    }
    match wanted {
        ("amd64", variant) => amd64(variant, candidate),
        ("arm", Some(variant)) => older_arm(version(variant)?, candidate),
        ("arm64", variant) => arm64(Feature::of(variant)?, candidate),
        _ => None,
    }
}

/// `vN` runs v(N-1) … v2, v1 (written without variant), then 386.
fn amd64(variant: Option<&str>, candidate: Processor<'_>) -> Option<usize> {
    let level = variant.and_then(version).unwrap_or(1).max(1);
    let older = match candidate {
        ("amd64", None) => 1,
        ("amd64", Some(variant)) => version(variant)?,
        ("386", None) => return Some(level),
        _ => return None,
    };
    (1..level).contains(&older).then(|| level - older)
}

/// `arm/vN` runs v(N-1) … v5.
fn older_arm(newest: usize, candidate: Processor<'_>) -> Option<usize> {
    let ("arm", Some(variant)) = candidate else {
        return None;
    };
    let older = version(variant)?;
    (OLDEST_ARM..newest)
        .contains(&older)
        .then(|| newest - older)
}

/// A 64-bit ARM version: `v8`, `v8.4`, `v9.1`.
#[derive(Clone, Copy)]
struct Feature {
    major: usize,
    minor: usize,
}

impl Feature {
    fn of(variant: Option<&str>) -> Option<Self> {
        let variant = variant.unwrap_or("v8");
        let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
        match (version(major)?, minor.as_bytes()) {
            // No minor version has two digits: longer ones are not understood, as in containerd.
            (major @ (8 | 9), [digit @ b'0'..=b'9']) => Some(Self {
                major,
                minor: usize::from(digit - b'0'),
            }),
            _ => None,
        }
    }
}

/// Lower minor versions, then (from v9.x) v8.(x+5) and lower, then 32-bit ARM from v8 down.
fn arm64(wanted: Feature, candidate: Processor<'_>) -> Option<usize> {
    /// v9.0 contains v8.5.
    const V9_AHEAD: usize = 5;

    // The number of 64-bit versions before the first v8 one, and the minor version of that one.
    let (v8_start, v8_newest) = match wanted.major {
        9 => (wanted.minor + 1, wanted.minor + V9_AHEAD),
        _ => (0, wanted.minor),
    };
    if candidate.0 == "arm" {
        let arm_start = v8_start + v8_newest;
        return older_arm(9, candidate).map(|older| arm_start + older);
    }
    if candidate.0 != "arm64" {
        return None;
    }
    let candidate = Feature::of(candidate.1)?;
    match (wanted.major, candidate.major) {
        (9, 9) => wanted.minor.checked_sub(candidate.minor),
        (_, 8) => Some(v8_start + v8_newest.checked_sub(candidate.minor)?),
        _ => None,
    }
}

/// The number of `vN`, `None` for other spellings.
fn version(variant: &str) -> Option<usize> {
    let digits = variant.strip_prefix('v')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
