//! `EXPOSE`: ports as `docker run --publish` writes them, of which only the container's count.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{InstructionError, invalid};
use crate::quote::quote;

/// The container's ports in `[[address:]host-ports:]ports[/protocol]`, as `number/protocol`.
pub(super) fn exposed(
    spec: &str,
) -> Result<impl ExactSizeIterator<Item = String>, InstructionError> {
    let (host, container) = spec.rsplit_once(':').unwrap_or(("", spec));
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    if container.is_empty() {
        return Err(invalid(format!("no port specified: {spec}<empty>")));
    }
    let protocol = match protocol.to_lowercase() {
        protocol if protocol.is_empty() => "tcp".to_owned(),
        protocol if matches!(protocol.as_str(), "tcp" | "udp" | "sctp") => protocol,
        protocol => return Err(invalid(format!("invalid proto: {protocol}"))),
    };
    let (address, host_ports) = host.rsplit_once(':').unwrap_or(("", host));
    check_address(address)?;
    let ports =
        range(container).ok_or_else(|| invalid(format!("invalid containerPort: {container}")))?;
    if !host_ports.is_empty() {
        let host =
            range(host_ports).ok_or_else(|| invalid(format!("invalid hostPort: {host_ports}")))?;
        // Several ports of the host may be offered to one of the container.
        if ports.len() > 1 && ports.len() != host.len() {
            return Err(invalid(format!(
                "invalid ranges specified for container and host Ports: {container} and {host_ports}"
            )));
        }
    }
    Ok(ports.map(move |port| format!("{port}/{protocol}")))
}

/// One port, or `first-last`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

fn number(text: &str) -> Option<u16> {
    // Rust would take a plus sign too.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn check_address(text: &str) -> Result<(), InstructionError> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let bare = bare.unwrap_or(text);
    let (address, _zone) = bare.split_once('%').unwrap_or((bare, ""));
    match address.is_empty() || address.parse::<IpAddr>().is_ok() {
        true => Ok(()),
        false => Err(invalid(format!(
            "invalid IP address: ParseAddr({}): unable to parse IP",
            quote(bare)
        ))),
    }
}
