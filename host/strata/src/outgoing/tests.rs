//! Which client a request goes through.

use super::*;

fn request(reach: Option<&str>) -> http::Request<()> {
    let mut request = http::Request::get("http://a/");
    if let Some(reach) = reach {
        request = request.header("Strata-Reach", reach);
    }
    request.body(()).unwrap()
}

#[test]
fn who_chose_an_address_is_read_and_never_sent_on() {
    for (reach, from) in [
        (Some("public"), Some(Zone::Public)),
        (Some("private"), Some(Zone::Private)),
        (Some("link-local"), Some(Zone::LinkLocal)),
        (Some("loopback"), Some(Zone::Loopback)),
        (Some("anything"), Some(Zone::Public)),
        (None, None),
    ] {
        let mut request = request(reach);
        assert_eq!(take_reach(&mut request), from, "{reach:?}");
        assert!(request.headers().is_empty(), "{reach:?}");
    }
}

#[test]
fn secrets_in_headers_are_marked() {
    let mut request = http::Request::get("http://a/")
        .header("Authorization", "Basic hunter2")
        .header("Authorization", "Bearer hunter2")
        .header("Accept", "*/*")
        .body(())
        .unwrap();
    hide_secrets(request.headers_mut());
    let shown = format!("{:?}", request.headers());
    assert!(
        !shown.contains("hunter2") && shown.contains("*/*"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_a_stranger_chose_does_not_reach_this_machine() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let outgoing = Outgoing::new(&Capabilities::default()).unwrap();
    for zone in [Zone::Public, Zone::Private, Zone::LinkLocal] {
        let client = outgoing.client(Some(zone)).unwrap();
        let answer = client.get(format!("http://localhost:{port}/")).send().await;
        let error = wire(&answer.unwrap_err());
        assert!(
            matches!(error, WireError::DestinationIpProhibited),
            "{zone:?} {error:?}"
        );
    }
}
