//! The face as clients see it: requests in, responses out, over a scripted engine.

mod changes;
mod client;
mod commit;
mod container_files;
mod container_inspect;
mod container_removal;
mod containers;
mod create;
pub(crate) mod fake;
mod import;
mod inspect;
mod list;
mod load;
mod parameters;
mod process;
mod pull;
mod push;
mod save;
mod system;
