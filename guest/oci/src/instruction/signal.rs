//! `STOPSIGNAL`: the signals of Linux.

use super::{InstructionError, invalid};

/// Their names, without `SIG`; real-time signals are counted from `RTMIN` and `RTMAX`.
const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Refuses what is neither the name of a signal nor a number; as in dockerd any number but 0 will do.
pub(super) fn check(signal: &str) -> Result<(), InstructionError> {
    let is_signal = match signal.parse::<i64>() {
        Ok(number) => number != 0,
        Err(_) => is_name(&signal.to_uppercase()),
    };
    match is_signal {
        true => Ok(()),
        false => Err(invalid(format!("invalid signal: {signal}"))),
    }
}

fn is_name(name: &str) -> bool {
    let name = name.strip_prefix("SIG").unwrap_or(name);
    let counts_to = |number: &str, last: u8| {
        let is_plain = !number.starts_with(['0', '+', '-']);
        is_plain && number.parse::<u8>().is_ok_and(|number| number <= last)
    };
    match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(number), _) => counts_to(number, 15),
        (_, Some(number)) => counts_to(number, 14),
        _ => NAMES.contains(&name),
    }
}
