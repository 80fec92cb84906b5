//! Query parameters and form bodies, read as dockerd reads them (§1.1 and §1.3 of the contract).

use std::num::{IntErrorKind, ParseIntError};

use http::{HeaderMap, Method, header::CONTENT_TYPE};
use percent_encoding::percent_decode_str;

use crate::{
    failure::Failure,
    output::{Request, RequestBody},
};

/// The parameters of a request, in order; a form body's come before the query's.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of `request` and, for a POST, its form body; a streamed body is no form.
    ///
    /// # Errors
    /// 400 for a broken escape or a semicolon, with Go's texts.
    pub(crate) fn of<B>(request: &Request<B>) -> Result<Self, Failure> {
        let mut pairs = Vec::new();
        if let RequestBody::Bytes(body) = &request.body
            && request.method == Method::POST
            && is_form(&request.headers)
        {
            read(&String::from_utf8_lossy(body), &mut pairs)?;
        }
        read_path(&request.path_and_query, &mut pairs)?;
        Ok(Self(pairs))
    }

    /// Reads the query of a request, not its body.
    ///
    /// # Errors
    /// 400, as [`Query::of`].
    pub(crate) fn in_path(path_and_query: &str) -> Result<Self, Failure> {
        let mut pairs = Vec::new();
        read_path(path_and_query, &mut pairs)?;
        Ok(Self(pairs))
    }

    /// The first value of `key`; empty if there is none.
    pub(crate) fn text(&self, key: &'static str) -> &str {
        self.all(key).next().unwrap_or_default()
    }

    /// Every value of `key`.
    pub(crate) fn all(&self, key: &'static str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter();
        pairs.filter_map(move |(name, value)| (name == key).then_some(value.as_str()))
    }

    /// The boolean `key`: false if it is absent or one of five words, true for anything else.
    pub(crate) fn boolean(&self, key: &'static str) -> bool {
        self.boolean_or(key, false)
    }

    /// The boolean `key`, or `default` if it is absent; given without a value it is false.
    pub(crate) fn boolean_or(&self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.all(key).next() else {
            return default;
        };
        let value = value.trim().to_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }
}

/// Reads a whole number as Go's `Atoi`.
///
/// # Errors
/// Go's text.
pub(crate) fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|error: ParseIntError| {
        let reason = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing \"{text}\": {reason}")
    })
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn read_path(path_and_query: &str, pairs: &mut Vec<(String, String)>) -> Result<(), Failure> {
    match path_and_query.split_once('?') {
        Some((_, query)) => read(query, pairs),
        None => Ok(()),
    }
}

fn read(text: &str, pairs: &mut Vec<(String, String)>) -> Result<(), Failure> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if pair.contains(';') {
            return Err(Failure::invalid("invalid semicolon separator in query"));
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| decode(&text.replace('+', " "));
        pairs.push((plain(key)?, plain(value)?));
    }
    Ok(())
}

/// Percent-decodes; bytes that are no UTF-8 become U+FFFD, which no reference or key contains.
///
/// # Errors
/// 400 for a `%` without two hexadecimal digits.
pub(crate) fn decode(text: &str) -> Result<String, Failure> {
    if let Some(escape) = broken_escape(text) {
        return Err(Failure::invalid(format!("invalid URL escape \"{escape}\"")));
    }
    Ok(percent_decode_str(text).decode_utf8_lossy().into_owned())
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
    use http::HeaderValue;

    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&request(Method::GET, text, "")).unwrap()
    }

    fn request(method: Method, query: &str, body: &str) -> Request<()> {
        Request {
            method,
            path_and_query: format!("/images/json?{query}"),
            headers: HeaderMap::new(),
            body: RequestBody::Bytes(body.as_bytes().to_vec()),
        }
    }

    #[test]
    fn only_five_words_are_false() {
        for (text, expected) in [
            ("", false),
            ("all", false),
            ("all=", false),
            ("all=0", false),
            ("all=no", false),
            ("all=False", false),
            ("all=%20NONE+", false),
            ("all=1", true),
            ("all=true", true),
            ("all=banana", true),
            ("all=0&all=1", false),
        ] {
            assert_eq!(query(text).boolean("all"), expected, "{text}");
            let unless_given = query(text).boolean_or("all", true);
            assert_eq!(unless_given, expected || text.is_empty(), "{text}");
        }
    }

    #[test]
    fn repeated_keys_keep_their_order() {
        let query = query("names=a&x=y&names=b%2Fc&names=a%2Bb+c");
        assert_eq!(
            query.all("names").collect::<Vec<_>>(),
            ["a", "b/c", "a+b c"]
        );
        assert_eq!(query.text("names"), "a");
        assert_eq!(query.text("absent"), "");
    }

    #[test]
    fn broken_queries_are_refused() {
        for (text, message) in [
            ("a=%zz", "invalid URL escape \"%zz\""),
            ("a=%4", "invalid URL escape \"%4\""),
            ("a=b;c=d", "invalid semicolon separator in query"),
            ("a=%ü", "invalid URL escape \"%ü\""),
        ] {
            let failure = Query::of(&request(Method::GET, text, "")).unwrap_err();
            assert_eq!(failure.message, message, "{text}");
        }
    }

    #[test]
    fn a_form_body_comes_first_and_only_in_a_post() {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        for (method, content_type, expected) in [
            (Method::POST, Some(form.clone()), "body"),
            (Method::POST, None, "query"),
            (Method::GET, Some(form), "query"),
        ] {
            let mut request = request(method, "tag=query", "tag=body");
            request
                .headers
                .extend(content_type.map(|value| (CONTENT_TYPE, value)));
            assert_eq!(Query::of(&request).unwrap().text("tag"), expected);
        }
    }
}
