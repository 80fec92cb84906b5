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
fn the_mark_of_public_requests_is_read_and_never_sent_on() {
    for (reach, public) in [(Some("public"), true), (Some("any"), false), (None, false)] {
        let mut request = request(reach);
        assert_eq!(take_reach(&mut request), public, "{reach:?}");
        assert!(request.headers().is_empty(), "{reach:?}");
    }
}

#[tokio::test]
async fn a_public_client_does_not_reach_this_machine() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let outgoing = Outgoing::new(&Capabilities::default()).unwrap();
    let client = outgoing.client(true).unwrap();
    let answer = client.get(format!("http://localhost:{port}/")).send().await;
    let error = wire(&answer.unwrap_err());
    assert!(
        matches!(error, WireError::DestinationIpProhibited),
        "{error:?}"
    );
}
