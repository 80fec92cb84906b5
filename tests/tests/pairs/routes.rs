//! What is asked: one of each operation, and how it is answered.

use crate::table::{Served, served};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use strata_tests::debian::{Content, Entry};
use strata_tests::http::{Answer, Http};
use strata_tests::layer::tar;
use strata_tests::poll::within;
use strata_tests::server::{escape, pull_path};

/// A request that any client may send.
pub(crate) struct Route {
    method: Method,
    path: String,
    body: Bytes,
    json: bool,
    /// The status it is answered with.
    status: u16,
    /// What it takes to be there.
    about: &'static str,
    /// What it takes away.
    removes: &'static [&'static str],
    /// Whether it is refused while it runs already.
    once: bool,
}

impl Route {
    pub(crate) fn new(method: Method, path: impl Into<String>, status: u16) -> Self {
        Self {
            method,
            path: path.into(),
            body: Bytes::new(),
            json: false,
            status,
            about: "",
            removes: &[],
            once: false,
        }
    }

    fn get(path: impl Into<String>, status: u16) -> Self {
        Self::new(Method::GET, path, status)
    }

    fn post(path: impl Into<String>, status: u16) -> Self {
        Self::new(Method::POST, path, status)
    }

    fn delete(path: impl Into<String>, status: u16) -> Self {
        Self::new(Method::DELETE, path, status)
    }

    pub(crate) fn with(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    pub(crate) fn json(self, body: &str) -> Self {
        Self {
            json: true,
            ..self.with(body.to_owned())
        }
    }

    fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    fn removes(self, removes: &'static [&'static str]) -> Self {
        Self { removes, ..self }
    }

    fn once(self) -> Self {
        Self { once: true, ..self }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The whole answer.
    pub(crate) async fn ask(&self, http: &Http) -> Result<Answer> {
        let json = [("content-type", "application/json")];
        let headers: &[_] = if self.json { &json } else { &[] };
        let asked = http.send(self.method.clone(), &self.path, headers, self.body.clone());
        within(&self.name(), asked)
            .await?
            .with_context(|| self.name())
    }

    /// Checks the answer that came beside `others`: nothing is lost that they did not take away.
    ///
    /// # Errors
    /// When it is another answer.
    pub(crate) fn is_right<'a>(
        &self,
        answer: &Answer,
        mut others: impl Iterator<Item = &'a Self> + Clone,
    ) -> Result<()> {
        let is_gone = !self.about.is_empty()
            && others
                .clone()
                .any(|other| other.removes.contains(&self.about));
        let is_refused = self.once && others.any(|other| other.name() == self.name());
        let right = answer.status == self.status
            || (answer.status == 404 && is_gone)
            || (answer.status == 409 && is_refused);
        let text = answer.text();
        ensure!(
            right,
            "{}: {} instead of {}: {text}",
            self.name(),
            answer.status,
            self.status
        );
        let failed = text.contains("\"errorDetail\"");
        ensure!(!failed, "{}: {text}", self.name());
        Ok(())
    }
}

/// What is elsewhere.
pub(crate) struct Elsewhere {
    /// The reference of an image to pull.
    pub(crate) pulled: String,
    /// A repository to push to.
    pub(crate) pushed: String,
    /// The URL of a layer to import.
    pub(crate) url: String,
    /// An archive of an image.
    pub(crate) archive: Bytes,
}

/// The layer that is imported and copied.
pub(crate) fn layer() -> Result<Vec<u8>> {
    tar(&[Entry {
        path: "etc/added".to_owned(),
        mode: 0o644,
        content: Content::File("text".into()),
    }])
}

/// What works with images and containers.
pub(crate) fn working(elsewhere: &Elsewhere) -> Result<Vec<Route>> {
    let get = |path: &str| Route::get(path, 200);
    let post = |path: &str| Route::post(path, 200);
    let put = |path: &str| Route::new(Method::PUT, path, 200);
    let (file, filters) = (layer()?, escape(r#"{"label":["a"],"reference":["*"]}"#));
    let (url, pushed) = (escape(&elsewhere.url), &elsewhere.pushed);
    Ok(vec![
        get("/info"),
        get("/images/json?all=1&shared-size=1"),
        get("/images/json?manifests=1"),
        get(&format!("/images/json?filters={filters}")),
        get("/images/one:1/json"),
        get("/images/one:1/history"),
        get("/images/one:1/get"),
        get("/images/get?names=one:1&names=two:1").about("two:1"),
        Route::post("/images/one:1/tag?repo=three&tag=1", 201),
        post("/images/prune").once(),
        post("/images/load").with(elsewhere.archive.clone()),
        post("/images/create?fromSrc=-&repo=imported&tag=1").with(file.clone()),
        post(&format!("/images/create?fromSrc={url}&repo=fetched&tag=1")),
        post(&pull_path(&elsewhere.pulled)),
        post(&format!("/images/{pushed}/push?tag=1")),
        Route::delete("/images/two:1", 200)
            .about("two:1")
            .removes(&["two:1"]),
        get("/containers/json?all=1"),
        get("/containers/json?all=1&size=1"),
        Route::post("/containers/create", 201).json(r#"{"Image":"one:1","Cmd":["x"]}"#),
        get("/containers/box/json?size=1").about("box"),
        get("/containers/box/changes").about("box"),
        get("/containers/box/export").about("box"),
        get("/containers/box/archive?path=/etc").about("box"),
        Route::new(Method::HEAD, "/containers/box/archive?path=/etc", 200).about("box"),
        put("/containers/box/archive?path=/")
            .with(file.clone())
            .about("box"),
        put("/containers/jar/archive?path=/")
            .with(file)
            .about("jar"),
        Route::post("/commit?container=box&repo=committed&changes=ENV+a=b", 201).about("box"),
        post("/containers/prune").removes(&["box", "jar"]),
        Route::delete("/containers/jar", 204)
            .about("jar")
            .removes(&["jar"]),
    ])
}

/// What is answered at once: from nothing, or from what is known of one container.
pub(crate) fn quick() -> Vec<Route> {
    let get = Route::get;
    let of_box =
        |verb: &str, status| Route::post(format!("/containers/box/{verb}"), status).about("box");
    vec![
        get("/_ping", 200),
        Route::new(Method::HEAD, "/_ping", 200),
        get("/version", 200),
        get("/networks/bridge", 404),
        Route::delete("/networks/bridge", 404),
        get("/volumes/data", 404),
        Route::delete("/volumes/data", 404),
        get("/plugins/one/json", 404),
        get("/images/search?term=one", 501),
        get("/distribution/one:1/json", 501),
        get("/events", 501),
        get("/system/df", 501),
        Route::post("/auth", 501).json("{}"),
        Route::post("/build", 501),
        Route::post("/build/prune", 501),
        Route::post("/build/cancel", 501),
        get("/containers/box/logs?stdout=1", 200).about("box"),
        get("/containers/box/top", 409).about("box"),
        get("/containers/box/stats?stream=0", 501).about("box"),
        of_box("start", 501),
        of_box("restart", 501),
        of_box("stop", 304),
        of_box("kill", 409),
        of_box("pause", 409),
        // dockerd's.
        of_box("unpause", 500),
        of_box("wait?condition=not-running", 200),
        of_box("attach?stream=1&stdout=1", 200),
        of_box("resize?h=1&w=1", 409),
        of_box("exec", 409).json(r#"{"Cmd":["x"]}"#),
        of_box("rename?name=other", 501),
        of_box("update", 501).json("{}"),
    ]
}

#[test]
fn every_route_of_the_face_is_among_them() -> Result<()> {
    let elsewhere = Elsewhere {
        pulled: "one:1".to_owned(),
        pushed: "localhost/pushed".to_owned(),
        url: "http://localhost/layer".to_owned(),
        archive: Bytes::new(),
    };
    let mut routes = working(&elsewhere)?;
    routes.extend(quick());
    let served = served()?;
    let of = |route: &Route| {
        let path = route.path.split('?').next().unwrap_or_default();
        let takes = |served: &&Served| served.takes(&route.method, path);
        let whole = served.iter().filter(|it| it.is_whole()).find(takes);
        whole.or_else(|| served.iter().find(takes))
    };
    let asked: Vec<_> = routes.iter().filter_map(of).collect();
    for served in &served {
        ensure!(asked.contains(&served), "nobody asks for {served:?}");
    }
    Ok(())
}
