//! The sums of SQLite's log: linear, so that what is wrong in one word can be told from them.

/// A sum of words, in pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum(pub(super) u32, pub(super) u32);

impl Sum {
    pub(super) fn add(mut self, bytes: &[u8], is_big: bool) -> Sum {
        for pair in bytes.chunks_exact(8) {
            let (first, second) = pair.split_at(4);
            self.0 = self
                .0
                .wrapping_add(word(first, is_big))
                .wrapping_add(self.1);
            self.1 = self
                .1
                .wrapping_add(word(second, is_big))
                .wrapping_add(self.0);
        }
        self
    }

    /// As it is stored: always big-endian.
    pub(super) fn stored(bytes: &[u8]) -> Sum {
        let (first, second) = bytes.split_at(bytes.len().min(4));
        Sum(word(first, true), word(second, true))
    }

    pub(super) fn bytes(self) -> [[u8; 4]; 2] {
        [self.0.to_be_bytes(), self.1.to_be_bytes()]
    }
}

/// A word as it is stored.
pub(super) fn word(bytes: &[u8], is_big: bool) -> u32 {
    let bytes = bytes.try_into().unwrap_or_default();
    match is_big {
        true => u32::from_be_bytes(bytes),
        false => u32::from_le_bytes(bytes),
    }
}

/// Which of `words` that were summed may be wrong, if it is one alone, and what is missing in it then.
///
/// What one word adds to a sum is its value times two numbers that only depend on how many follow it. Where
/// only the highest bits are wrong, these repeat themselves from word to word.
pub(super) fn locate(words: usize, computed: Sum, right: Sum) -> Vec<(usize, u32)> {
    let missing = (
        right.0.wrapping_sub(computed.0),
        right.1.wrapping_sub(computed.1),
    );
    let fits = |(first, second): (u32, u32)| {
        // One of them is odd.
        let value = match first % 2 {
            1 => missing.0.wrapping_mul(inverse(first)),
            _ => missing.1.wrapping_mul(inverse(second)),
        };
        let adds = (value.wrapping_mul(first), value.wrapping_mul(second));
        (value != 0 && adds == missing).then_some(value)
    };
    let next = |(first, second): (u32, u32)| {
        let first = first.wrapping_add(second);
        (first, first.wrapping_add(second))
    };
    let (mut even, mut odd) = ((1, 1), (0, 1));
    let mut found = Vec::new();
    for pair in (0..words / 2).rev() {
        found.extend(fits(odd).map(|value| (2 * pair + 1, value)));
        found.extend(fits(even).map(|value| (2 * pair, value)));
        (even, odd) = (next(even), next(odd));
    }
    found
}

/// What an odd number has to be multiplied with to make 1.
fn inverse(odd: u32) -> u32 {
    // Each round doubles how many bits are right; at first it is three.
    (0..4).fold(odd, |inverse, _| {
        inverse.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(inverse)))
    })
}
