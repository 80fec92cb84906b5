//! Fuzz target: image archives, as their bytes come in pieces: the first byte says of which size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::archive::{Parser, Step, clean, follow};

/// What a parser made of the pieces: entries in debug form, bytes of content, whether it ended well.
fn read(pieces: &mut dyn Iterator<Item = &[u8]>) -> (Vec<String>, usize, bool) {
    let (mut parser, mut entries, mut content) = (Parser::new(), Vec::new(), 0);
    for mut piece in pieces {
        loop {
            let Ok((used, step)) = parser.step(piece) else {
                return (entries, content, false);
            };
            assert!(used <= piece.len());
            piece = &piece[used..];
            match step {
                Step::More => break,
                Step::Entry(entry) => {
                    if let Ok(path) = clean(&entry.path) {
                        let _ = follow(&path, &path);
                    }
                    entries.push(format!("{entry:?}"));
                }
                Step::Content => content += used,
                Step::End => return (entries, content, true),
            }
        }
    }
    let whole = parser.finish().is_ok();
    (entries, content, whole)
}

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else {
        return;
    };
    let size = usize::from(*size).max(1);
    let whole = read(&mut std::iter::once(bytes));
    let pieces = read(&mut bytes.chunks(size));
    assert_eq!(whole, pieces, "in pieces of {size}");
});
