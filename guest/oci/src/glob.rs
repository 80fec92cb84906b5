//! Shell patterns as Go's `path.Match` reads them: the `reference` filter of image lists (docker §4.1).
//!
//! `*` stands for any characters but `/`, `?` for one character but `/`, `[a-z]` and `[^a-z]` for one
//! character in or not in the class (even `/`), and `\` takes the next character literally. There is no `**`.

/// The pattern has an unclosed or empty class, a bad range, or ends in a backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

enum Term {
    /// Any run of characters without `/`.
    Star,
    /// Any one character but `/`.
    Any,
    Literal(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Term {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => c != '/',
            Self::Literal(literal) => *literal == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| low <= c && c <= high) != *negated
            }
        }
    }
}

/// Whether the whole of `name` follows `pattern`. Time is at most proportional to the product of the lengths.
///
/// # Errors
/// [`BadPattern`], whatever `name` is.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let terms = compile(pattern)?;
    let name: Vec<char> = name.chars().collect();
    let (mut at_term, mut at_char) = (0, 0);
    // The last star seen, and how far it reaches. Earlier stars need no second try: a later star could
    // have taken whatever they gave up. (Go does the same, so classes that match `/` agree too.)
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (terms.get(at_term), name.get(at_char)) {
            (None, None) => return Ok(true),
            (Some(Term::Star), _) => {
                star = Some((at_term, at_char));
                at_term += 1;
                continue;
            }
            (Some(term), Some(&c)) if term.accepts(c) => {
                at_term += 1;
                at_char += 1;
                continue;
            }
            _ => {}
        }
        match star {
            Some((term, reach)) if name.get(reach).is_some_and(|&c| c != '/') => {
                star = Some((term, reach + 1));
                at_term = term + 1;
                at_char = reach + 1;
            }
            _ => return Ok(false),
        }
    }
}

fn compile(pattern: &str) -> Result<Vec<Term>, BadPattern> {
    let mut terms = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        terms.push(match c {
            '*' => Term::Star,
            '?' => Term::Any,
            '\\' => Term::Literal(rest.next().ok_or(BadPattern)?),
            '[' => class(&mut rest)?,
            literal => Term::Literal(literal),
        });
    }
    Ok(terms)
}

/// Reads a class after its `[`, including the `]`.
fn class(rest: &mut std::str::Chars<'_>) -> Result<Term, BadPattern> {
    let negated = take(rest, '^');
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && take(rest, ']') {
            return Ok(Term::Class { negated, ranges });
        }
        let low = class_char(rest)?;
        let high = if take(rest, '-') {
            class_char(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

fn class_char(rest: &mut std::str::Chars<'_>) -> Result<char, BadPattern> {
    match rest.next() {
        None | Some('-' | ']') => Err(BadPattern),
        Some('\\') => rest.next().ok_or(BadPattern),
        Some(c) => Ok(c),
    }
}

fn take(rest: &mut std::str::Chars<'_>, wanted: char) -> bool {
    let found = rest.as_str().starts_with(wanted);
    if found {
        rest.next();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{BadPattern, matches};

    #[test]
    fn matches_like_go() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("abcd", "abc", false),
            ("*", "abc", true),
            ("*", "", true),
            ("*", "a/b", false),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("*/b", "a/b", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[b-d]", "abb", true),
            ("ab[b-d]", "abd", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a?b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("a[^a]b", "a☺b", true),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a[^x]b", "a/b", true),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[*]", "*", true),
            ("[*]", "a", false),
            ("[[]", "[", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("*x", "xxx", true),
            ("*aab", "aaab", true),
            ("**", "abc", true),
            ("a**/b", "ax/b", true),
            ("*[^q]*c", "xy/c", false),
        ] {
            assert_eq!(matches(pattern, name), Ok(expected), "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn refuses_bad_patterns_whatever_the_name() {
        for pattern in [
            "[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "[^]", "a[", "a[-b]", "[a-b-c]",
            "\\", "[a\\", "[a", "[a-", "x*[",
        ] {
            for name in ["", "a", "zz"] {
                assert_eq!(matches(pattern, name), Err(BadPattern), "{pattern:?}");
            }
        }
        assert_eq!(BadPattern.to_string(), "syntax error in pattern");
    }

    #[test]
    fn many_stars_stay_cheap() {
        // Exponential backtracking would not end within the age of the universe.
        let pattern = "a*".repeat(500) + "b";
        assert_eq!(matches(&pattern, &"a".repeat(5_000)), Ok(false));
    }
}
