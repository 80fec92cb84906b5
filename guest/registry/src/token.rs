//! Tokens: what a bearer challenge is answered with.
//!
//! <https://distribution.github.io/distribution/spec/auth/oauth/>

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::{
    Clock, Fault, LentError, RegistryAuth, RegistryError, Secret, Transport, address,
    document::{is_web_page, web_page},
    redirect::Destination,
    refusal,
    wire::{self, Answer, DOCUMENT_TIME, ReadError, Wire},
};

/// Bytes of a token answer that are read: containerd's limit. Tokens have a few
/// thousand.
const MAX_TOKEN_BYTES: usize = 1024 * 1024;
/// Seconds a token lives if the server does not say, and the least it is trusted
/// to live: what Docker's own client assumes.
const LEAST_LIFETIME: i64 = 60;
/// Seconds before its end a token is replaced, so that it does not end on the
/// way.
const RENEWAL_MARGIN: i64 = 10;
/// Every token server accepts a client that names itself; it is not a secret.
const CLIENT_ID: &str = "strata";
/// What stays as it is in forms and queries (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where a token comes from and what for. Holds no secret.
pub(crate) struct Wanted<'a> {
    pub(crate) realm: &'a Destination,
    pub(crate) service: Option<&'a str>,
    /// Sorted, each once.
    pub(crate) scopes: &'a [String],
    /// Credentials may go there over plain HTTP: the registry asked for them over it.
    pub(crate) may_be_plain: bool,
}

/// A token. Has no `Debug`: it is a secret.
pub(crate) struct Token {
    /// `Bearer …`.
    pub(crate) authorization: HeaderValue,
    /// Unix seconds from which on it is not used any more.
    pub(crate) stale_from: i64,
    /// The identity token to use from now on, if the server sent another.
    pub(crate) refresh: Option<Secret>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// Fetches a token. With a password the OAuth2 form is tried first, unless
/// `get_only` remembers that this server does not know it.
pub(crate) async fn fetch<T: Transport, C: Clock>(
    wire: &Wire<'_, T, C>,
    wanted: &Wanted<'_>,
    credentials: &RegistryAuth,
    get_only: &mut bool,
) -> Result<Token, RegistryError<T::Error>> {
    let secret = !matches!(credentials, RegistryAuth::Anonymous);
    if secret && !wanted.may_be_plain && wanted.realm.uri.scheme_str() == Some("http") {
        return Err(RegistryError::last(Fault::PlainTokenServer {
            server: address::shown(&wanted.realm.uri),
        }));
    }
    match credentials {
        RegistryAuth::IdentityToken(token) => {
            let answer = post(
                wire,
                wanted,
                &[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token.expose()),
                ],
            )
            .await?;
            finish(wire, Method::POST, answer).await
        }
        RegistryAuth::Basic { username, password } => {
            let password = password.expose();
            if !*get_only {
                let form = [
                    ("grant_type", "password"),
                    ("username", username.as_str()),
                    ("password", password),
                ];
                let answer = post(wire, wanted, &form).await?;
                if !is_form_unknown(answer.status) {
                    return finish(wire, Method::POST, answer).await;
                }
            }
            let answer = get(wire, wanted, Some((username, password))).await?;
            // Remembered only once it helped: a wrong password looks the same.
            *get_only |= answer.status.is_success();
            finish(wire, Method::GET, answer).await
        }
        RegistryAuth::Anonymous | RegistryAuth::RegistryToken(_) => {
            let answer = get(wire, wanted, None).await?;
            finish(wire, Method::GET, answer).await
        }
    }
}

/// Whether the answer may only mean that the server has no such form.
fn is_form_unknown(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 400 | 401 | 404 | 405)
}

async fn post<T: Transport, C: Clock>(
    wire: &Wire<'_, T, C>,
    wanted: &Wanted<'_>,
    grant: &[(&str, &str)],
) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
    let scopes = wanted.scopes.join(" ");
    let mut form = vec![("client_id", CLIENT_ID), ("scope", scopes.as_str())];
    form.extend(wanted.service.map(|service| ("service", service)));
    form.extend_from_slice(grant);
    let headers = HeaderMap::from_iter([(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"),
    )]);
    // Not followed: a redirect would carry the secret in the body elsewhere.
    wire.send(
        &Method::POST,
        &wanted.realm.uri,
        &headers,
        encode(&form).into_bytes(),
        wanted.realm.reach,
    )
    .await
}

async fn get<T: Transport, C: Clock>(
    wire: &Wire<'_, T, C>,
    wanted: &Wanted<'_>,
    login: Option<(&str, &str)>,
) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
    let mut query = Vec::new();
    query.extend(wanted.service.map(|service| ("service", service)));
    query.extend(wanted.scopes.iter().map(|scope| ("scope", scope.as_str())));
    let mut headers = HeaderMap::new();
    if let Some((username, password)) = login {
        query.push(("account", username));
        headers.insert(AUTHORIZATION, basic(username, password));
    }
    let Destination { uri: realm, reach } = wanted.realm;
    let (path, own) = (realm.path(), realm.query().filter(|own| !own.is_empty()));
    let encoded = encode(&query);
    let query = own.map_or(encoded.clone(), |own| format!("{own}&{encoded}"));
    let target = address::resolve(realm, &format!("{path}?{query}")).ok_or_else(|| {
        RegistryError::last(Fault::TokenServerAddress {
            server: address::shown(realm),
        })
    })?;
    wire.follow(&Method::GET, &target, &headers, *reach).await
}

async fn finish<T: Transport, C: Clock>(
    wire: &Wire<'_, T, C>,
    method: Method,
    mut answer: Answer<T::Body>,
) -> Result<Token, RegistryError<T::Error>> {
    let (now, _) = wire.clock.now();
    let shown = address::shown(&answer.from);
    if answer.status != StatusCode::OK {
        let mut failure = refusal::read(wire.clock, &method, answer).await;
        // The status is not one of the registry: a 404 here is no missing image.
        failure.status = None;
        return Err(failure.context("failed to fetch oauth token"));
    }
    if is_web_page(&answer) {
        return Err(web_page(&answer));
    }
    let (clock, body) = (wire.clock, &mut answer.body);
    let bytes = match wire::read(clock, body, MAX_TOKEN_BYTES, DOCUMENT_TIME).await {
        Ok(bytes) => bytes,
        Err(ReadError::Failed(error)) => {
            return Err(
                RegistryError::from(error).context(&format!("failed to read token from {shown}"))
            );
        }
        Err(ReadError::TooLong) => return Err(no_token(&shown)),
        Err(ReadError::TooSlow) => return Err(wire::too_slow(&answer.from)),
    };
    // Parse errors quote the text, so they are not passed on: it may hold a token.
    let token: TokenAnswer = strata_oci::json::from_slice(&bytes).map_err(|_| no_token(&shown))?;
    let value = [token.token, token.access_token]
        .into_iter()
        .flatten()
        .find(|value| !value.is_empty())
        .ok_or_else(|| no_token(&shown))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates, and any lifetime that large is for ever"
    )]
    let lifetime = token
        .expires_in
        .map_or(LEAST_LIFETIME, |seconds| seconds as i64);
    Ok(Token {
        authorization: bearer(&value).ok_or_else(|| no_token(&shown))?,
        stale_from: now
            .saturating_add(lifetime.max(LEAST_LIFETIME))
            .saturating_sub(RENEWAL_MARGIN),
        refresh: token
            .refresh_token
            .filter(|token| !token.is_empty())
            .map(Secret::from),
    })
}

fn no_token<E: LentError>(shown: &str) -> RegistryError<E> {
    RegistryError::last(Fault::NoToken {
        server: shown.to_owned(),
    })
}

/// `Bearer <token>`; `None` if it is no header value.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Basic base64(user:password)`.
pub(crate) fn basic(username: &str, password: &str) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(format!("{username}:{password}"));
    // Base64 has nothing a header value may not have.
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
        .unwrap_or(HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

/// `a=b&c=d`, escaped.
fn encode(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| {
        let value = utf8_percent_encode(value, ESCAPED);
        format!("{key}={value}")
    });
    pairs.collect::<Vec<_>>().join("&")
}
