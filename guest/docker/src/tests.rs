//! The face as clients see it: requests in, responses out, over a scripted engine.

mod changes;
mod fake;
mod inspect;
mod list;
mod parameters;
mod pull;
mod system;
