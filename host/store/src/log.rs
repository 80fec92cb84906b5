//! SQLite's write-ahead log, looked at before SQLite does.
//!
//! SQLite takes the first frame whose sum is wrong for the end of the log, and drops what follows: one
//! flipped bit costs all changes after it, and nobody is told. But the sums go on from frame to frame and
//! are linear, so that a frame of which one word is wrong can be put right from them alone, exactly.
//!
//! The end of a log that a power cut tore is left to SQLite: nobody was told that those changes are made.
//!
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

mod sum;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::aside::beside;
use crate::regular;
use sum::{Sum, locate, word};

/// Bytes before the first frame, and before the page of each.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Bytes a sum is made of: of the header, and of a frame's.
const HEADER_SUMMED: usize = 24;
const FRAME_SUMMED: usize = 8;
/// The first word where sums are of little-endian words; of big-endian ones it is one more.
const MAGIC: u32 = 0x377f_0682;
const IS_BIG: bool = cfg!(target_endian = "big");
const VERSION: u32 = 3_007_000;
/// Pages of our databases.
const PAGE: u32 = 4096;
/// Longest log that is looked at: reading it takes about a second.
const LONGEST: u64 = 1 << 30;
/// Most words that are put right: one place on a disk goes bad, not all.
const MOST: usize = 64;

/// What was done about a log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing: it is whole, or there is none.
    Whole,
    /// So many words were wrong and are right now.
    PutRight(usize),
    /// Changes that were made are in it, and cannot be read: why.
    Lost(String),
}

/// Puts the log of the database at `path` right as far as that goes. Nobody may be using it.
///
/// # Errors
/// Those of reading and writing it.
pub(crate) fn mend(path: &Path) -> io::Result<Found> {
    let open = |path: &Path| match regular::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    };
    let (Some(database), Some(file)) = (open(path)?, open(&beside(path, "-wal"))?) else {
        return Ok(Found::Whole);
    };
    let length = file.metadata()?.len();
    if length <= HEADER as u64 || length > LONGEST {
        return Ok(Found::Whole);
    }
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0)?;
    let mut log = Log::new(&database, &file, header);
    let lost = log.scan()?;
    if let Some(why) = lost {
        return Ok(Found::Lost(why));
    }
    for (at, word) in &log.patches {
        file.write_all_at(word, *at)?;
    }
    match log.patches.len() {
        0 => Ok(Found::Whole),
        count => {
            file.sync_all()?;
            Ok(Found::PutRight(count))
        }
    }
}

/// How many bytes are others.
fn differing(before: &[u8], now: &[u8]) -> usize {
    let pairs = before.iter().zip(now);
    pairs.filter(|(before, now)| before != now).count()
}

/// A log that is read.
struct Log<'a> {
    database: &'a File,
    file: &'a File,
    header: [u8; HEADER],
    is_big: bool,
    page: usize,
    /// What has to be written where.
    patches: Vec<(u64, [u8; 4])>,
}

impl<'a> Log<'a> {
    fn new(database: &'a File, file: &'a File, header: [u8; HEADER]) -> Self {
        // That of the machine, unless a log says otherwise that is right.
        let is_other = word(&header[..4], true) == MAGIC + u32::from(!IS_BIG)
            && Sum(0, 0).add(&header[..HEADER_SUMMED], !IS_BIG)
                == Sum::stored(&header[HEADER_SUMMED..]);
        Self {
            database,
            file,
            is_big: IS_BIG != is_other,
            page: PAGE as usize,
            patches: Vec::new(),
            header,
        }
    }

    fn salts(&self) -> &[u8] {
        &self.header[16..24]
    }

    fn at(&self, frame: u64) -> u64 {
        HEADER as u64 + frame * (FRAME_HEADER + self.page) as u64
    }

    /// `None` after the last one.
    fn frame(&self, number: u64) -> io::Result<Option<Frame>> {
        let mut bytes = vec![0; FRAME_HEADER + self.page];
        match self.file.read_exact_at(&mut bytes, self.at(number)) {
            Ok(()) => Ok(Some(Frame(bytes))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds what has to be put right, and says why changes are lost if they are.
    fn scan(&mut self) -> io::Result<Option<String>> {
        let Some(mut sum) = self.begin()? else {
            self.patches.clear();
            let is_log = self.goes_on(0)?;
            return Ok(is_log.then(|| "the head of its log is damaged".to_owned()));
        };
        let mut number = 0;
        while let Some(frame) = self.frame(number)? {
            let computed = frame.sum(sum, self.is_big);
            if frame.salts() == self.salts() && frame.stored() == computed {
                sum = computed;
            } else {
                let right = self.put_right(number, &frame, computed)?;
                let Some(right) = right.filter(|_| self.patches.len() <= MOST) else {
                    let is_lost = self.is_followed(number)?;
                    return Ok(is_lost.then(|| format!("its log is damaged at frame {number}")));
                };
                sum = right;
            }
            number += 1;
        }
        Ok(None)
    }

    /// The sum of the header, put right. `None` if that cannot be.
    fn begin(&mut self) -> io::Result<Option<Sum>> {
        let computed = Sum(0, 0).add(&self.header[..HEADER_SUMMED], self.is_big);
        let stored = Sum::stored(&self.header[HEADER_SUMMED..]);
        let mut sum = stored;
        if computed != stored {
            let follows = self.frame(0)?.is_some_and(|frame| {
                frame.salts() == self.salts() && frame.sum(computed, self.is_big) == frame.stored()
            });
            if follows {
                self.store(HEADER_SUMMED as u64, computed);
                sum = computed;
            } else {
                let words = locate(HEADER_SUMMED / 4, computed, stored).into_iter();
                let right = words.map(|(wrong, missing)| {
                    let (at, mut header) = (wrong * 4, self.header);
                    let right = self.add(&header[at..at + 4], missing);
                    header[at..at + 4].copy_from_slice(&right);
                    (header, at as u64, right)
                });
                let first = self.frame(0)?;
                let is_first = |salts: &[u8]| first.as_ref().is_some_and(|it| it.salts() == salts);
                let mut right =
                    right.filter(|(header, ..)| self.is_ours(header) && is_first(&header[16..24]));
                let (Some((header, at, word)), None) = (right.next(), right.next()) else {
                    return Ok(None);
                };
                self.header = header;
                self.patches.push((at, word));
            }
        }
        Ok(self.is_ours(&self.header).then_some(sum))
    }

    fn is_ours(&self, header: &[u8; HEADER]) -> bool {
        let expected = [MAGIC + u32::from(self.is_big), VERSION, PAGE];
        let found = [0, 4, 8].map(|at| word(&header[at..at + 4], true));
        found == expected
    }

    /// What has to be added to a word as it is summed.
    fn add(&self, bytes: &[u8], missing: u32) -> [u8; 4] {
        let right = word(bytes, self.is_big).wrapping_add(missing);
        match self.is_big {
            true => right.to_be_bytes(),
            false => right.to_le_bytes(),
        }
    }

    fn store(&mut self, at: u64, sum: Sum) {
        let [first, second] = sum.bytes();
        self.patches.extend([(at, first), (at + 4, second)]);
    }

    /// Puts one frame right, and returns the sum up to its end. `None` if that cannot be: it is of an
    /// older log, torn, or damaged.
    fn put_right(&mut self, number: u64, frame: &Frame, computed: Sum) -> io::Result<Option<Sum>> {
        let (at, stored) = (self.at(number), frame.stored());
        if frame.salts() != self.salts() {
            if computed != stored {
                return Ok(None);
            }
            let salts = self.salts().to_vec();
            for (part, offset) in salts.chunks_exact(4).zip([8, 12]) {
                let part = part.try_into().unwrap_or_default();
                self.patches.push((at + offset, part));
            }
            return Ok(Some(stored));
        }
        let next = self.frame(number + 1)?;
        let next = next.filter(|next| next.salts() == self.salts());
        let is_half = (computed.0 == stored.0) != (computed.1 == stored.1);
        let is_sum = match next {
            Some(next) => next.sum(computed, self.is_big) == next.stored(),
            // The sum is wrong rather than what it is of, for rows have sums of their own.
            None => is_half,
        };
        if is_sum {
            self.store(at + 16, computed);
            return Ok(Some(computed));
        }
        let words = (FRAME_SUMMED + self.page) / 4;
        let found = locate(words, computed, stored);
        let Some((offset, right)) = self.choose(number, frame, &found)? else {
            return Ok(None);
        };
        self.patches.push((at + offset as u64, right));
        Ok(Some(stored))
    }

    /// Which of the words that may be wrong is, and what it was: the only one that brings the page closer to
    /// what it was before, or, if there is but one, one of which a single byte is wrong. What is wrong in many
    /// places may look as if it were in one.
    fn choose(
        &self,
        number: u64,
        frame: &Frame,
        found: &[(usize, u32)],
    ) -> io::Result<Option<(usize, [u8; 4])>> {
        if found.is_empty() {
            return Ok(None);
        }
        let before = self.before(number, frame.page())?;
        let (mut chosen, mut least) = (None, differing(&before, frame.content()));
        for (wrong, missing) in found {
            let offset = match wrong * 4 {
                offset if offset < FRAME_SUMMED => offset,
                offset => offset + FRAME_HEADER - FRAME_SUMMED,
            };
            let now = &frame.0[offset..offset + 4];
            let right = self.add(now, *missing);
            if found.len() == 1 && differing(now, &right) == 1 {
                return Ok(Some((offset, right)));
            }
            let mut bytes = frame.0.clone();
            bytes[offset..offset + 4].copy_from_slice(&right);
            let corrected = Frame(bytes);
            let distance = match corrected.page() == frame.page() {
                true => differing(&before, corrected.content()),
                false => differing(&self.before(number, corrected.page())?, corrected.content()),
            };
            if distance < least {
                (chosen, least) = (Some((offset, right)), distance);
            } else if distance == least {
                chosen = None;
            }
        }
        Ok(chosen)
    }

    /// What a page was before frame `number`.
    fn before(&self, number: u64, page: u32) -> io::Result<Vec<u8>> {
        let mut before = vec![0; self.page];
        let mut earlier = (0..number).rev();
        let found = loop {
            let Some(number) = earlier.next() else {
                break None;
            };
            let frame = self.frame(number)?;
            if let Some(frame) = frame.filter(|frame| frame.page() == page) {
                break Some(frame);
            }
        };
        match found {
            Some(found) => before.copy_from_slice(found.content()),
            None => {
                let at = u64::from(page).saturating_sub(1) * self.page as u64;
                // A page that is not there yet is empty.
                let _ = self.database.read_exact_at(&mut before, at);
            }
        }
        Ok(before)
    }

    /// Whether frames from `number` on are of this log, and one of them ends a change that another one
    /// follows: then it was on disk, and whoever made it was told so.
    fn is_followed(&self, number: u64) -> io::Result<bool> {
        let mut number = number;
        while let Some(frame) = self.frame(number)? {
            if frame.salts() == self.salts() && frame.is_end() && self.goes_on(number)? {
                return Ok(true);
            }
            number += 1;
        }
        Ok(false)
    }

    /// Whether the frame after `number` goes on where that one ends.
    fn goes_on(&self, number: u64) -> io::Result<bool> {
        let (Some(frame), Some(next)) = (self.frame(number)?, self.frame(number + 1)?) else {
            return Ok(false);
        };
        let sum = next.sum(frame.stored(), self.is_big);
        Ok(frame.salts() == next.salts() && sum == next.stored())
    }
}

/// A page, and before it its number, the database's size if it ends a change, salts and a sum.
struct Frame(Vec<u8>);

impl Frame {
    fn page(&self) -> u32 {
        word(&self.0[..4], true)
    }

    fn content(&self) -> &[u8] {
        &self.0[FRAME_HEADER..]
    }

    fn is_end(&self) -> bool {
        self.0[4..8] != [0; 4]
    }

    fn salts(&self) -> &[u8] {
        &self.0[8..16]
    }

    fn stored(&self) -> Sum {
        Sum::stored(&self.0[16..FRAME_HEADER])
    }

    fn sum(&self, before: Sum, is_big: bool) -> Sum {
        let head = before.add(&self.0[..FRAME_SUMMED], is_big);
        head.add(&self.0[FRAME_HEADER..], is_big)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::path::PathBuf;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    const FRAME: usize = FRAME_HEADER + PAGE as usize;

    /// A database in whose log are so many changes, and what the log was; copied, as if whoever made it had been
    /// killed.
    fn killed(changes: usize) -> (TempDir, PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let (first, path) = (folder.path().join("first"), folder.path().join("store.db"));
        let connection = Connection::open(&first).unwrap();
        crate::database::configure(&connection, std::time::Duration::ZERO, "OFF").unwrap();
        let make = "CREATE TABLE t (id INTEGER PRIMARY KEY, it BLOB)";
        connection.execute_batch(make).unwrap();
        for change in 0..changes {
            let it = vec![u8::try_from(change % 251).unwrap(); 1500];
            connection
                .execute("INSERT INTO t VALUES (NULL, ?)", [it])
                .unwrap();
        }
        std::fs::copy(&first, &path).unwrap();
        let log = std::fs::read(beside(&first, "-wal")).unwrap();
        std::fs::write(beside(&path, "-wal"), &log).unwrap();
        (folder, path, log)
    }

    fn after(path: &Path, damaged: &[u8]) -> (Found, Vec<u8>) {
        let log = beside(path, "-wal");
        std::fs::write(&log, damaged).unwrap();
        (mend(path).unwrap(), std::fs::read(log).unwrap())
    }

    #[test]
    fn a_word_that_is_wrong_is_put_right_or_said_to_be_lost() {
        let (_folder, path, log) = killed(6);
        let last = log.len() - FRAME;
        // Of the last frame nothing tells its sum from the last word it is of, and what cannot be put right is
        // taken for torn.
        let is_last = |at: usize| at >= last;
        let (mut right, mut count) = (0, 0);
        for at in (0..log.len()).step_by(13) {
            let mut damaged = log.clone();
            damaged[at] ^= 1 << (at % 8);
            let (found, mended) = after(&path, &damaged);
            count += 1;
            match found {
                Found::PutRight(_) => {
                    assert!(mended == log || is_last(at), "{at}");
                    assert_eq!(after(&path, &mended), (Found::Whole, mended), "{at}");
                    right += 1;
                }
                Found::Lost(_) => assert_eq!(mended, damaged, "{at}"),
                Found::Whole => assert!(is_last(at) && mended == damaged, "{at}"),
            }
        }
        assert!(right * 10 > count * 9, "{right} of {count}");
        for at in (0..last).step_by(404) {
            let mut damaged = log.clone();
            damaged[at..at + 4].copy_from_slice(b"word");
            match after(&path, &damaged) {
                (Found::PutRight(_), mended) => assert!(mended == log, "{at}"),
                (found, left) => assert!(matches!(found, Found::Lost(_)) && left == damaged),
            }
        }
    }

    #[test]
    fn what_cannot_be_put_right_is_said_unless_nobody_was_told_of_it() {
        let (_folder, path, log) = killed(5);
        let frames = (log.len() - HEADER) / FRAME;
        for (frame, expected) in [(0, true), (frames - 6, true), (frames - 1, false)] {
            for (from, to) in [(0, 24), (4, 20), (100, 700)] {
                let mut damaged = log.clone();
                let at = HEADER + frame * FRAME;
                damaged[at + from..at + to].fill(0xa5);
                let (found, left) = after(&path, &damaged);
                assert_eq!(
                    matches!(found, Found::Lost(_)),
                    expected,
                    "{frame} {from}: {found:?}"
                );
                assert_eq!(left, damaged);
            }
        }
        let mut damaged = log.clone();
        damaged[..HEADER].fill(0);
        assert!(matches!(after(&path, &damaged).0, Found::Lost(_)));
    }

    #[test]
    fn a_log_that_ends_anywhere_is_left_to_sqlite() {
        let (_folder, path, log) = killed(3);
        for end in (0..log.len()).step_by(97) {
            let cut = log[..end].to_vec();
            assert_eq!(after(&path, &cut), (Found::Whole, cut), "{end}");
        }
        std::fs::remove_file(beside(&path, "-wal")).unwrap();
        assert_eq!(mend(&path).unwrap(), Found::Whole);
    }

    #[test]
    fn frames_of_an_older_log_are_none() {
        let (_folder, path, log) = killed(20);
        let connection = Connection::open(&path).unwrap();
        let begin_again = "PRAGMA wal_checkpoint(RESTART)";
        connection.query_row(begin_again, [], |_| Ok(())).unwrap();
        connection
            .execute("INSERT INTO t VALUES (NULL, 'x')", [])
            .unwrap();
        let now = std::fs::read(beside(&path, "-wal")).unwrap();
        assert!(now.len() == log.len() && now != log);
        assert_eq!(after(&path, &now), (Found::Whole, now));
    }
}
