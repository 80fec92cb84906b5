//! How one endpoint is convinced: the credentials for it, and the tokens they
//! were exchanged for. Kept for one operation, so that no two callers share them.

use std::collections::HashMap;

use futures::lock::Mutex;
use http::HeaderValue;

use crate::{
    Clock, RegistryAuth, RegistryError, Transport,
    challenge::Challenge,
    redirect::Destination,
    token::{self, Token, Wanted},
    wire::{Answer, Wire},
};

/// Credentials and tokens of one endpoint. Has no `Debug`: it is all secret.
pub(crate) struct Credentials {
    /// Locked while a token is fetched, so that parallel layers fetch one, not
    /// four.
    state: Mutex<State>,
}

struct State {
    auth: RegistryAuth,
    scheme: Option<Scheme>,
    /// What the endpoint asked for, beside what was known to be needed. Kept
    /// apart for each need, so that a token to read another repository is not
    /// asked for with every request.
    asked: HashMap<Vec<String>, Vec<String>>,
    tokens: HashMap<Vec<String>, Token>,
    get_only: bool,
}

/// What the endpoint asked for.
enum Scheme {
    Basic,
    Bearer {
        realm: Destination,
        service: Option<String>,
        /// It was asked for over plain HTTP.
        was_plain: bool,
    },
}

/// What one logical request already tried.
#[derive(Default)]
pub(crate) struct Tried {
    fresh_token: bool,
}

/// What a 401 leads to.
pub(crate) enum Outcome {
    /// Send the request again, with what [`Credentials::authorization`] gives.
    Again,
    /// A fresh token was refused: it does not allow this.
    Refused,
    /// The endpoint wants user name and password and there are none.
    NoBasic,
    /// These credentials are wrong, as far as one can tell.
    Wrong,
}

impl Credentials {
    pub(crate) fn new(auth: RegistryAuth) -> Self {
        Self {
            state: Mutex::new(State {
                auth,
                scheme: None,
                asked: HashMap::new(),
                tokens: HashMap::new(),
                get_only: false,
            }),
        }
    }

    /// The `Authorization` to send for `scopes`; none before the endpoint asked.
    /// Fetches or renews the token if it must.
    pub(crate) async fn authorization<T: Transport, C: Clock>(
        &self,
        wire: &Wire<'_, T, C>,
        scopes: &[String],
    ) -> Result<Option<HeaderValue>, RegistryError<T::Error>> {
        let mut state = self.state.lock().await;
        let State {
            auth,
            scheme,
            asked,
            tokens,
            get_only,
        } = &mut *state;
        if let RegistryAuth::RegistryToken(token) = auth {
            return Ok(token::bearer(token.expose()));
        }
        match scheme {
            None => Ok(None),
            Some(Scheme::Basic) => Ok(match auth {
                RegistryAuth::Basic { username, password } => {
                    Some(token::basic(username, password.expose()))
                }
                _ => None,
            }),
            Some(Scheme::Bearer {
                realm,
                service,
                was_plain,
            }) => {
                let asked = asked.get(scopes).map_or(&[][..], Vec::as_slice);
                let key = union(scopes, asked);
                if let Some(token) = tokens.get(&key)
                    && wire.clock.now().0 < token.stale_from
                {
                    return Ok(Some(token.authorization.clone()));
                }
                let wanted = Wanted {
                    realm,
                    service: service.as_deref(),
                    scopes: &key,
                    may_be_plain: *was_plain,
                };
                let token = token::fetch(wire, &wanted, auth, get_only).await?;
                if let (RegistryAuth::IdentityToken(identity), Some(refresh)) =
                    (auth, &token.refresh)
                {
                    *identity = refresh.clone();
                }
                let authorization = token.authorization.clone();
                tokens.insert(key, token);
                Ok(Some(authorization))
            }
        }
    }

    /// Takes note of a challenge in `answer` to a request with `sent` in it.
    pub(crate) async fn challenged<B>(
        &self,
        challenge: Challenge,
        answer: &Answer<B>,
        sent: Option<&HeaderValue>,
        scopes: &[String],
        tried: &mut Tried,
    ) -> Outcome {
        let mut state = self.state.lock().await;
        if matches!(state.auth, RegistryAuth::RegistryToken(_)) {
            return Outcome::Wrong;
        }
        match challenge {
            Challenge::Basic => {
                let known = matches!(state.auth, RegistryAuth::Basic { .. });
                let refused = matches!(state.scheme, Some(Scheme::Basic)) && sent.is_some();
                state.scheme = Some(Scheme::Basic);
                match (known, refused) {
                    (false, _) => Outcome::NoBasic,
                    (true, true) => Outcome::Wrong,
                    (true, false) => Outcome::Again,
                }
            }
            Challenge::Bearer {
                realm,
                service,
                scopes: asked,
            } => {
                let key = union(scopes, &asked);
                state.scheme = Some(Scheme::Bearer {
                    realm: Destination::named(realm, answer),
                    service,
                    was_plain: answer.from.scheme_str() == Some("http"),
                });
                state.asked.insert(scopes.to_vec(), asked);
                let current = state.tokens.get(&key).map(|token| &token.authorization);
                if sent.is_none() || current != sent {
                    // Another request renewed the token meanwhile, or the
                    // endpoint asks for more than it was sent.
                    return Outcome::Again;
                }
                if tried.fresh_token {
                    return Outcome::Refused;
                }
                tried.fresh_token = true;
                state.tokens.remove(&key);
                Outcome::Again
            }
        }
    }
}

/// Both together, sorted, each once: the key tokens are kept under. What is
/// asked and needed anyway is left out, so that a challenge to read and one to
/// write lead to the same token.
fn union(needed: &[String], asked: &[String]) -> Vec<String> {
    let more = asked
        .iter()
        .filter(|asked| !needed.iter().any(|needed| covers(needed, asked)));
    let mut all: Vec<String> = needed.iter().chain(more).cloned().collect();
    all.sort();
    all.dedup();
    all
}

/// Whether `wide` allows everything that `narrow` does: the same resource and
/// its actions, in any order.
fn covers(wide: &str, narrow: &str) -> bool {
    match (wide.rsplit_once(':'), narrow.rsplit_once(':')) {
        (Some((resource, wide)), Some((other, narrow))) => {
            resource == other
                && narrow
                    .split(',')
                    .all(|action| wide.split(',').any(|allowed| allowed == action))
        }
        _ => wide == narrow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_kept_under_what_is_needed_and_asked_beyond_it() {
        let write = "repository:a:pull,push";
        for (needed, asked, key) in [
            (&[write][..], &["repository:a:pull"][..], &[write][..]),
            (&[write], &["repository:a:push,pull"], &[write]),
            (&[write], &[], &[write]),
            (
                &[write],
                &["repository:a:delete", "repository:b:pull"],
                &["repository:a:delete", write, "repository:b:pull"],
            ),
            (&["odd"], &["odd", "odder"], &["odd", "odder"]),
        ] {
            let owned = |scopes: &[&str]| -> Vec<String> {
                scopes.iter().map(|&scope| scope.to_owned()).collect()
            };
            assert_eq!(
                union(&owned(needed), &owned(asked)),
                owned(key),
                "{asked:?}"
            );
        }
    }
}
