//! Names and IDs of containers.

use strata_oci::Digest;

use crate::{Clock, Error, Result, catalog::Snapshot};

/// The longest name accepted, in bytes. Docker has no limit; it is a path on its disk,
/// and longer ones are nobody's.
const MAX_NAME_BYTES: usize = 255;
/// Random numbers an ID is made of.
const RANDOM_NUMBERS: usize = 4;
/// Names made up with a number at their end, before giving up.
const MAX_NUMBER: usize = 1000;

/// The first half of a name made up.
const ADJECTIVES: [&str; 24] = [
    "able", "bright", "calm", "clever", "eager", "fair", "gentle", "happy", "honest", "keen",
    "kind", "lively", "mellow", "modest", "noble", "patient", "proud", "quick", "quiet", "rapid",
    "steady", "sunny", "warm", "wise",
];
/// The second half: people who studied layers of rock.
const SURNAMES: [&str; 24] = [
    "agricola",
    "anning",
    "arduino",
    "bascom",
    "boucot",
    "cuvier",
    "etheridge",
    "gressly",
    "holmes",
    "hutton",
    "lapworth",
    "lehmann",
    "lyell",
    "murchison",
    "oppel",
    "playfair",
    "sedgwick",
    "sloss",
    "smith",
    "sorby",
    "steno",
    "suess",
    "walther",
    "werner",
];

/// A name as asked for, without its slash.
///
/// # Errors
/// [`Error::InvalidArgument`] if it breaks the grammar.
pub(super) fn checked(text: &str) -> Result<&str> {
    let name = text.strip_prefix('/').unwrap_or(text);
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|it| it.is_ascii_alphanumeric());
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let rest = name.len() > 1 && name.len() <= MAX_NAME_BYTES && bytes.all(is_rest);
    match first && rest {
        true => Ok(name),
        false => Err(Error::InvalidArgument(format!(
            "Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        ))),
    }
}

/// A name nobody has yet.
///
/// # Errors
/// [`Error::Conflict`] if a thousand tries gave none.
pub(super) fn made_up(clock: &impl Clock, snapshot: &Snapshot) -> Result<String> {
    let taken = |name: &str| snapshot.all_containers().any(|it| it.own_name == name);
    for number in 0..MAX_NUMBER {
        let adjective = pick(&ADJECTIVES, clock.random());
        let surname = pick(&SURNAMES, clock.random());
        let name = match number {
            0 => format!("{adjective}_{surname}"),
            number => format!("{adjective}_{surname}{number}"),
        };
        if !taken(&name) {
            return Ok(name);
        }
    }
    Err(Error::Conflict(
        "every name that was made up is taken, choose one".to_owned(),
    ))
}

fn pick<'a>(words: &[&'a str], random: u64) -> &'a str {
    let position = random % words.len().max(1) as u64;
    let word = usize::try_from(position).ok().and_then(|it| words.get(it));
    word.copied().unwrap_or_default()
}

/// An ID nobody has yet: 64 hexadecimal digits. The clock's random numbers need not be
/// good, so that time and the store's generation go in, too.
pub(super) fn id(clock: &impl Clock, snapshot: &Snapshot, name: &str) -> String {
    let mut seed = Vec::new();
    for number in 0_u64.. {
        let random = (0..RANDOM_NUMBERS).map(|_| clock.random());
        random.for_each(|it| seed.extend(it.to_le_bytes()));
        let (seconds, nanoseconds) = clock.now();
        seed.extend(seconds.to_le_bytes());
        seed.extend(nanoseconds.to_le_bytes());
        seed.extend(snapshot.generation.to_le_bytes());
        seed.extend(number.to_le_bytes());
        seed.extend(name.bytes());
        let id = Digest::sha256(&seed).encoded().to_owned();
        if snapshot.all_containers().all(|it| it.id != id) {
            return id;
        }
    }
    String::new()
}
