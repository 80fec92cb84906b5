//! Memory for bulk reads.

/// Bytes of a cache line.
const LINE: usize = 64;

/// An empty buffer with room for `capacity` bytes from a cache line on, and where that is: the
/// bytes before it are there already and mean nothing.
///
/// `malloc` begins a large buffer 16 bytes into a page, and to such a place the kernel copies a
/// file at a fifth of its speed (`rep movsb` on AMD EPYC: 2 GB/s instead of 10).
#[must_use]
pub fn buffer(capacity: usize) -> (Vec<u8>, usize) {
    let mut buffer: Vec<u8> = Vec::with_capacity(capacity + LINE);
    let start = buffer.as_ptr().align_offset(LINE).min(LINE);
    buffer.resize(start, 0);
    (buffer, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_begins_at_a_cache_line_and_stays_there() {
        for capacity in [1, 4096, 256 * 1024, 8 << 20] {
            let (mut buffer, start) = buffer(capacity);
            assert_eq!(buffer.len(), start);
            buffer.resize(start + capacity, 1);
            assert_eq!(buffer[start..].as_ptr().addr() % LINE, 0, "{capacity}");
        }
    }
}
