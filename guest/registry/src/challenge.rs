//! `WWW-Authenticate`: what a registry wants before it answers.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>

use http::{HeaderMap, Uri, header::WWW_AUTHENTICATE};

use crate::address;

/// Headers looked at in one answer. Registries send one or two.
const MAX_HEADERS: usize = 16;
/// Bytes of one header; more is no challenge. Those in use have some two hundred.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// A challenge this client can meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A token from `realm`.
    Bearer {
        /// Where tokens are made.
        realm: Uri,
        /// Whom the token is for.
        service: Option<String>,
        /// What the registry wants the token to allow.
        scopes: Vec<String>,
    },
    /// User name and password.
    Basic,
}

/// The challenge to meet: Bearer if there is a usable one, else Basic. Schemes
/// this client does not know are skipped.
pub(crate) fn read(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = None;
    let values = headers.get_all(WWW_AUTHENTICATE).iter().take(MAX_HEADERS);
    for value in values.filter(|value| value.len() <= MAX_HEADER_BYTES) {
        let value = String::from_utf8_lossy(value.as_bytes());
        for (scheme, parameters) in parse(&value) {
            match scheme.as_str() {
                "bearer" => {
                    if let Some(bearer) = bearer(&parameters) {
                        return Some(bearer);
                    }
                }
                "basic" => basic = Some(Challenge::Basic),
                _ => {}
            }
        }
    }
    basic
}

type Parameters = Vec<(String, String)>;

fn bearer(parameters: &Parameters) -> Option<Challenge> {
    let get = |name: &str| {
        let named = parameters.iter().find(|(key, _)| key == name);
        named.map(|(_, value)| value.clone())
    };
    Some(Challenge::Bearer {
        realm: address::web(&get("realm")?)?,
        service: get("service"),
        scopes: get("scope")
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
    })
}

/// Every challenge of one header line, scheme and parameter names in lower case.
/// A word followed by `=` belongs to the challenge before it, any other word
/// starts a new one.
fn parse(line: &str) -> Vec<(String, Parameters)> {
    let mut challenges: Vec<(String, Parameters)> = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // A stray `=` or the end: nothing after it can be trusted.
            return challenges;
        }
        let name = word.to_ascii_lowercase();
        rest = after.trim_start_matches([' ', '\t']);
        match (rest.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = read_value(value.trim_start_matches([' ', '\t']));
                parameters.push((name, value));
                rest = after;
            }
            (Some(_), None) => return challenges,
            (None, _) => challenges.push((name, Vec::new())),
        }
    }
}

/// A token or a quoted string, and what follows it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_lines(lines: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        }
        read(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Challenge {
        Challenge::Bearer {
            realm: realm.parse().unwrap(),
            service: service.map(str::to_owned),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        }
    }

    #[test]
    fn challenges_beyond_the_bounds_are_passed_over() {
        let long = format!("Bearer {}", r#"a="b","#.repeat(2000));
        assert_eq!(read_lines(&[&long, "Basic"]), Some(Challenge::Basic));
        let mut many = vec!["Negotiate"; 16];
        many.push("Basic");
        assert_eq!(read_lines(&many), None);
    }

    #[test]
    fn challenges_are_read_as_the_rfc_writes_them() {
        let hub = bearer(
            "https://auth.docker.io/token",
            Some("registry.docker.io"),
            &["repository:library/alpine:pull"],
        );
        for (lines, expected) in [
            (
                &[
                    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#,
                ][..],
                Some(hub.clone()),
            ),
            (
                &[
                    r#"bEaReR  Realm = "https://auth.docker.io/token" , SERVICE=registry.docker.io ,scope="repository:library/alpine:pull""#,
                ],
                Some(hub.clone()),
            ),
            (
                &[
                    "Negotiate",
                    r#"Basic realm="r""#,
                    r#"Bearer realm="https://a/t",error="invalid_token""#,
                ],
                Some(bearer("https://a/t", None, &[])),
            ),
            (
                &[r#"Basic realm="r", Bearer realm="https://a/t?x=1",scope="b c""#],
                Some(bearer("https://a/t?x=1", None, &["b", "c"])),
            ),
            (&[r#"Bearer realm="https://u:p@a/t""#], None),
            (
                &[r#"Bearer realm="https://a/t",service="s\\\"""#],
                Some(bearer("https://a/t", Some(r#"s\""#), &[])),
            ),
            (&["BASIC"], Some(Challenge::Basic)),
            (&[r#"Bearer service="s""#], None),
            (&[r#"Bearer realm="ftp://a/t""#], None),
            (
                &[r#"Bearer realm="/token""#, "Basic"],
                Some(Challenge::Basic),
            ),
            (&["Negotiate abc=="], None),
            (&[r#"="x", Basic"#], None),
            (&[""], None),
            (&[], None),
            (
                &[r#"Bearer realm="https://a/t"#],
                Some(bearer("https://a/t", None, &[])),
            ),
        ] {
            assert_eq!(read_lines(lines), expected, "{lines:?}");
        }
    }
}
