//! The face as clients see it: requests in, responses out, over a scripted engine.

mod changes;
mod client;
mod fake;
mod inspect;
mod list;
mod load;
mod parameters;
mod pull;
mod push;
mod save;
mod system;
