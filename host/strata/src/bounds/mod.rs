//! What one operation may cost, so that it costs nobody else anything: memory, processor time, a
//! place among those that run, and the word for what was over a bound.

mod admission;
mod ended;
mod memory;
mod processor;
mod ticker;

pub(crate) use admission::{Admission, Place};
pub(crate) use ended::{Ended, RETRY_AFTER};
pub(crate) use memory::{Budget, Memory};
pub(crate) use processor::{Meter, Metered, Patience, moved};
pub(crate) use ticker::Ticker;
