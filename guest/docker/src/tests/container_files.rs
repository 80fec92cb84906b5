//! What is in containers: stat, copies both ways, changes and export.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use strata_engine::{ChangeKind, ChangedPath, Error, FileKind, PathStat, memory::Bytes};
use strata_http::{Gone, RequestBody};

use super::{
    client::{Client, block_on, call, call_as, request, respond},
    fake::{Fake, Step, last_call},
};

const COPY_OUT: &str = "GET /containers/web/archive?path=/etc";
const COPY_IN: &str = "PUT /containers/web/archive?path=/etc";

fn decoded(client: &Client) -> String {
    let header = &client.headers["x-docker-container-path-stat"];
    String::from_utf8(BASE64_STANDARD.decode(header).unwrap()).unwrap()
}

fn fails(error: Error) -> Fake {
    Fake {
        error: Some(error),
        ..Fake::default()
    }
}

#[test]
fn a_path_is_told_in_a_header() {
    for line in ["HEAD /containers/web/archive?path=/etc", COPY_OUT] {
        let client = call(&Fake::default(), line);
        assert_eq!((client.code(), client.text()), (200, ""));
        assert_eq!(
            decoded(&client),
            r#"{"name":"etc","size":0,"mode":2147484141,"mtime":"1970-01-01T00:00:00Z","linkTarget":""}"#
        );
    }
}

#[test]
fn modes_are_gos() {
    for (kind, mode, expected) in [
        (FileKind::File, 0o644, 0o644),
        (FileKind::File, 0o4755, 1 << 23 | 0o755),
        (FileKind::File, 0o2755, 1 << 22 | 0o755),
        (FileKind::Directory, 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (FileKind::Symlink, 0o777, 1 << 27 | 0o777),
        (FileKind::BlockDevice, 0o660, 1 << 26 | 0o660),
        (FileKind::CharacterDevice, 0o666, 1 << 26 | 1 << 21 | 0o666),
        (FileKind::Fifo, 0o600, 1_u32 << 25 | 0o600),
    ] {
        let fake = Fake {
            stat: PathStat {
                name: "<x>".to_owned(),
                kind,
                size: 7,
                mode,
                modified: 1,
                link_target: "/é".to_owned(),
            },
            ..Fake::default()
        };
        let client = call(&fake, "HEAD /containers/web/archive?path=x");
        let expected = format!(
            r#"{{"name":"<x>","size":7,"mode":{expected},"mtime":"1970-01-01T00:00:01Z","linkTarget":"/é"}}"#
        );
        assert_eq!(decoded(&client), expected);
    }
}

#[test]
fn a_copy_out_is_its_bytes_in_order() {
    let fake = Fake::scripted([
        Step::Write(b"one ".to_vec()),
        Step::Yield,
        Step::Copy(Bytes::of(b"two".to_vec()), 3),
    ]);
    let client = call(
        &fake,
        "GET /v1.24/containers//web/archive?path=%2Fa%20b%2F.",
    );
    assert_eq!((client.code(), client.text()), (200, "one two"));
    assert_eq!(client.headers["content-type"], "application/x-tar");
    let calls = ["stat /web /a b/.", "copy_out /web /a b/."];
    assert_eq!(*fake.calls.borrow(), calls);
}

#[test]
fn an_export_is_its_bytes_in_order() {
    let fake = Fake::scripted([Step::Write(b"all".to_vec())]);
    let client = call(&fake, "GET /containers/web/export");
    assert_eq!((client.code(), client.text()), (200, "all"));
    assert_eq!(client.headers["content-type"], "application/octet-stream");
    assert_eq!(last_call(&fake), "export web");
}

#[test]
fn a_failure_before_the_first_byte_has_its_status() {
    let message = "Could not find the file /etc in container web";
    let body = format!("{{\"message\":\"{message}\"}}\n");
    let error = || Error::NotFound(message.to_owned());
    for (line, expected) in [
        ("HEAD /containers/web/archive?path=/etc", ""),
        (COPY_OUT, body.as_str()),
        (COPY_IN, &body),
        ("GET /containers/web/export", &body),
        ("GET /containers/web/changes", &body),
    ] {
        let client = call(&fails(error()), line);
        assert_eq!((client.code(), client.text()), (404, expected), "{line}");
    }
    for line in [COPY_OUT, "GET /containers/web/export"] {
        let client = call(&Fake::scripted([Step::Yield, Step::Fail(error())]), line);
        assert_eq!((client.code(), client.text()), (404, body.as_str()));
        assert_eq!(client.headers["content-type"], "application/json");
        assert!(!client.headers.contains_key("x-docker-container-path-stat"));
    }
}

#[test]
fn a_failure_within_an_archive_breaks_it_off() {
    for line in [COPY_OUT, "GET /containers/web/export"] {
        let fake = Fake::scripted([
            Step::Write(b"one".to_vec()),
            Step::Fail(Error::Internal("disk".to_owned())),
        ]);
        let client = call(&fake, line);
        assert_eq!((client.code(), client.text()), (200, "one"));
        assert!(client.aborted, "{line}");
    }
}

#[test]
fn a_client_that_leaves_ends_the_copy() {
    for line in [COPY_OUT, "GET /containers/web/export"] {
        let fake = Fake::scripted([Step::Write(b"one".to_vec()), Step::Hang]);
        let mut client = Client {
            leaves_at: Some(0),
            ..Client::default()
        };
        assert_eq!(call_as(&mut client, &fake, line), Err(Gone));
        assert!(!client.aborted, "nobody is there to be told");
    }
}

#[test]
fn paths_and_names_are_needed() {
    for (line, what) in [
        ("GET /containers/web/archive", "path"),
        ("GET /containers/web/archive?path=", "path"),
        ("PUT /containers/web/archive", "path"),
        ("GET /containers//archive?path=/", "name"),
    ] {
        let fake = Fake::default();
        let client = call(&fake, line);
        let expected = format!("{{\"message\":\"bad parameter: {what} cannot be empty\"}}\n");
        assert_eq!((client.code(), client.text()), (400, expected.as_str()));
        assert!(fake.calls.borrow().is_empty());
    }
    let client = call(&Fake::default(), "HEAD /containers/web/archive");
    assert_eq!((client.code(), client.text()), (400, ""));
}

#[test]
fn a_copy_in_passes_archive_and_options_on() {
    for (query, strict, chown) in [
        ("", false, false),
        ("&noOverwriteDirNonDir=1&copyUIDGID=true", true, true),
        ("&noOverwriteDirNonDir=0&copyUIDGID=false", false, false),
    ] {
        let fake = Fake::scripted([Step::Yield]);
        let client = call(&fake, &format!("{COPY_IN}{query}"));
        assert_eq!((client.code(), client.text()), (200, ""));
        assert_eq!(client.headers["content-length"], "0");
        assert_eq!(client.headers["api-version"], "1.54");
        assert!(!client.headers.contains_key("content-type"));
        let expected = format!(
            "copy_in web /etc body CopyInOptions {{ no_overwrite_dir_non_dir: {strict}, copy_uid_gid: {chown} }}"
        );
        assert_eq!(last_call(&fake), expected);
    }
}

#[test]
fn an_archive_that_was_not_streamed_is_our_own_fault() {
    let fake = Fake::default();
    let mut request = request(COPY_IN, b"");
    request.body = RequestBody::Bytes(Vec::new());
    let mut client = Client::default();
    assert_eq!(block_on(respond(&fake, request, &mut client)), Ok(()));
    assert_eq!(client.code(), 500);
    assert!(fake.calls.borrow().is_empty());
}

#[test]
fn changes_are_numbered_or_null() {
    let changed = |path: &str, kind| ChangedPath {
        path: path.to_owned(),
        kind,
    };
    let fake = Fake {
        changes: vec![
            changed("/etc", ChangeKind::Modified),
            changed("/etc/a", ChangeKind::Added),
            changed("/etc/<b>", ChangeKind::Deleted),
        ],
        ..Fake::default()
    };
    let client = call(&fake, "GET /containers/web/changes");
    assert_eq!(
        client.text(),
        concat!(
            r#"[{"Path":"/etc","Kind":0},{"Path":"/etc/a","Kind":1},{"Path":"/etc/<b>","Kind":2}]"#,
            "\n"
        )
    );
    let client = call(&Fake::default(), "GET /containers/web/changes");
    assert_eq!((client.code(), client.text()), (200, "null\n"));
}
