//! An honest registry on one host: what distribution-spec 1.1 asks of one, and
//! strict about order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use strata_oci::Digest;

use super::{Asked, Reply};

/// A registry that takes uploads.
#[derive(Default)]
pub struct Registry {
    /// `repository` and digest.
    pub blobs: BTreeSet<(String, String)>,
    /// `repository` and tag or digest: type and bytes.
    pub manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// Bytes of the uploads that are open, by number.
    pub uploads: BTreeMap<usize, Vec<u8>>,
    /// Lists what has a subject, and says so.
    pub lists_referrers: bool,
    /// Refuses what has a subject that is not there, which the specification forbids.
    pub wants_subjects: bool,
    opened: usize,
    /// Counts the answers, so that every `Location` is new.
    step: usize,
}

impl Registry {
    /// Gives a repository a blob.
    pub fn have(&mut self, repository: &str, digest: &Digest) {
        self.blobs
            .insert((repository.to_owned(), digest.to_string()));
    }

    /// Whether the repository has the blob.
    pub fn has(&self, repository: &str, digest: &Digest) -> bool {
        self.blobs
            .contains(&(repository.to_owned(), digest.to_string()))
    }

    /// Digest of what a tag points at.
    pub fn tagged(&self, repository: &str, tag: &str) -> Option<Digest> {
        let key = (repository.to_owned(), tag.to_owned());
        self.manifests
            .get(&key)
            .map(|(_, bytes)| Digest::sha256(bytes))
    }

    /// What it answers.
    ///
    /// # Panics
    /// If it is asked what no registry is asked, or in another order.
    pub fn answer<E>(&mut self, asked: &Asked) -> Reply<E> {
        let path = asked.uri.path().strip_prefix("/v2/").unwrap();
        if let Some((repository, name)) = path.split_once("/manifests/") {
            return match asked.method.as_str() {
                "GET" | "HEAD" => self.manifest(repository, name),
                "PUT" => self.put_manifest(repository, name, asked),
                other => panic!("{other} of a manifest"),
            };
        }
        let (repository, name) = path.split_once("/blobs/").unwrap();
        if let Some(number) = name.strip_prefix("uploads/") {
            return self.upload(repository, number, asked);
        }
        assert_eq!(asked.method, "HEAD");
        let key = (repository.to_owned(), name.to_owned());
        match self.blobs.contains(&key) {
            true => Reply::status(200),
            false => Reply::status(404),
        }
    }

    fn manifest<E>(&self, repository: &str, name: &str) -> Reply<E> {
        let key = (repository.to_owned(), name.to_owned());
        match self.manifests.get(&key) {
            Some((media_type, bytes)) => Reply::status(200)
                .header("content-type", media_type)
                .header("docker-content-digest", Digest::sha256(bytes).as_str())
                .header("etag", &etag(bytes))
                .body(bytes.clone()),
            None => Reply::status(404),
        }
    }

    fn put_manifest<E>(&mut self, repository: &str, name: &str, asked: &Asked) -> Reply<E> {
        let json: Value = serde_json::from_slice(&asked.body).unwrap();
        let media_type = asked.header("content-type").unwrap().to_owned();
        if let Some(own) = json.get("mediaType") {
            assert_eq!(own, media_type.as_str());
        }
        if let Some(expected) = asked.header("if-match") {
            let present = self
                .manifests
                .get(&(repository.to_owned(), name.to_owned()));
            if present.map(|(_, bytes)| etag(bytes)).as_deref() != Some(expected) {
                return Reply::status(412);
            }
        }
        let digest = Digest::sha256(&asked.body).to_string();
        let has = |names: &dyn Fn(&(String, String)) -> bool, child: &Value| {
            names(&(
                repository.to_owned(),
                child["digest"].as_str().unwrap().to_owned(),
            ))
        };
        let blobs = json["layers"].as_array().into_iter().flatten();
        let blobs = blobs.chain(json.get("config"));
        let blobs = blobs.filter(|it| it.get("urls").is_none());
        let manifests = json["manifests"].as_array().into_iter().flatten();
        let complete = blobs
            .into_iter()
            .all(|it| has(&|key| self.blobs.contains(key), it))
            && manifests
                .into_iter()
                .all(|it| has(&|key| self.manifests.contains_key(key), it));
        if !complete {
            return Reply::error(400, "MANIFEST_BLOB_UNKNOWN");
        }
        let subject = json.get("subject");
        let lacks = |it: &Value| !has(&|key| self.manifests.contains_key(key), it);
        if self.wants_subjects && subject.is_some_and(lacks) {
            return Reply::error(404, "MANIFEST_UNKNOWN");
        }
        for name in [name, &digest] {
            let key = (repository.to_owned(), name.to_owned());
            let manifest = (media_type.clone(), asked.body.clone());
            self.manifests.insert(key, manifest);
        }
        let reply = Reply::status(201).header("docker-content-digest", &digest);
        match subject.and_then(|it| it["digest"].as_str()) {
            Some(subject) if self.lists_referrers => reply.header("oci-subject", subject),
            _ => reply,
        }
    }

    fn upload<E>(&mut self, repository: &str, number: &str, asked: &Asked) -> Reply<E> {
        if asked.method == "POST" {
            if let (Some(digest), Some(from)) = (asked.query("mount"), asked.query("from"))
                && self.blobs.contains(&(from.to_owned(), digest.to_owned()))
            {
                self.blobs
                    .insert((repository.to_owned(), digest.to_owned()));
                return Reply::status(201).header("location", "/v2/mounted");
            }
            self.opened += 1;
            self.uploads.insert(self.opened, Vec::new());
            return self.at(202, repository, self.opened);
        }
        let number: usize = number.parse().unwrap();
        let Some(bytes) = self.uploads.get_mut(&number) else {
            return Reply::error(404, "BLOB_UPLOAD_UNKNOWN");
        };
        assert!(asked.query("_state").is_some(), "the query was lost");
        match asked.method.as_str() {
            "GET" => self.at(204, repository, number),
            "PATCH" => {
                let range = asked.header("content-range").unwrap();
                let (first, _) = range.split_once('-').unwrap();
                if first.parse() != Ok(bytes.len()) {
                    return self.at(416, repository, number);
                }
                bytes.extend_from_slice(&asked.body);
                self.at(202, repository, number)
            }
            "PUT" => {
                bytes.extend_from_slice(&asked.body);
                let digest = asked.query("digest").unwrap();
                if Digest::sha256(bytes).as_str() != digest {
                    return Reply::error(400, "DIGEST_INVALID");
                }
                self.uploads.remove(&number);
                self.blobs
                    .insert((repository.to_owned(), digest.to_owned()));
                Reply::status(201).header("docker-content-digest", digest)
            }
            other => panic!("{other} of an upload"),
        }
    }

    /// An answer that says where the upload goes on and how far it is.
    fn at<E>(&mut self, status: u16, repository: &str, number: usize) -> Reply<E> {
        self.step += 1;
        let step = self.step;
        let length = self.uploads.get(&number).map_or(0, Vec::len);
        let location = format!("/v2/{repository}/blobs/uploads/{number}?_state={step}");
        Reply::status(status)
            .header("location", &location)
            .header("range", &format!("0-{}", length.saturating_sub(1)))
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", Digest::sha256(bytes))
}
