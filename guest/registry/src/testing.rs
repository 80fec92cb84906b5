//! A machine without time or network for tests: a clock that moves when nothing else can, a web
//! that answers by script, honest registries, and images for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that asks for nonsense shall fail"
)]

mod body;
mod clock;
mod image;
mod origin;
mod registry;
mod web;

pub use body::Pieces;
pub use clock::VirtualClock;
pub use image::{Made, index, layer};
pub use origin::Origin;
pub use registry::Registry;
pub use web::{Asked, Reply, Web};

/// The simplest error: there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer(pub String);

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl crate::LentError for NoAnswer {
    fn passes(&self) -> bool {
        true
    }

    fn takes_context(&self) -> bool {
        true
    }
}

impl ScriptedError for NoAnswer {
    fn no_answer(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// What a scripted web says where there is no answer.
pub trait ScriptedError: crate::LentError + Clone {
    /// There was none, or it was cut.
    fn no_answer(text: &str) -> Self;
}
