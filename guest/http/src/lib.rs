//! What every HTTP face needs: requests, routes, and responses that grow.
//!
//! A face is a crate of its own with routes, JSON shapes and sentences. It reads a request's [`Head`] and
//! [finds](find) the [`Route`], which says how the [body](Taking) is taken, then answers through an
//! [`Output`]: with a [`Reply`], with [`Lines`] of progress, or with an [`Archive`]. The shell, which knows
//! the sockets, implements [`Output`] and runs the future. Dropping that future, or an [`Output`] that
//! answers [`Gone`], cancels the operation behind it.
//!
//! Nothing here words an error: failures carry facts, and each face has its own body for them.
#![allow(
    async_fn_in_trait,
    reason = "implementations are single-threaded; callers never need Send futures"
)]

mod archive;
mod body;
mod lines;
mod output;
mod query;
mod reply;
mod request;
mod route;

pub use archive::Archive;
pub use body::{MAX_WHOLE_BODY, RequestBody, Unreadable, form, object};
pub use lines::{Failures, Lines, Message};
pub use output::{Gone, Output};
pub use query::{Malformed, Query};
pub use reply::Reply;
pub use request::Head;
pub use route::{Company, Route, Shape, Taking, find};
