//! One repository of one registry: which endpoint is asked, with which
//! credentials, and what people are told when none answers.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use strata_oci::Reference;

use super::{
    challenge,
    credentials::{Outcome, Tried},
    endpoint::{self, Endpoint},
    failure::{Again, Failure},
    verdict,
    wire::{Answer, Wire},
};
use crate::{Clock, Error, Progress, RegistryAuth, Settings, Transport};

/// Answers taken for one logical request before it counts as refused:
/// containerd's number. Meeting a challenge takes two, renewing a token three.
const MAX_ANSWERS: usize = 6;

/// A client for one repository, for one operation.
pub(crate) struct Repository<'a, T, C> {
    pub(super) wire: Wire<'a, T, C>,
    mirrors: Vec<Endpoint>,
    pub(super) origin: Endpoint,
    /// Path within the registry.
    pub(super) path: String,
    /// As people write it, for error texts.
    pub(super) familiar: String,
    pub(super) scopes: [String; 1],
    access: Access,
    /// `X-Meta-*`, for the registry itself only.
    pub(super) extra: HeaderMap,
}

/// What the repository is wanted for.
#[derive(Clone, Copy)]
enum Access {
    Pull,
    Push,
}

/// Which mirror served something; `None` is the registry itself.
pub(crate) type Source = Option<usize>;

impl<'a, T: Transport, C: Clock> Repository<'a, T, C> {
    /// A client for the repository of `reference`.
    pub(crate) fn new(
        transport: &'a T,
        clock: &'a C,
        settings: &Settings,
        progress: &'a dyn Progress,
        reference: &Reference,
        auth: &RegistryAuth,
        headers: &[(String, String)],
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
            wire: Wire::new(transport, clock, progress, &settings.version),
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
    pub(crate) fn for_push(self) -> Self {
        Self {
            mirrors: Vec::new(),
            scopes: [format!("repository:{}:pull,push", self.path)],
            access: Access::Push,
            ..self
        }
    }

    /// Asks the mirrors that still work, in order, then the registry itself,
    /// which has the last word.
    pub(super) async fn anywhere<R>(
        &self,
        mut ask: impl AsyncFnMut(&Endpoint, Source) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
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
                    let (authority, error) = (mirror.authority(), failure.error);
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
    pub(crate) fn distrust(&self, source: Source) -> bool {
        let mirror = source.and_then(|number| self.mirrors.get(number));
        mirror.inspect(|mirror| mirror.give_up()).is_some()
    }

    /// What came from `source` was cut. A mirror that does that repeatedly is
    /// passed over.
    pub(crate) fn cut(&self, source: Source) {
        if let Some(mirror) = source.and_then(|number| self.mirrors.get(number)) {
            mirror.failed();
        }
    }

    /// One logical request to one endpoint: challenges are met, redirects
    /// followed. `accepted` says which statuses are an answer; every other one
    /// is a failure.
    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        accepted: &[StatusCode],
    ) -> Result<Answer<T::Body>, Failure> {
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
    pub(super) async fn authorized(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        scopes: &[String],
        accepted: &[StatusCode],
        mut send: impl AsyncFnMut(Option<HeaderValue>) -> Result<Answer<T::Body>, Failure>,
    ) -> Result<Answer<T::Body>, Failure> {
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
                return Err(self.verdict(method, answer).await);
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
                    return Err(unauthorized(Error::LoginMissing(
                        "authorization failed: no basic auth credentials".to_owned(),
                    )));
                }
                Outcome::Wrong => {
                    let mut failure = self.verdict(method, answer).await;
                    if !failure.complete {
                        failure.error = Error::Unauthorized(
                            "authentication required - incorrect username or password".to_owned(),
                        );
                        failure.complete = true;
                    }
                    return Err(failure);
                }
            }
        }
        Err(unauthorized(Error::Unauthorized(
            "authorization failed: the registry does not stop asking for another token".to_owned(),
        )))
    }

    /// What an answer that is no success means.
    pub(super) async fn verdict(&self, method: &Method, answer: Answer<T::Body>) -> Failure {
        verdict::read(self.wire.clock, method, answer).await
    }

    /// A token was granted and then refused. Docker Hub says so of repositories
    /// that do not exist, hence the words (registry-protocol.md §9).
    fn refused(&self) -> Failure {
        let error = match self.access {
            Access::Pull => Error::NotFound(format!(
                "pull access denied for {}, repository does not exist or may require 'docker login'",
                self.familiar
            )),
            Access::Push => Error::Denied(
                "push access denied, repository does not exist or may require authorization: \
                 server message: insufficient_scope: authorization failed"
                    .to_owned(),
            ),
        };
        Failure {
            error,
            again: Again::Never,
            status: Some(StatusCode::UNAUTHORIZED),
            complete: true,
            code: None,
            absent_at: None,
        }
    }
}

fn unauthorized(error: Error) -> Failure {
    Failure {
        error,
        again: Again::Never,
        status: Some(StatusCode::UNAUTHORIZED),
        complete: false,
        code: None,
        absent_at: None,
    }
}
