//! Who may read and write: nobody's business, Basic, or Bearer with a token server of the registry's own.

use super::wire::{Answer, header};
use super::{Seen, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::json;
use std::collections::HashMap;

/// What the registry asks for.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Nothing.
    #[default]
    Open,
    /// A user name and password with every request.
    Basic(String, String),
    /// A token.
    Bearer(Tokens),
}

/// How the token server behaves.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// User names and passwords that are good.
    pub users: Vec<(String, String)>,
    /// Whether a token is given without any.
    pub anonymous: bool,
    /// Whether `POST` is understood; 404 otherwise.
    pub post: bool,
    /// A refresh token that is good.
    pub refresh: Option<String>,
    /// After this many requests a token counts as expired.
    pub uses: Option<usize>,
    /// `expires_in` of the answer.
    pub expires_in: Option<u64>,
    /// Whether tokens come without the action that was asked for, as Docker Hub does for unknown repositories.
    pub insufficient: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            anonymous: true,
            post: true,
            refresh: None,
            uses: None,
            expires_in: Some(300),
            insufficient: false,
        }
    }
}

/// Tokens given out: their scopes and how often each was used.
#[derive(Debug, Default)]
pub(super) struct Issued {
    tokens: HashMap<String, (String, usize)>,
    count: usize,
}

/// The 401 for a request that may not pass, if it may not.
pub(super) fn refuse(state: &mut State, seen: &Seen) -> Option<Answer> {
    let given = header(&seen.headers, "authorization").unwrap_or_default();
    match &state.access {
        Access::Open => None,
        Access::Basic(user, password) => {
            let good = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            (given != good).then(|| challenge("Basic realm=\"fault\"".to_owned()))
        }
        Access::Bearer(tokens) => {
            let repository = repository(&seen.path);
            let reads = matches!(seen.method.as_str(), "GET" | "HEAD");
            let actions = if reads { "pull" } else { "pull,push" };
            let scope = format!("repository:{repository}:{actions}");
            let mut params = format!(
                "Bearer realm=\"{}/token\",service=\"fault\",scope=\"{scope}\"",
                state.base
            );
            let Some(token) = given.strip_prefix("Bearer ") else {
                return Some(challenge(params));
            };
            let error = match state.issued.tokens.get_mut(token) {
                None => "invalid_token",
                Some((granted, _)) if !granted.contains(&scope) => "insufficient_scope",
                Some((_, used)) if tokens.uses.is_some_and(|uses| *used >= uses) => "invalid_token",
                Some((_, used)) => {
                    *used += 1;
                    return None;
                }
            };
            params.push_str(&format!(",error=\"{error}\""));
            Some(challenge(params))
        }
    }
}

/// The token server.
pub(super) fn token(state: &mut State, seen: &Seen) -> Answer {
    let Access::Bearer(tokens) = &state.access else {
        return Answer::error(404, "NOT_FOUND");
    };
    let form = parameters(if seen.method == "POST" {
        &seen.body
    } else {
        &seen.query
    });
    let value = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let known = |user: &str, password: &str| {
        tokens
            .users
            .iter()
            .any(|(name, word)| name == user && word == password)
    };
    let good = if seen.method == "POST" {
        if !tokens.post {
            return Answer::error(404, "NOT_FOUND");
        }
        match value("grant_type").as_deref() {
            Some("refresh_token") => {
                tokens.refresh.is_some() && value("refresh_token") == tokens.refresh
            }
            Some("password") => known(
                &value("username").unwrap_or_default(),
                &value("password").unwrap_or_default(),
            ),
            _ => return Answer::error(400, "UNSUPPORTED_GRANT"),
        }
    } else {
        match header(&seen.headers, "authorization").and_then(|given| given.strip_prefix("Basic "))
        {
            None => tokens.anonymous,
            Some(pair) => {
                let pair = STANDARD.decode(pair).unwrap_or_default();
                let pair = String::from_utf8_lossy(&pair).into_owned();
                pair.split_once(':')
                    .is_some_and(|(user, password)| known(user, password))
            }
        }
    };
    if !good {
        let body = json!({"details": "incorrect username or password"});
        return Answer::new(401, body.to_string()).with("Content-Type", "application/json");
    }
    let scopes: Vec<String> = form
        .iter()
        .filter(|(key, _)| key == "scope")
        .map(|(_, value)| value.clone())
        .collect();
    let scopes = if tokens.insufficient {
        String::new()
    } else {
        scopes.join(" ")
    };
    let mut body = json!({});
    if let Some(seconds) = tokens.expires_in {
        body["expires_in"] = json!(seconds);
    }
    state.issued.count += 1;
    let token = format!("token-{}", state.issued.count);
    body["token"] = json!(token);
    state.issued.tokens.insert(token, (scopes, 0));
    Answer::new(200, body.to_string()).with("Content-Type", "application/json")
}

fn challenge(value: String) -> Answer {
    Answer::error(401, "UNAUTHORIZED").with("WWW-Authenticate", &value)
}

/// The repository in a path.
pub(super) fn repository(path: &str) -> &str {
    let path = path.strip_prefix("/v2/").unwrap_or(path);
    let end = ["/manifests/", "/blobs/", "/tags/"]
        .iter()
        .filter_map(|part| path.rfind(part))
        .max();
    &path[..end.unwrap_or(path.len())]
}

/// Decoded pairs of a query or form.
pub(super) fn parameters(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| {
        percent_decode_str(&part.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}
