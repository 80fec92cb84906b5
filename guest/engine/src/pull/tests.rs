//! Pulling against scripted registries: what each is asked, and what the store
//! must look like afterwards.

mod access;
mod endpoints;
mod faults;
mod naming;
mod platforms;
mod resolving;
mod strangers;
mod transfers;
