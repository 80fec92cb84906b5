//! Numbers in header blocks: octal digits, or base 256 for what needs more.

/// Set in the first byte of a number in base 256, two's complement in what is left of the field.
const BINARY: u8 = 0x80;
/// The sign in the first byte of a number in base 256.
const NEGATIVE: u8 = 0x40;

/// Reads a field as Go does; blank is 0, and `None` is no number or one beyond 64 bits.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & BINARY != 0 => binary(field),
        _ => octal(field),
    }
}

fn binary(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    let is_negative = first & NEGATIVE != 0;
    // Of a negative number all bits are turned, so that only its size counts.
    let turn = if is_negative { 0xff } else { 0 };
    let mut number = i64::from((first ^ turn) & !BINARY);
    for byte in rest {
        number = number.checked_mul(1 << 8)? | i64::from(byte ^ turn);
    }
    Some(if is_negative { !number } else { number })
}

fn octal(field: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| matches!(byte, 0 | b' ');
    let start = field.iter().position(|byte| !is_blank(byte));
    let Some(digits) = start.and_then(|start| field.get(start..)) else {
        return Some(0);
    };
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    // Blanks end a number; after a zero byte anything may come.
    let rest = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    if !rest.iter().all(is_blank) {
        return None;
    }
    digits.iter().try_fold(0, |number: i64, digit| match digit {
        b'0'..=b'7' => Some(number.checked_mul(8)? | i64::from(digit - b'0')),
        _ => None,
    })
}

/// Digits only: no sign, no blank.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A field of octal digits, or of base 256 if there are too few.
pub(super) fn field(number: u32) -> [u8; 8] {
    const DIGITS: u32 = 0o777_7777;
    let mut field = [0; 8];
    if number > DIGITS {
        let bytes = number.to_be_bytes();
        field
            .iter_mut()
            .rev()
            .zip(bytes.iter().rev())
            .for_each(|(to, from)| *to = *from);
        if let Some(first) = field.first_mut() {
            *first = BINARY;
        }
        return field;
    }
    let digits = format!("{number:07o}");
    field
        .iter_mut()
        .zip(digits.bytes())
        .for_each(|(to, from)| *to = from);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_octal_or_binary() {
        let rows: [(&[u8], Option<i64>); 20] = [
            (b"", Some(0)),
            (b"\0\0\0", Some(0)),
            (b"   \0", Some(0)),
            (b"0000644\0", Some(0o644)),
            (b"0000644 ", Some(0o644)),
            (b"  644 \0 ", Some(0o644)),
            (b"12345670", Some(0o12345670)),
            (b"644\0junk", Some(0o644)),
            (b"644 junk", None),
            (b"+644", None),
            (b"-1", None),
            (b"9", None),
            (b"x", None),
            (b"\x80\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff", Some(-1)),
            (b"\xff\xff\0", Some(-256)),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Some(i64::MAX),
            ),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", Some(i64::MIN)),
            (b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None),
        ];
        for (field, expected) in rows {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for value in [0, 7, 0o777_7777, 0o1000_0000, u32::MAX] {
            assert_eq!(number(&field(value)), Some(i64::from(value)));
        }
    }
}
