//! Numbers and texts in few bytes, as lists and trees keep them.

/// Bits of a number in each byte; the one above says that more follow.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;

/// Adds a number: seven bits a byte, the lowest first.
pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= BITS;
        if number == 0 {
            return bytes.push(low & !MORE);
        }
        bytes.push(low | MORE);
    }
}

/// Adds a text with its length before it.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    put(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

/// A number that may be negative, so that small ones stay small.
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The number that [`zigzag`] made this of.
pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Takes a number from the front; `None` if there is none.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number: u64 = 0;
    let mut shift = 0;
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & !MORE);
        // What has no room was not written here.
        if shift >= u64::BITS || part << shift >> shift != part {
            return None;
        }
        number |= part << shift;
        if byte & MORE == 0 {
            return Some(number);
        }
        shift += BITS;
    }
}

/// Takes a number of items or bytes.
pub(super) fn take_size(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(take(bytes)?).ok()
}

/// Takes a text.
pub(super) fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_size(bytes)?;
    take_bytes(bytes, length)
}

/// Takes this many bytes.
pub(super) fn take_bytes<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, 1 << 62, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(take(&mut bytes.as_slice()), Some(number));
            bytes.pop();
            assert_eq!(take(&mut bytes.as_slice()), None, "{number} cut");
        }
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert!(zigzag(-2) < 8);
    }

    #[test]
    fn numbers_that_have_no_room_are_none() {
        for bytes in [
            [0xff; 11].as_slice(),
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert_eq!(take(&mut { bytes }), None);
        }
    }
}
