//! Content that no name reaches: finding it ([`mark`]) and removing it ([`sweep`]).

mod mark;
mod sweep;

pub(crate) use mark::Marking;
pub(crate) use sweep::Candidates;
#[cfg(test)]
pub(crate) use sweep::IDLE_ROUNDS;
