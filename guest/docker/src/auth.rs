//! Registry credentials and extra headers a client sends along: "Authentication" in the API reference,
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#section/Authentication>.
//!
//! Nothing here fails: dockerd treats an unreadable header as no credentials.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use http::HeaderMap;
use serde::Deserialize;
use strata_engine::RegistryAuth;
use strata_oci::Reference;

/// The names Docker Hub goes by in credentials; references call it `docker.io`.
const HUB_ALIASES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// The JSON of `X-Registry-Auth`. No `Debug`: it holds secrets.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthConfig {
    username: Option<String>,
    password: Option<String>,
    /// Standard base64 of `username:password`, as in `~/.docker/config.json`.
    auth: Option<String>,
    serveraddress: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// The credentials for the registry of `reference`. Those given for another registry do not count.
pub(crate) fn credentials(headers: &HeaderMap, reference: &Reference) -> RegistryAuth {
    let Some(config) = headers
        .get("x-registry-auth")
        .and_then(|header| decode(header.as_bytes()))
    else {
        return RegistryAuth::Anonymous;
    };
    let address = config.serveraddress.as_deref().unwrap_or_default();
    if !address.is_empty() && !is_host_of(address, reference.domain()) {
        return RegistryAuth::Anonymous;
    }
    config.into_auth()
}

/// The `X-Meta-*` headers, which registries get too.
pub(crate) fn meta_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let meta = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-meta-"));
    meta.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn decode(header: &[u8]) -> Option<AuthConfig> {
    let json = BASE64_URL_SAFE.decode(header).ok()?;
    strata_oci::json::from_slice(&json).ok()
}

/// Whether `address`, a host or the URL of one, is the registry references call `domain`.
fn is_host_of(address: &str, domain: &str) -> bool {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = address.split('/').next().unwrap_or_default();
    let canonical = |host: &str| {
        let host = host.to_ascii_lowercase();
        if HUB_ALIASES.contains(&host.as_str()) {
            HUB_ALIASES[0].to_owned()
        } else {
            host
        }
    };
    canonical(host) == canonical(domain)
}

impl AuthConfig {
    fn into_auth(self) -> RegistryAuth {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = given(self.registrytoken) {
            return RegistryAuth::RegistryToken(token.into());
        }
        if let Some(token) = given(self.identitytoken) {
            return RegistryAuth::IdentityToken(token.into());
        }
        if let Some(username) = given(self.username) {
            let password = self.password.unwrap_or_default().into();
            return RegistryAuth::Basic { username, password };
        }
        given(self.auth)
            .and_then(|auth| basic(&auth))
            .unwrap_or_default()
    }
}

fn basic(auth: &str) -> Option<RegistryAuth> {
    let text = String::from_utf8(BASE64_STANDARD.decode(auth).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(RegistryAuth::Basic {
        username: username.to_owned(),
        // Old clients padded with NUL bytes.
        password: password.trim_matches('\0').into(),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn auth(header: &str, reference: &str) -> RegistryAuth {
        let mut headers = HeaderMap::new();
        headers.insert("x-registry-auth", HeaderValue::from_str(header).unwrap());
        credentials(&headers, &Reference::parse(reference).unwrap())
    }

    fn user(password: &str) -> RegistryAuth {
        RegistryAuth::Basic {
            username: "u".to_owned(),
            password: password.into(),
        }
    }

    #[test]
    fn reads_every_kind_of_credential() {
        for (json, expected) in [
            ("{}", RegistryAuth::Anonymous),
            ("null", RegistryAuth::Anonymous),
            ("[]", RegistryAuth::Anonymous),
            ("not json", RegistryAuth::Anonymous),
            (r#"{"username":"","password":""}"#, RegistryAuth::Anonymous),
            (r#"{"username":"u","password":"p"}"#, user("p")),
            (r#"{"auth":"dTpwOnE="}"#, user("p:q")),
            (r#"{"auth":"%"}"#, RegistryAuth::Anonymous),
            (
                r#"{"username":"u","identitytoken":"t"}"#,
                RegistryAuth::IdentityToken("t".into()),
            ),
            (
                r#"{"identitytoken":"t","registrytoken":"r"}"#,
                RegistryAuth::RegistryToken("r".into()),
            ),
        ] {
            let header = BASE64_URL_SAFE.encode(json);
            assert_eq!(auth(&header, "alpine"), expected, "{json}");
        }
    }

    #[test]
    fn an_unreadable_header_is_anonymous() {
        let json = r#"{"username":"u","password":"p???>>>"}"#;
        let padded = BASE64_URL_SAFE.encode(json);
        assert_eq!(auth(&padded, "alpine"), user("p???>>>"));
        let standard = BASE64_STANDARD.encode(json);
        assert_ne!(standard, padded, "the example needs both alphabets");
        for header in ["", "%%%", padded.trim_end_matches('='), &standard] {
            assert_eq!(auth(header, "alpine"), RegistryAuth::Anonymous, "{header}");
        }
    }

    #[test]
    fn credentials_are_for_their_registry_only() {
        for (address, reference, applies) in [
            ("", "ghcr.io/a/b", true),
            ("https://index.docker.io/v1/", "alpine", true),
            ("docker.io", "alpine", true),
            ("registry-1.docker.io", "alpine", true),
            ("ghcr.io", "alpine", false),
            ("https://index.docker.io/v1/", "ghcr.io/a/b", false),
            ("https://GHCR.io/v2/", "ghcr.io/a/b", true),
            ("localhost:5000", "localhost:5000/a", true),
            ("localhost", "localhost:5000/a", false),
        ] {
            let json = format!(r#"{{"username":"u","password":"p","serveraddress":"{address}"}}"#);
            let expected = if applies {
                user("p")
            } else {
                RegistryAuth::Anonymous
            };
            assert_eq!(
                auth(&BASE64_URL_SAFE.encode(json), reference),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn only_meta_headers_are_forwarded() {
        let mut headers = HeaderMap::new();
        headers.insert("x-meta-team", HeaderValue::from_static("a"));
        headers.append("x-meta-team", HeaderValue::from_static("b"));
        headers.insert("x-metadata", HeaderValue::from_static("c"));
        headers.insert("cookie", HeaderValue::from_static("d"));
        let pair = |value: &str| ("x-meta-team".to_owned(), value.to_owned());
        assert_eq!(meta_headers(&headers), [pair("a"), pair("b")]);
    }
}
