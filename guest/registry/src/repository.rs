//! One repository of one registry: which endpoint is asked, with which
//! credentials, and what people are told when none answers.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use strata_oci::Reference;

use crate::{
    Clock, Fault, LentError, RegistryAuth, RegistryError, RegistrySettings, Source, Transport,
    challenge,
    credentials::{Outcome, Tried},
    endpoint::{self, Endpoint},
    refusal,
    wire::{Answer, Wire},
};

/// Answers taken for one logical request before it counts as refused:
/// containerd's number. Meeting a challenge takes two, renewing a token three.
const MAX_ANSWERS: usize = 6;

/// A client for one repository, for one operation.
pub struct Repository<'a, T, C> {
    pub(crate) wire: Wire<'a, T, C>,
    mirrors: Vec<Endpoint>,
    pub(crate) origin: Endpoint,
    /// Path within the registry.
    pub(crate) path: String,
    /// As people write it, for error texts.
    pub(crate) familiar: String,
    pub(crate) scopes: [String; 1],
    access: Access,
    /// `X-Meta-*`, for the registry itself only.
    pub(crate) extra: HeaderMap,
}

/// What the repository is wanted for.
#[derive(Clone, Copy)]
enum Access {
    Pull,
    Push,
}

impl<'a, T: Transport, C: Clock> Repository<'a, T, C> {
    /// A client for the repository of `reference`. `headers` that are `X-Meta-*` go to the registry
    /// itself. `warn` gets what registries warn of and which mirrors fail, each once.
    pub fn new(
        transport: &'a T,
        clock: &'a C,
        settings: &RegistrySettings<'_>,
        reference: &Reference,
        auth: &RegistryAuth,
        headers: &[(String, String)],
        warn: impl Fn(String) + 'a,
    ) -> Self {
        let (mirrors, origin) = endpoint::endpoints(reference.domain(), settings, auth);
        let extra = headers.iter().filter_map(|(name, value)| {
            let name: HeaderName = name.parse().ok()?;
            let value = HeaderValue::from_str(value).ok()?;
            name.as_str()
                .starts_with("x-meta-")
                .then_some((name, value))
        });
        Self {
            wire: Wire::new(transport, clock, settings.version, Box::new(warn)),
            mirrors,
            origin,
            path: reference.path().to_owned(),
            familiar: reference.familiar_repository(),
            scopes: [format!("repository:{}:pull", reference.path())],
            access: Access::Pull,
            extra: extra.collect(),
        }
    }

    /// This client with the right to write, and without mirrors: they only read.
    #[must_use]
    pub fn for_push(self) -> Self {
        Self {
            mirrors: Vec::new(),
            scopes: [format!("repository:{}:pull,push", self.path)],
            access: Access::Push,
            ..self
        }
    }

    /// Asks the mirrors that still work, in order, then the registry itself,
    /// which has the last word.
    pub(crate) async fn anywhere<R>(
        &self,
        mut ask: impl AsyncFnMut(&Endpoint, Source) -> Result<R, RegistryError<T::Error>>,
    ) -> Result<R, RegistryError<T::Error>> {
        let mut absent = Vec::new();
        let mut failed = Vec::new();
        for (number, mirror) in self.mirrors.iter().enumerate() {
            if mirror.is_given_up() {
                failed.extend(mirror.last_words());
                continue;
            }
            match ask(mirror, Some(number)).await {
                Ok(done) => return Ok(done),
                // Not having something is no fault of a mirror.
                Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => {
                    absent.push(mirror.authority());
                }
                Err(failure) => {
                    mirror.failed();
                    let (authority, error) = (mirror.authority(), failure);
                    self.wire.warn(format!(
                        "mirror {authority} failed, trying the next: {error}"
                    ));
                    let words = format!("mirror {authority} failed: {error}");
                    mirror.remember(words.clone());
                    failed.push(words);
                }
            }
        }
        let asked = ask(&self.origin, None).await;
        asked.map_err(|failure| failure.after_mirrors(&absent, &failed))
    }

    /// What came from `source` was wrong. True if that was a mirror: it is not
    /// asked again, and what it served is worth another attempt elsewhere.
    pub fn distrust(&self, source: Source) -> bool {
        let mirror = source.and_then(|number| self.mirrors.get(number));
        mirror.inspect(|mirror| mirror.give_up()).is_some()
    }

    /// What came from `source` was cut. A mirror that does that repeatedly is
    /// passed over.
    pub fn cut(&self, source: Source) {
        if let Some(mirror) = source.and_then(|number| self.mirrors.get(number)) {
            mirror.failed();
        }
    }

    /// One logical request to one endpoint: challenges are met, redirects
    /// followed. `accepted` says which statuses are an answer; every other one
    /// is a failure.
    pub(crate) async fn ask(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        accepted: &[StatusCode],
    ) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
        let mut headers = headers.clone();
        if !endpoint.is_mirror() {
            headers.extend(self.extra.clone());
        }
        let send = async |authorization| {
            endpoint
                .send(&self.wire, method, path, &headers, authorization)
                .await
        };
        self.authorized(endpoint, method, &self.scopes, accepted, send)
            .await
    }

    /// Does `send` with the credentials that `endpoint` wants for `scopes`, again
    /// and again while it asks for others.
    pub(crate) async fn authorized(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        scopes: &[String],
        accepted: &[StatusCode],
        mut send: impl AsyncFnMut(
            Option<HeaderValue>,
        ) -> Result<Answer<T::Body>, RegistryError<T::Error>>,
    ) -> Result<Answer<T::Body>, RegistryError<T::Error>> {
        let mut tried = Tried::default();
        for _ in 0..MAX_ANSWERS {
            let authorization = endpoint
                .credentials
                .authorization(&self.wire, scopes)
                .await?;
            let answer = send(authorization.clone()).await?;
            if accepted.contains(&answer.status) {
                return Ok(answer);
            }
            let challenge = (answer.status == StatusCode::UNAUTHORIZED
                && endpoint.is_at(&answer.from))
            .then(|| challenge::read(&answer.headers))
            .flatten();
            let Some(challenge) = challenge else {
                return Err(self.refusal(method, answer).await);
            };
            let outcome = endpoint
                .credentials
                .challenged(
                    challenge,
                    &answer,
                    authorization.as_ref(),
                    scopes,
                    &mut tried,
                )
                .await;
            match outcome {
                Outcome::Again => {}
                Outcome::Refused => return Err(self.refused()),
                Outcome::NoBasic => {
                    return Err(unauthorized(Fault::CredentialsMissing));
                }
                Outcome::Wrong => {
                    let failure = self.refusal(method, answer).await;
                    return Err(match failure.is_complete {
                        true => failure,
                        false => RegistryError {
                            is_complete: true,
                            ..failure.because(Fault::CredentialsWrong)
                        },
                    });
                }
            }
        }
        Err(unauthorized(Fault::EndlessChallenges))
    }

    /// What an answer that is no success means.
    pub(crate) async fn refusal(
        &self,
        method: &Method,
        answer: Answer<T::Body>,
    ) -> RegistryError<T::Error> {
        refusal::read(self.wire.clock, method, answer).await
    }

    /// A token was granted and then refused. Docker Hub says so of repositories
    /// that do not exist.
    fn refused(&self) -> RegistryError<T::Error> {
        let fault = match self.access {
            Access::Pull => Fault::PullDenied {
                repository: self.familiar.clone(),
            },
            Access::Push => Fault::PushDenied,
        };
        RegistryError {
            is_complete: true,
            ..unauthorized(fault)
        }
    }
}

fn unauthorized<E: LentError>(fault: Fault<E>) -> RegistryError<E> {
    RegistryError {
        status: Some(StatusCode::UNAUTHORIZED),
        ..RegistryError::open(fault)
    }
}
