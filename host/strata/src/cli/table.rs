//! Tables with docker's layout, so that scripts that cut columns keep working.

/// The narrowest a column gets, space included.
const NARROWEST: usize = 10;
/// Spaces between columns.
const SPACE: usize = 3;

/// Lays out rows of equal length, the first being the headings: columns are left-aligned and the
/// last one is not padded.
pub(crate) fn layout<const N: usize>(rows: &[[String; N]]) -> String {
    let length = |cell: &String| cell.chars().count();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widest = rows.iter().map(|row| length(&row[column])).max();
        (widest.unwrap_or(0) + SPACE).max(NARROWEST)
    });
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < N {
                let padding = widths[column].saturating_sub(length(cell));
                text.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push('\n');
    }
    text
}

/// Cuts text to `limit` characters, the last of which is then an ellipsis.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.into(),
        Some(_) => text
            .chars()
            .take(limit.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_at_least_ten_wide_and_three_apart() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let text = layout(&[
            row(["REPOSITORY", "TAG", "SIZE"]),
            row(["localhost:5000/é", "1", "12.8MB"]),
        ]);
        let expected = "\
REPOSITORY         TAG       SIZE
localhost:5000/é   1         12.8MB
";
        assert_eq!(text, expected);
    }

    #[test]
    fn text_is_cut_by_characters() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("äöüß", 3), "äö…");
    }
}
