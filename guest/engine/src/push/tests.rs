//! Pushing against scripted registries: checklist items 1 to 3 and 7 of
//! registry-protocol.md §11, and docker-engine-images.md §4.6.

mod access;
mod faults;
mod images;
mod lists;
mod mounts;
mod names;
mod referrers;
mod uploads;
