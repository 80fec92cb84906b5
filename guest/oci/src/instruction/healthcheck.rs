//! `HEALTHCHECK`.

use std::num::IntErrorKind;

use super::{InstructionError, invalid, line::Line};
use crate::{config::Healthcheck, quote::quote, timestamp::parse_go_duration};

/// The shortest duration but 0, in nanoseconds.
const MIN_DURATION: i64 = 1_000_000;

/// Reads `NONE`, or `[--interval=… …] CMD …`.
pub(super) fn read(line: &Line) -> Result<Healthcheck, InstructionError> {
    let Some((kind, command)) = line.arguments.split_first() else {
        return Err(invalid("HEALTHCHECK requires at least one argument"));
    };
    let kind = kind.to_uppercase();
    if kind == "NONE" {
        if !command.is_empty() {
            return Err(invalid("HEALTHCHECK NONE takes no arguments"));
        }
        return Ok(Healthcheck {
            test: vec![kind],
            ..Healthcheck::default()
        });
    }
    let mut flags = Flags::default();
    for flag in &line.flags {
        flags.add(flag)?;
    }
    if kind != "CMD" {
        return Err(invalid(format!(
            "Unknown type {} in HEALTHCHECK (try CMD)",
            quote(&kind)
        )));
    }
    if command.is_empty() {
        return Err(invalid("Missing command after HEALTHCHECK CMD"));
    }
    let kind = match line.is_json {
        true => "CMD",
        false => "CMD-SHELL",
    };
    let mut test = vec![kind.to_owned()];
    test.extend_from_slice(command);
    Ok(Healthcheck {
        test,
        interval: duration("interval", flags.interval)?,
        timeout: duration("timeout", flags.timeout)?,
        start_period: duration("start-period", flags.start_period)?,
        start_interval: duration("start-interval", flags.start_interval)?,
        retries: retries(flags.retries.unwrap_or_default())?,
    })
}

/// What the flags say, not yet read.
#[derive(Default)]
struct Flags<'a> {
    interval: Option<&'a str>,
    timeout: Option<&'a str>,
    start_period: Option<&'a str>,
    start_interval: Option<&'a str>,
    retries: Option<&'a str>,
}

impl<'a> Flags<'a> {
    fn add(&mut self, flag: &'a str) -> Result<(), InstructionError> {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let place = match name {
            "--interval" => &mut self.interval,
            "--timeout" => &mut self.timeout,
            "--start-period" => &mut self.start_period,
            "--start-interval" => &mut self.start_interval,
            "--retries" => &mut self.retries,
            _ => return Err(invalid(format!("unknown flag: {name}"))),
        };
        if place.is_some() {
            return Err(invalid(format!("duplicate flag specified: {name}")));
        }
        if value.is_none() {
            return Err(invalid(format!("missing a value on flag: {name}")));
        }
        *place = value;
        Ok(())
    }
}

/// A Go duration in nanoseconds; nothing is 0.
fn duration(flag: &str, text: Option<&str>) -> Result<i64, InstructionError> {
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Ok(0);
    }
    match parse_go_duration(text) {
        None => Err(invalid(format!("time: {}", duration_fault(text)))),
        Some(0) => Ok(0),
        Some(nanoseconds) if nanoseconds < MIN_DURATION => Err(invalid(format!(
            "Interval {} cannot be less than 1ms",
            quote(flag)
        ))),
        Some(nanoseconds) => Ok(nanoseconds),
    }
}

/// What Go says of a duration it cannot read.
fn duration_fault(text: &str) -> String {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let unit = unsigned.trim_start_matches(is_number);
    let has_number = unit.len() < unsigned.len();
    let unit = unit.split(is_number).next().unwrap_or_default();
    let known = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
    let quoted = quote(text);
    match unit {
        _ if !has_number => format!("invalid duration {quoted}"),
        "" => format!("missing unit in duration {quoted}"),
        unit if known.contains(&unit) => format!("invalid duration {quoted}"),
        unit => format!("unknown unit {} in duration {quoted}", quote(unit)),
    }
}

fn retries(text: &str) -> Result<i64, InstructionError> {
    if text.is_empty() {
        return Ok(0);
    }
    let retries = text.parse::<i32>().map_err(|error| {
        let reason = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        invalid(format!(
            "strconv.ParseInt: parsing {}: {reason}",
            quote(text)
        ))
    })?;
    match retries < 0 {
        true => Err(invalid(format!("--retries cannot be negative ({retries})"))),
        false => Ok(retries.into()),
    }
}
