//! Names of members in any case.

/// Which of `names` a member is: the exact one, else the first that differs in case only.
pub(super) fn find(names: &[&str], key: &str) -> Option<usize> {
    let exact = names.iter().position(|name| *name == key);
    exact.or_else(|| names.iter().position(|name| is_same(name, key)))
}

/// Whether a key is `name` but for case. `name` is ASCII.
pub(super) fn is_same(name: &str, key: &str) -> bool {
    name.chars().map(fold).eq(key.chars().map(fold))
}

/// One character for all cases of a letter. Beyond ASCII two have a case there: the Kelvin sign and the long s.
fn fold(character: char) -> char {
    match character {
        '\u{212a}' => 'K',
        '\u{17f}' => 'S',
        other => other.to_ascii_uppercase(),
    }
}
