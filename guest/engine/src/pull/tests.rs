//! Pulling against scripted registries: the checklist of registry-protocol.md
//! §11 and what the store must look like afterwards.

mod access;
mod endpoints;
mod faults;
mod naming;
mod platforms;
mod resolving;
mod strangers;
mod transfers;
