//! Every tag of a repository.

use std::collections::BTreeSet;

use http::{HeaderMap, Method, StatusCode, Uri, header::LINK};
use serde::Deserialize;

use crate::{
    Clock, Fault, LentError, RegistryError, Repository, Transport, address,
    document::{is_web_page, web_page},
    endpoint::Endpoint,
    wire::{self, DOCUMENT_TIME, ReadError},
};

/// Pages read. Registries send 100 to 1,000 tags on each.
const MAX_PAGES: usize = 1000;
/// Bytes of one page: some registries do not page at all, and a tag has at most
/// 128 bytes.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Tags in all: pulling more at once is no honest wish, and they are kept in
/// memory.
const MAX_TAGS: usize = 100_000;
/// Bytes of a tag, by the distribution specification. What is longer is none.
const MAX_TAG_BYTES: usize = 128;
/// Seconds for all pages: long enough for a thousand, each of which may take half a
/// minute by itself.
const MAX_SECONDS: i64 = 600;

#[derive(Deserialize)]
struct Page {
    /// `null` on old registries.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl<T: Transport, C: Clock> Repository<'_, T, C> {
    /// Every tag, sorted.
    pub async fn tags(&self) -> Result<Vec<String>, RegistryError<T::Error>> {
        let tags = self
            .anywhere(async |endpoint, _| self.tags_at(endpoint).await)
            .await;
        tags.map_err(|failure| {
            let repository = self.familiar.clone();
            let (absent, not_found) = (failure.absent_at.clone(), failure.is_not_found());
            let failure = if not_found {
                RegistryError {
                    is_complete: true,
                    ..failure.because(Fault::RepositoryNotFound { repository })
                }
            } else if let Some(mirrors) = absent {
                failure.because_last(|failure| Fault::RepositoryNotAtMirrors {
                    repository,
                    mirrors,
                    registry: self.origin.authority().to_owned(),
                    reason: failure.to_string(),
                })
            } else {
                failure
            };
            failure.context(&format!("failed to list tags of {}", self.familiar))
        })
    }

    async fn tags_at(&self, endpoint: &Endpoint) -> Result<Vec<String>, RegistryError<T::Error>> {
        let list = format!("{}/tags/list", self.path);
        let mut path = list.clone();
        let mut tags = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let (began, _) = self.wire.clock.now();
        for _ in 0..MAX_PAGES {
            if self.wire.clock.now().0.saturating_sub(began) > MAX_SECONDS {
                return Err(unusable(&format!("takes more than {MAX_SECONDS} seconds")));
            }
            let accepted = [StatusCode::OK];
            let mut answer = self
                .ask(endpoint, &Method::GET, &path, &HeaderMap::new(), &accepted)
                .await?;
            if is_web_page(&answer) {
                return Err(web_page(&answer));
            }
            let (clock, body) = (self.wire.clock, &mut answer.body);
            let bytes = match wire::read(clock, body, MAX_PAGE_BYTES, DOCUMENT_TIME).await {
                Ok(bytes) => bytes,
                Err(ReadError::Failed(error)) => return Err(error.into()),
                Err(ReadError::TooLong) => {
                    let bound = format!("has a page of more than {MAX_PAGE_BYTES} bytes");
                    return Err(unusable(&bound));
                }
                Err(ReadError::TooSlow) => return Err(wire::too_slow(&answer.from)),
            };
            let page: Page =
                strata_oci::json::from_slice(&bytes).map_err(|_| unusable("is not a tag list"))?;
            let page = page.tags.unwrap_or_default().into_iter();
            tags.extend(page.filter(|tag| tag.len() <= MAX_TAG_BYTES));
            if tags.len() > MAX_TAGS {
                return Err(unusable(&format!("has more than {MAX_TAGS} tags")));
            }
            let Some(link) = next(&answer.headers) else {
                return Ok(tags.into_iter().collect());
            };
            let query = next_query(&answer.from, &link)
                .ok_or_else(|| unusable("goes on at an address that cannot be used"))?;
            path = format!("{list}?{query}");
            if !seen.insert(path.clone()) {
                return Err(unusable("goes on in a circle"));
            }
        }
        Err(unusable(&format!("has more than {MAX_PAGES} pages")))
    }
}

fn unusable<E: LentError>(what: &str) -> RegistryError<E> {
    RegistryError::open(Fault::TagList(what.to_owned()))
}

/// The target of the link with `rel="next"`.
fn next(headers: &HeaderMap) -> Option<String> {
    for value in headers.get_all(LINK) {
        let Ok(value) = value.to_str() else { continue };
        // A comma may stand inside the target, so entries are told apart by `<`.
        for entry in value.split('<').skip(1) {
            let Some((target, parameters)) = entry.split_once('>') else {
                continue;
            };
            let is_next = parameters.split([';', ',']).any(|parameter| {
                parameter.split_once('=').is_some_and(|(name, value)| {
                    name.trim().eq_ignore_ascii_case("rel")
                        && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
                })
            });
            if is_next {
                return Some(target.to_owned());
            }
        }
    }
    None
}

/// The query of the next page. Only the query is taken over, and only from a
/// link to the same host, so that a link never chooses what is asked or whom.
fn next_query(from: &Uri, link: &str) -> Option<String> {
    let target = address::resolve(from, link)?;
    // Proxies that end TLS write links to themselves as plain http.
    let same_host = from.authority() == target.authority();
    let query: Vec<&str> = target
        .query()?
        .split('&')
        .filter(|pair| !pair.starts_with("ns="))
        .collect();
    (same_host && !query.is_empty()).then(|| query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_every_spelling_and_on_this_host_only() {
        let from: Uri = "https://r:5000/v2/a/tags/list?ns=docker.io"
            .parse()
            .unwrap();
        for (link, expected) in [
            (
                r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
                Some("n=2&last=b"),
            ),
            (r#"</v2/a/tags/list?last=b>;rel=next"#, Some("last=b")),
            (r#"<?last=b,c>; rel="next""#, Some("last=b,c")),
            (
                r#"</x?a=1>; rel="prev", <https://r:5000/v2/a/tags/list?last=b&ns=docker.io>; REL="next""#,
                Some("last=b"),
            ),
            (
                r#"<https://evil:5000/v2/a/tags/list?last=b>; rel="next""#,
                None,
            ),
            (r#"</v2/a/tags/list>; rel="next""#, None),
            (r#"</v2/a/tags/list?last=b>; rel="last""#, None),
            ("nonsense", None),
        ] {
            let headers = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
            let query = next(&headers).and_then(|link| next_query(&from, &link));
            assert_eq!(query.as_deref(), expected, "{link}");
        }
    }
}
