//! Tests of the answers the host gives itself: their status, and that who finds no room hears when to
//! ask again.

use std::time::Duration;

use http::{
    StatusCode,
    header::{CONNECTION, HeaderValue, RETRY_AFTER},
};

use super::{answer::Refusal, outcome::failure};
use crate::bounds::{self, Ended};

#[test]
fn an_operation_that_was_ended_has_its_status() {
    let limit = Duration::from_secs(1);
    let text = || "text".to_owned();
    for (ended, status) in [
        (Ended::Memory(1), 400),
        (Ended::Compute(limit), 400),
        (Ended::BrokenOff, 400),
        (Ended::Busy, 503),
        (Ended::Yielded, 503),
        (Ended::Silent, 503),
        (Ended::Hogged, 503),
        (Ended::Stalled(limit), 408),
        (Ended::TooLarge(1), 413),
        (Ended::Failed(text()), 500),
    ] {
        let response = failure(&ended);
        assert_eq!(response.status(), status, "{ended:?}");
        let after = response.headers().get(RETRY_AFTER);
        let expected = (status == 503).then(|| HeaderValue::from(bounds::RETRY_AFTER));
        assert_eq!(after, expected.as_ref(), "{ended:?}");
        let closes = response.headers().contains_key(CONNECTION);
        assert_eq!(closes, status == 408, "{ended:?}");
    }
}

#[test]
fn a_request_that_was_refused_has_its_status() {
    for (status, after) in [
        (StatusCode::SERVICE_UNAVAILABLE, Some("1")),
        (StatusCode::FORBIDDEN, None),
    ] {
        let response = Refusal::new(status, "text").response(false);
        assert_eq!(response.status(), status);
        let after = after.map(HeaderValue::from_static);
        assert_eq!(response.headers().get(RETRY_AFTER), after.as_ref());
    }
}
