//! Parameters, in a query or a form.

use percent_encoding::percent_decode_str;

/// The parameters of a request, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// What is wrong with a path, a query or a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A `%` without two hexadecimal digits, and what stands there instead.
    Escape(String),
    /// A semicolon, which some take for a separator.
    Semicolon,
}

impl Query {
    /// Reads a query or a form.
    ///
    /// # Errors
    /// The first thing that is malformed.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        pairs.map(parameter).collect::<Result<_, _>>().map(Self)
    }

    /// These parameters, and `later` ones after them.
    pub fn followed_by(mut self, later: Self) -> Self {
        self.0.extend(later.0);
        self
    }

    /// The first value of `key`; empty if there is none.
    pub fn text(&self, key: &'static str) -> &str {
        self.all(key).next().unwrap_or_default()
    }

    /// Every value of `key`.
    pub fn all(&self, key: &'static str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter();
        pairs.filter_map(move |(name, value)| (name == key).then_some(value.as_str()))
    }
}

fn parameter(pair: &str) -> Result<(String, String), Malformed> {
    if pair.contains(';') {
        return Err(Malformed::Semicolon);
    }
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let plain = |text: &str| decode(&text.replace('+', " "));
    Ok((plain(key)?, plain(value)?))
}

/// Percent-decodes; bytes that are no UTF-8 become U+FFFD, which no reference or key contains.
///
/// # Errors
/// A broken escape.
pub(crate) fn decode(text: &str) -> Result<String, Malformed> {
    match broken_escape(text) {
        Some(escape) => Err(Malformed::Escape(escape)),
        None => Ok(percent_decode_str(text).decode_utf8_lossy().into_owned()),
    }
}

fn broken_escape(text: &str) -> Option<String> {
    text.match_indices('%').find_map(|(at, _)| {
        let mut digits = text.bytes().skip(at + 1).take(2);
        let complete = digits.len() == 2 && digits.all(|b| b.is_ascii_hexdigit());
        (!complete).then(|| text[at..].chars().take(3).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_keep_their_order() {
        let query = Query::parse("names=a&x=y&&names=b%2Fc&names=a%2Bb+c").unwrap();
        let names: Vec<_> = query.all("names").collect();
        assert_eq!(names, ["a", "b/c", "a+b c"]);
        assert_eq!((query.text("names"), query.text("absent")), ("a", ""));
        let query = Query::parse("names=first").unwrap().followed_by(query);
        assert_eq!(query.text("names"), "first");
    }

    #[test]
    fn what_is_malformed_is_quoted() {
        let escape = |text: &str| Malformed::Escape(text.to_owned());
        for (text, expected) in [
            ("a=%zz", escape("%zz")),
            ("a=%4", escape("%4")),
            ("a=%ü", escape("%ü")),
            ("a=b;c=d", Malformed::Semicolon),
        ] {
            assert_eq!(Query::parse(text), Err(expected), "{text}");
        }
    }
}
