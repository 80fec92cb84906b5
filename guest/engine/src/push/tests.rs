//! Pushing against scripted registries: what each is asked, in which order, and
//! what it has afterwards.

mod access;
mod faults;
mod images;
mod lists;
mod mounts;
mod names;
mod referrers;
mod uploads;
