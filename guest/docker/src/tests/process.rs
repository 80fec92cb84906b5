//! What is asked of containers that never run.

use super::{
    client::{call, send_nothing},
    containers::with_container,
    fake::Fake,
};

fn refused(what: &str, advice: &str) -> String {
    format!(
        "{what} containers is not supported: strata handles images and never runs them; {advice}"
    )
}

#[test]
fn every_request_has_the_answer_for_a_container_that_never_ran() {
    let id = "c".repeat(64);
    let not_running = format!("container {id} is not running");
    let commit = "commit container web and run the image with another engine";
    for (line, status, message) in [
        (
            "POST /containers/web/start",
            501,
            refused("starting", commit),
        ),
        (
            "POST /containers/web/restart?t=3",
            501,
            refused("restarting", commit),
        ),
        (
            "GET /containers/web/stats",
            501,
            refused("measuring", commit),
        ),
        (
            "POST /containers/web/rename?name=b",
            501,
            refused(
                "renaming",
                "commit container web and create another one from the image",
            ),
        ),
        (
            "POST /containers/web/update",
            501,
            refused(
                "limiting",
                "set the limits of container web where it is run",
            ),
        ),
        (
            "POST /containers/web/kill?signal=TERM",
            409,
            format!("cannot kill container: web: {not_running}"),
        ),
        ("POST /containers/web/pause", 409, not_running.clone()),
        ("GET /containers/web/top", 409, not_running.clone()),
        ("POST /containers/web/exec", 409, not_running.clone()),
        (
            "POST /containers/web/resize?h=1&w=1",
            409,
            not_running.clone(),
        ),
        (
            "POST /containers/web/unpause",
            500,
            format!("Container {id} is not paused"),
        ),
    ] {
        let client = call(&with_container(), line);
        let expected = format!("{{\"message\":\"{message}\"}}\n");
        assert_eq!(
            (client.code(), client.text()),
            (status, expected.as_str()),
            "{line}"
        );
    }
}

#[test]
fn unknown_containers_are_not_found_first() {
    for (verb, before) in [
        ("start", ""),
        ("restart", ""),
        ("stop", ""),
        ("kill", "cannot kill container: x: "),
        ("pause", ""),
        ("unpause", ""),
        ("wait", ""),
        ("attach", ""),
        ("resize", ""),
        ("exec", ""),
        ("rename", ""),
        ("update", ""),
    ] {
        let client = call(&Fake::default(), &format!("POST /containers/x/{verb}"));
        let expected = format!("{{\"message\":\"{before}No such container: x\"}}\n");
        assert_eq!((client.code(), client.text()), (404, expected.as_str()));
    }
}

#[test]
fn stopping_what_does_not_run_changes_nothing() {
    for line in [
        "POST /containers/web/stop",
        "POST /containers/web/stop?t=-1",
    ] {
        let client = send_nothing(&with_container(), line);
        assert_eq!((client.code(), client.text()), (304, ""));
    }
}

#[test]
fn a_process_that_never_was_has_ended() {
    for line in [
        "POST /containers/web/wait",
        "POST /containers/web/wait?condition=not-running",
        "POST /v1.29/containers/web/wait?condition=next-exit",
    ] {
        let client = call(&with_container(), line);
        assert_eq!(
            (client.code(), client.text()),
            (200, "{\"StatusCode\":0}\n"),
            "{line}"
        );
    }
}

#[test]
fn attaching_goes_well_and_brings_nothing() {
    for (line, content_type) in [
        (
            "POST /containers/web/attach?stream=1",
            "application/vnd.docker.multiplexed-stream",
        ),
        (
            "POST /v1.41/containers/web/attach?stream=1",
            "application/vnd.docker.raw-stream",
        ),
    ] {
        let client = call(&with_container(), line);
        assert_eq!((client.code(), client.text()), (101, ""), "{line}");
        assert_eq!(client.headers["content-type"], content_type);
        assert!(client.headers.get("content-length").is_none());
    }
}

#[test]
fn a_wait_ends_when_the_container_is_removed() {
    for condition in ["removed", "next-exit"] {
        let fake = with_container();
        let line = format!("POST /containers/web/wait?condition={condition}");
        let client = call(&fake, &line);
        assert_eq!(
            (client.code(), client.text()),
            (200, "{\"StatusCode\":0}\n")
        );
        let expected = format!("wait_removed {}", "c".repeat(64));
        assert_eq!(fake.calls.borrow().last(), Some(&expected));
    }
}

#[test]
fn what_could_not_be_started_goes_if_it_is_to() {
    for (host_config, goes) in [
        (r#"{"AutoRemove":true}"#, true),
        (r#"{"autoremove":true}"#, true),
        (r#"{"AutoRemove":false}"#, false),
        ("{}", false),
    ] {
        let mut fake = with_container();
        let container = fake.container.as_mut().unwrap();
        container.host_config = serde_json::from_str(host_config).unwrap();
        let client = call(&fake, "POST /containers/web/start");
        assert_eq!(client.code(), 501);
        let removal = format!("remove_container {}", "c".repeat(64));
        let calls = fake.calls.borrow();
        assert_eq!(calls.contains(&removal), goes, "{host_config}");
    }
}

#[test]
fn bad_parameters_are_refused() {
    for (line, message) in [
        (
            "POST /containers/web/stop?t=x",
            "strconv.Atoi: parsing \\\"x\\\": invalid syntax",
        ),
        (
            "POST /containers/web/wait?condition=never",
            "invalid condition: \\\"never\\\"",
        ),
        (
            "GET /containers/web/logs",
            "must specify at least one of 'stdout' or 'stderr'",
        ),
    ] {
        let client = call(&with_container(), line);
        let expected = format!("{{\"message\":\"{message}\"}}\n");
        assert_eq!((client.code(), client.text()), (400, expected.as_str()));
    }
}

#[test]
fn there_are_no_logs() {
    for (version, tty, content_type) in [
        ("", false, "application/vnd.docker.multiplexed-stream"),
        ("/v1.42", false, "application/vnd.docker.multiplexed-stream"),
        ("/v1.42", true, "application/vnd.docker.raw-stream"),
        ("/v1.41", false, "application/vnd.docker.raw-stream"),
    ] {
        let mut fake = with_container();
        fake.container.as_mut().unwrap().config.tty = tty;
        let client = call(
            &fake,
            &format!("GET {version}/containers/web/logs?stdout=1"),
        );
        assert_eq!((client.code(), client.text()), (200, ""));
        assert_eq!(client.headers["content-type"], content_type, "{version}");
    }
    let client = call(&Fake::default(), "GET /containers/x/logs?stderr=1");
    assert_eq!(client.code(), 404);
}
