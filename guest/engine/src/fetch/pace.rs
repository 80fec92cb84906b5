//! Whether another's download of the same blob is worth waiting for. Whoever began it chose the registry, and that may
//! be as slow as it likes.

/// How many ticks a pace is looked at: 5 s, at 100 ms each.
const WINDOW: u32 = 50;
/// Bytes in that time that are always fast enough: 1 MiB/s.
const ENOUGH: u64 = 5 << 20;
/// Of so many parts of the blob, one in that time is fast enough too: all of it will have come within a minute.
const PARTS: u64 = 12;

/// How fast another operation writes a blob.
#[derive(Default)]
pub(super) struct Pace {
    ticks: u32,
    /// What it had when the window began.
    before: Option<u64>,
}

/// How it got on in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speed {
    /// Fast enough, as far as is known.
    Fast,
    /// Something came, but little.
    Slow,
    /// Nothing came.
    Stuck,
}

impl Pace {
    /// Blobs of this size and less are all fast or not worth a lock.
    pub(super) const SMALL: u64 = ENOUGH * PARTS;

    /// Another tick has gone by, and `current` of `size` bytes are there.
    pub(super) fn tick(&mut self, current: u64, size: u64) -> Speed {
        let before = *self.before.get_or_insert(current);
        self.ticks += 1;
        if self.ticks <= WINDOW {
            return Speed::Fast;
        }
        *self = Self {
            ticks: 0,
            before: Some(current),
        };
        // One that began again from the start has less than before.
        match current.saturating_sub(before) {
            0 => Speed::Stuck,
            came if came < ENOUGH.min(size / PARTS) => Speed::Slow,
            _ => Speed::Fast,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_slow_if_the_blob_takes_more_than_a_minute() {
        const MIB: u64 = 1 << 20;
        for (size, per_window, expected) in [
            (6 * MIB, 0, Speed::Stuck),
            (6 * MIB, 20_000, Speed::Slow),
            (6 * MIB, MIB / 2, Speed::Fast),
            (1000 * MIB, 4 * MIB, Speed::Slow),
            (1000 * MIB, 5 * MIB, Speed::Fast),
            (0, 0, Speed::Stuck),
        ] {
            let mut pace = Pace::default();
            let mut speeds = Vec::new();
            for window in 0..2 {
                for _ in 0..WINDOW {
                    speeds.push(pace.tick(window * per_window, size));
                }
            }
            speeds.retain(|speed| *speed != Speed::Fast);
            let expected: &[_] = match expected {
                Speed::Fast => &[],
                _ => &[expected],
            };
            assert_eq!(speeds, expected, "{size} {per_window}");
        }
    }
}
