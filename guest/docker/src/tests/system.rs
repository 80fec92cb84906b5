//! Ping, version, info, headers, versions and paths.

use super::{client::call, fake::Fake};

/// All headers, sorted, as `name: value`.
fn headers(line: &str) -> Vec<String> {
    let client = call(&Fake::default(), line);
    let pairs = client.headers.iter();
    let mut all: Vec<_> = pairs
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn ping_says_everything_in_its_headers() {
    for (line, length, body) in [
        ("GET /_ping", 2, "OK"),
        ("HEAD /_ping", 0, ""),
        ("HEAD /v1.24/_ping", 0, ""),
    ] {
        assert_eq!(
            headers(line),
            [
                "api-version: 1.54",
                "builder-version: 1",
                "cache-control: no-cache, no-store, must-revalidate",
                &format!("content-length: {length}"),
                "content-type: text/plain; charset=utf-8",
                "docker-experimental: false",
                "ostype: linux",
                "pragma: no-cache",
                "server: Docker/0.1.0 (linux)",
                "swarm: inactive",
            ]
        );
        assert_eq!(call(&Fake::default(), line).text(), body);
    }
}

#[test]
fn ordinary_responses_have_exactly_these_headers() {
    for (line, length) in [
        ("GET /images/json", 3),
        ("GET /v1.30/containers/json", 3),
        ("GET /containers/x/json", 35),
    ] {
        assert_eq!(
            headers(line),
            [
                "api-version: 1.54",
                &format!("content-length: {length}"),
                "content-type: application/json",
                "docker-experimental: false",
                "ostype: linux",
                "server: Docker/0.1.0 (linux)",
            ]
        );
    }
}

#[test]
fn unknown_paths_have_no_headers_of_ours() {
    for line in ["GET /nothing", "POST /images/json", "GET /v9.99/nothing"] {
        assert_eq!(
            headers(line),
            ["content-length: 29", "content-type: application/json"]
        );
        let client = call(&Fake::default(), line);
        assert_eq!(
            (client.code(), client.text()),
            (404, "{\"message\":\"page not found\"}\n")
        );
    }
    let client = call(&Fake::default(), "HEAD /nothing");
    assert_eq!(
        (client.code(), client.text()),
        (404, ""),
        "HEAD has no body"
    );
}

#[test]
fn versions_out_of_range_are_refused() {
    let client = call(&Fake::default(), "GET /v1.99/images/json");
    assert_eq!(client.code(), 400);
    assert_eq!(
        client.text(),
        "{\"message\":\"client version 1.99 is too new. Maximum supported API version is 1.54\"}\n"
    );
    assert_eq!(
        headers("GET /v1.11/_ping"),
        [
            "api-version: 1.54",
            "content-length: 117",
            "content-type: text/plain; charset=utf-8",
            "ostype: linux",
            "server: Docker/0.1.0 (linux)",
        ]
    );
    assert_eq!(
        call(&Fake::default(), "GET /v1.11/_ping").text(),
        "client version 1.11 is too old. Minimum supported API version is 1.12, \
         please upgrade your client to a newer version\n"
    );
}

#[test]
fn version_names_strata_and_the_engine() {
    let client = call(&Fake::default(), "GET /version");
    assert_eq!(
        client.text(),
        concat!(
            r#"{"Platform":{"Name":"strata"},"Components":[{"Name":"Engine","Version":"0.1.0","#,
            r#""Details":{"ApiVersion":"1.54","Arch":"amd64","BuildTime":"","Experimental":"false","#,
            r#""GitCommit":"","GoVersion":"","KernelVersion":"6.1","MinAPIVersion":"1.12","Os":"linux"}}],"#,
            r#""Version":"0.1.0","ApiVersion":"1.54","MinAPIVersion":"1.12","GitCommit":"","GoVersion":"","#,
            r#""Os":"linux","Arch":"amd64","KernelVersion":"6.1","BuildTime":""}"#,
            "\n"
        )
    );
}

#[test]
fn info_tells_what_clients_read() {
    let client = call(&Fake::default(), "GET /v1.41/info");
    for part in [
        r#""ID":"some-id","#,
        r#""Containers":0,"ContainersRunning":0,"ContainersPaused":0,"ContainersStopped":0,"Images":0,"#,
        r#""Driver":"strata","#,
        r#""SystemTime":"2023-11-14T22:13:20.5Z","#,
        r#""OSType":"linux","Architecture":"x86_64","#,
        r#""IndexServerAddress":"https://index.docker.io/v1/","#,
        r#""InsecureRegistryCIDRs":["::1/128","127.0.0.0/8"],"#,
        r#""docker.io":{"Name":"docker.io","Mirrors":["http://127.0.0.1:5000"],"Secure":true,"Official":true}"#,
        r#""reg:80":{"Name":"reg:80","Mirrors":[],"Secure":false,"Official":false}"#,
        r#""NCPU":2,"MemTotal":1024,"DockerRootDir":"/store","Name":"box","#,
        r#""ServerVersion":"0.1.0","#,
        r#""LocalNodeState":"inactive","ControlAvailable":false,"#,
    ] {
        assert!(client.text().contains(part), "{part} in {}", client.text());
    }
}

#[test]
fn what_docker_inspect_probes_is_not_there() {
    for (line, message) in [
        ("GET /containers/a/b/json", "No such container: a/b"),
        ("POST /containers/x/start", "No such container: x"),
        ("DELETE /containers/x?force=1", "No such container: x"),
        ("GET /networks/x", "network x not found"),
        ("GET /volumes/x", "get x: no such volume"),
        ("GET /plugins/x/json", "plugin \\\"x\\\" not found"),
    ] {
        let client = call(&Fake::default(), line);
        assert_eq!(client.code(), 404, "{line}");
        assert_eq!(client.text(), format!("{{\"message\":\"{message}\"}}\n"));
    }
    assert_eq!(
        call(&Fake::default(), "GET /containers/json?all=1").text(),
        "[]\n"
    );
}

#[test]
fn operations_of_later_versions_are_named() {
    for (line, operation) in [
        ("GET /images/search?term=a", "image search"),
        ("POST /build", "image build"),
        ("POST /auth", "registry login"),
        ("GET /events", "the event stream"),
        ("GET /system/df", "disk usage"),
        ("GET /distribution/a/b/json", "distribution inspect"),
    ] {
        let client = call(&Fake::default(), line);
        assert_eq!(client.code(), 501, "{line}");
        let message = format!("{operation} is not implemented by this version of strata");
        assert_eq!(client.text(), format!("{{\"message\":\"{message}\"}}\n"));
    }
}

#[test]
fn broken_escapes_are_refused() {
    for line in ["GET /images/%zz/json", "GET /images/json?filters=%zz"] {
        let client = call(&Fake::default(), line);
        assert_eq!(client.code(), 400, "{line}");
        assert_eq!(
            client.text(),
            "{\"message\":\"invalid URL escape \\\"%zz\\\"\"}\n"
        );
    }
}

#[test]
fn clients_before_1_24_read_errors_as_text() {
    for (path, text) in [
        ("GET /v1.23/nonsense", "page not found\n"),
        ("GET /v1.24/nonsense", "{\"message\":\"page not found\"}\n"),
    ] {
        let client = call(&Fake::default(), path);
        assert_eq!(client.code(), 404, "{path}");
        assert_eq!(client.text(), text, "{path}");
    }
}
