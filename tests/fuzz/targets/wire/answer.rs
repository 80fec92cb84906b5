//! What a request is refused with, without the answer it becomes.

#[path = "../../../../host/strata/src/serve/answer/refusal.rs"]
mod refusal;

pub(crate) use refusal::Refusal;
