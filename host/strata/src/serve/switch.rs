//! Changes of protocol: what HTTP asks of both sides of one, which the component cannot say, because
//! such headers belong to the connection.

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONNECTION, UPGRADE},
};

/// The protocol a client wants to change to, if it wants to.
pub(super) fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(UPGRADE).cloned()
}

/// A response as it may be sent to a client that wanted this: 101 names the protocol, and is 200 for
/// a client that asked for none. What follows 101 is nothing: the connection is closed.
pub(super) fn answered<B>(mut response: Response<B>, wanted: Option<HeaderValue>) -> Response<B> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    match wanted {
        Some(protocol) => {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, protocol);
        }
        None => *response.status_mut() = StatusCode::OK,
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, wanted: Option<&'static str>) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        answered(response, wanted.map(HeaderValue::from_static))
    }

    #[test]
    fn a_change_is_only_told_to_those_who_asked() {
        for (status, wanted, expected, upgrade) in [
            (101, Some("tcp"), 101, Some("tcp")),
            (101, None, 200, None),
            (200, Some("h2c"), 200, None),
            (501, Some("tcp"), 501, None),
        ] {
            let response = answer(status, wanted);
            assert_eq!(response.status(), expected);
            let headers = response.headers();
            let found = headers.get(UPGRADE).map(|it| it.to_str().unwrap());
            assert_eq!(found, upgrade);
            assert_eq!(headers.contains_key(CONNECTION), upgrade.is_some());
        }
    }
}
