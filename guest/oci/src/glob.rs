//! Shell patterns as Go's `path.Match` reads them: the `reference` filter of image lists.
//!
//! <https://pkg.go.dev/path#Match>
//!
//! `*` stands for any characters but `/`, `?` for one character but `/`, `[a-z]` and `[^a-z]` for one
//! character in or not in the class (even `/`), and `\` takes the next character literally. There is no `**`.

/// The longest pattern that is compiled, in bytes: longer than any name it could be meant for, since a repository
/// has at most 255 characters and a tag 128.
pub const MAX_PATTERN_BYTES: usize = 512;

/// The most terms of a part that is compared at each place: cheaper than masks, and still linear.
const SHORT: usize = 16;

/// Why a pattern is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// An unclosed or empty class, a bad range, or a backslash at the end.
    #[error("syntax error in pattern")]
    Syntax,
    /// More than [`MAX_PATTERN_BYTES`].
    #[error("pattern has {0} bytes, the limit is {MAX_PATTERN_BYTES}")]
    TooLong(usize),
}

/// One character of a name, or the start of any run of them.
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

/// A pattern taken apart once, for any number of names.
///
/// ```
/// use strata_oci::glob::Pattern;
///
/// let pattern = Pattern::compile("library/*")?;
/// let name: Vec<char> = "library/alpine".chars().collect();
/// assert!(pattern.matches(&name));
/// # Ok::<(), strata_oci::glob::BadPattern>(())
/// ```
pub struct Pattern {
    /// What comes before the first star.
    head: Part,
    /// What comes after each star.
    tails: Vec<Part>,
    /// The only name it matches, if it is one.
    literal: Option<String>,
}

/// Terms that match as many characters as there are of them.
struct Part {
    terms: Vec<Term>,
    /// For each ASCII character the terms that accept it, one bit a term, [`Part::words`] words a character.
    /// Empty for a short part.
    masks: Vec<u64>,
}

impl Part {
    fn new(terms: Vec<Term>) -> Self {
        let mut part = Self {
            masks: Vec::new(),
            terms,
        };
        if part.terms.len() > SHORT {
            part.masks = (0..128_u8).flat_map(|c| part.mask(char::from(c))).collect();
        }
        part
    }

    fn len(&self) -> usize {
        self.terms.len()
    }

    fn words(&self) -> usize {
        self.len().div_ceil(64)
    }

    /// The terms that accept `c`.
    fn mask(&self, c: char) -> Vec<u64> {
        let word = |terms: &[Term]| {
            let bits = terms.iter().enumerate();
            bits.fold(0, |word, (bit, term)| {
                word | u64::from(term.accepts(c)) << bit
            })
        };
        self.terms.chunks(64).map(word).collect()
    }

    /// Whether `name` starts with it.
    fn starts(&self, name: &[char]) -> bool {
        let pairs = self.terms.iter().zip(name);
        self.len() <= name.len() && { pairs }.all(|(term, c)| term.accepts(*c))
    }

    /// The end of the first place it is found at, if a star may skip what comes before.
    fn find(&self, name: &[char]) -> Option<usize> {
        // The star does not cross a slash.
        let starts = name.iter().position(|c| *c == '/').unwrap_or(name.len());
        if self.masks.is_empty() {
            let mut starts = 0..=starts;
            let start = starts.find(|at| name.get(*at..).is_some_and(|rest| self.starts(rest)));
            return start.map(|start| start + self.len());
        }
        // Shift-And: bit n says that the last n + 1 characters match as many terms.
        let words = self.words();
        let mut state = vec![0_u64; words];
        let last = 1_u64 << ((self.len() - 1) % 64);
        for (at, &c) in name.iter().enumerate() {
            let from = usize::try_from(u32::from(c)).unwrap_or(usize::MAX);
            let known = from
                .checked_mul(words)
                .and_then(|from| self.masks.get(from..from + words));
            let made;
            let mask = match known {
                Some(mask) => mask,
                None => {
                    made = self.mask(c);
                    &made
                }
            };
            let mut carry = u64::from(at <= starts);
            for (word, mask) in state.iter_mut().zip(mask) {
                let next = *word >> 63;
                *word = (*word << 1 | carry) & mask;
                carry = next;
            }
            if state.last().is_some_and(|word| word & last != 0) {
                return Some(at + 1);
            }
            if at >= starts && state.iter().all(|word| *word == 0) {
                return None;
            }
        }
        None
    }
}

impl Pattern {
    /// Takes a pattern apart.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn compile(pattern: &str) -> Result<Self, BadPattern> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(BadPattern::TooLong(pattern.len()));
        }
        let mut parts = vec![Vec::new()];
        for term in compile(pattern)? {
            match (term, parts.last_mut()) {
                (Term::Star, _) | (_, None) => parts.push(Vec::new()),
                (term, Some(part)) => part.push(term),
            }
        }
        let literal = |term: &Term| match term {
            Term::Literal(c) => Some(*c),
            _ => None,
        };
        let literal = match &parts[..] {
            [only] => only.iter().map(literal).collect(),
            _ => None,
        };
        let mut parts = parts.into_iter().map(Part::new);
        Ok(Self {
            head: parts.next().unwrap_or_else(|| Part::new(Vec::new())),
            tails: parts.collect(),
            literal,
        })
    }

    /// The only name it matches, if it is one.
    pub fn literal(&self) -> Option<&str> {
        self.literal.as_deref()
    }

    /// Whether the whole of `name` follows the pattern. The time is proportional to the length of the name, for
    /// each 64 characters of the pattern.
    ///
    /// As in Go each part is taken where it is first found. A later star could have taken whatever an earlier one
    /// gave up, except across a `/` that a class matches: then both say no.
    pub fn matches(&self, name: &[char]) -> bool {
        let Some((last, tails)) = self.tails.split_last() else {
            return self.head.len() == name.len() && self.head.starts(name);
        };
        if !self.head.starts(name) {
            return false;
        }
        let mut rest = name.get(self.head.len()..).unwrap_or_default();
        for tail in tails {
            let Some(end) = tail.find(rest) else {
                return false;
            };
            rest = rest.get(end..).unwrap_or_default();
        }
        let Some(skipped) = rest.len().checked_sub(last.len()) else {
            return false;
        };
        let (skipped, end) = rest.split_at(skipped);
        !skipped.contains(&'/') && last.starts(end)
    }
}

fn compile(pattern: &str) -> Result<Vec<Term>, BadPattern> {
    let mut terms = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        terms.push(match c {
            '*' => Term::Star,
            '?' => Term::Any,
            '\\' => Term::Literal(rest.next().ok_or(BadPattern::Syntax)?),
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
        None | Some('-' | ']') => Err(BadPattern::Syntax),
        Some('\\') => rest.next().ok_or(BadPattern::Syntax),
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
    use super::{BadPattern, MAX_PATTERN_BYTES, Pattern};

    fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
        let name: Vec<char> = name.chars().collect();
        Ok(Pattern::compile(pattern)?.matches(&name))
    }

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
                assert_eq!(
                    matches(pattern, name),
                    Err(BadPattern::Syntax),
                    "{pattern:?}"
                );
            }
        }
        assert_eq!(BadPattern::Syntax.to_string(), "syntax error in pattern");
    }

    /// Matches Go's way, letter by letter: parts where they are first found, without masks.
    fn plainly(pattern: &str, name: &str) -> bool {
        let (head, tails) = pattern
            .split_once('*')
            .map_or((pattern, None), |(head, tails)| (head, Some(tails)));
        let accepts = |part: &str, name: &str| {
            let mut pairs = part.chars().zip(name.chars());
            part.len() <= name.len() && pairs.all(|(term, c)| term == c || term == '?' && c != '/')
        };
        let Some(tails) = tails else {
            return head.len() == name.len() && accepts(head, name);
        };
        if !accepts(head, name) {
            return false;
        }
        let mut rest = &name[head.len()..];
        let parts: Vec<&str> = tails.split('*').collect();
        for (number, part) in parts.iter().enumerate() {
            let fits = |at: &usize| {
                let is_last = number + 1 == parts.len();
                accepts(part, &rest[*at..]) && (!is_last || rest.len() - at == part.len())
            };
            let limit = rest.find('/').unwrap_or(rest.len());
            let Some(at) = (0..=limit).find(fits) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        true
    }

    #[test]
    fn long_parts_match_as_short_ones_do() {
        let mut seed = 7_u64;
        let mut next = |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut found = 0;
        for round in 0..3_000 {
            let name: String = (0..next(300))
                .map(|_| ['a', 'a', 'a', 'b', '/'][next(5)])
                .collect();
            // Mostly pieces of the name, so that many match.
            let mut pattern = String::new();
            let mut at = 0;
            while at < name.len() {
                let to = name.len().min(at + 1 + next(150));
                let piece = name[at..to].chars();
                pattern.extend(piece.map(|c| if c != '/' && next(9) == 0 { '?' } else { c }));
                let skipped = if next(3) == 0 { next(9) } else { 0 };
                if skipped > 0 || next(4) == 0 {
                    pattern.push('*');
                }
                at = to + skipped;
            }
            let expected = plainly(&pattern, &name);
            found += usize::from(expected);
            assert_eq!(
                matches(&pattern, &name),
                Ok(expected),
                "{round}: {pattern:?} {name:?}"
            );
        }
        assert!(found > 300, "{found}");
    }

    #[test]
    fn a_pattern_is_as_long_as_a_name_can_be() {
        let longest = "a".repeat(MAX_PATTERN_BYTES);
        assert_eq!(matches(&longest, &longest), Ok(true));
        let pattern = longest.clone() + "*";
        let error = matches(&pattern, "a").unwrap_err();
        assert_eq!(error.to_string(), "pattern has 513 bytes, the limit is 512");
    }

    #[test]
    fn only_plain_text_is_literal() {
        for (pattern, literal) in [
            ("alpine:3", Some("alpine:3")),
            ("a\\*b", Some("a*b")),
            ("", Some("")),
            ("a*", None),
            ("a?", None),
            ("[a]", None),
        ] {
            let pattern = Pattern::compile(pattern).unwrap();
            assert_eq!(pattern.literal(), literal);
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        // Exponential backtracking would not end within the age of the universe.
        let pattern = "a*".repeat(255) + "b";
        assert_eq!(matches(&pattern, &"a".repeat(5_000)), Ok(false));
        // Comparing at each place would take the product of the lengths.
        let pattern = format!("*{}b*", "a".repeat(500));
        assert_eq!(matches(&pattern, &"a".repeat(500_000)), Ok(false));
    }
}
