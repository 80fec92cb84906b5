//! Serving for tests of this crate: what clients see, with the engine at hand.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;

use strata_tests::http::Http;
use tokio::sync::oneshot;

use super::{Access, Listener, bind};
use crate::Engine;

/// Serves the engine as long as `asking` runs.
pub(crate) async fn served(engine: &Engine, asking: impl AsyncFnOnce(Http)) {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = bind(vec![Listener::Tcp(anywhere)], Access::default());
    let bound = bound.await.unwrap();
    let http = Http::new(&bound.addresses()[0].replacen("tcp:", "http:", 1));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = engine.serve(bound, async {
        let _ = stopped.await;
    });
    let asking = async {
        asking(http).await;
        stop.send(()).unwrap();
    };
    let (served, ()) = tokio::join!(serving, asking);
    served.unwrap();
}
