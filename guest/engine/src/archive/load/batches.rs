//! Small documents read at the same time: many, but of few bytes.

/// Bytes read at the same time; a larger document is read alone. Parsed they are a small
/// multiple.
const BYTES: u64 = 4 << 20;
/// Documents read at the same time: each waits for the disk.
const COUNT: usize = 16;

/// Documents in their order, in batches to be read at the same time.
pub(super) fn batches<T>(
    documents: impl IntoIterator<Item = T>,
    size: impl Fn(&T) -> u64,
) -> impl Iterator<Item = Vec<T>> {
    let mut documents = documents.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut bytes = 0_u64;
        let mut batch = Vec::new();
        while batch.len() < COUNT
            && let Some(next) = documents.next_if(|next| {
                bytes = bytes.saturating_add(size(next));
                batch.is_empty() || bytes <= BYTES
            })
        {
            batch.push(next);
        }
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_of_few_documents_and_few_bytes() {
        let small: Vec<u64> = vec![1; 40];
        let sizes: Vec<usize> = batches(small, |it| *it).map(|batch| batch.len()).collect();
        assert_eq!(sizes, [16, 16, 8]);
        let all = [BYTES + 1, 1, BYTES - 1, 1, u64::MAX, u64::MAX, 3];
        let batches: Vec<Vec<u64>> = batches(all, |it| *it).collect();
        let expected: [&[u64]; 6] = [
            &[BYTES + 1],
            &[1, BYTES - 1],
            &[1],
            &[u64::MAX],
            &[u64::MAX],
            &[3],
        ];
        assert_eq!(batches, expected);
    }
}
