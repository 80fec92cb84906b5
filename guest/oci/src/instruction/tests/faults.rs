//! Why instructions are refused.

use super::*;

#[test]
fn what_changes_more_than_a_config_is_refused() {
    for word in [
        "FROM",
        "run",
        "Copy",
        "ADD",
        "ARG",
        "SHELL",
        "MAINTAINER",
        "x",
    ] {
        let error = refused(&format!("USER a\n{word} [\"b\"]"));
        assert_eq!(error, format!("{word} is not a valid change command"));
    }
    assert_eq!(refused("\\"), " is not a valid change command");
}

#[test]
fn mistakes_are_named_as_dockerd_names_them() {
    for (text, expected) in [
        ("", "file with no instructions"),
        ("# comment\n\n", "file with no instructions"),
        (
            "# escape=x\nUSER a",
            "invalid escape token 'x' does not match ` or \\",
        ),
        (
            "# escape=`\n# Escape=`\nUSER a",
            "only one escape parser directive can be used",
        ),
        ("ENV", "ENV requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("LABEL a", "LABEL must have two arguments"),
        (
            "ENV A=1 \"b c\"",
            r#"Syntax error - can't find = in "\"b c\"". Must be of the form: name=value"#,
        ),
        ("ENV =a", "ENV names can not be blank"),
        ("LABEL a=b =c", "LABEL names can not be blank"),
        ("ENV --x A=1", "unknown flag: --x"),
        ("CMD --x=y a", "unknown flag: --x"),
        (
            "CMD [1]",
            "when using JSON array syntax, arrays must be comprised of strings only",
        ),
        (
            "ONBUILD RUN [null]",
            "when using JSON array syntax, arrays must be comprised of strings only",
        ),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("WORKDIR $A", "cannot normalize nothing"),
        ("STOPSIGNAL 0", "invalid signal: 0"),
        ("STOPSIGNAL SIGFOO", "invalid signal: SIGFOO"),
        ("STOPSIGNAL RTMIN+16", "invalid signal: RTMIN+16"),
        ("STOPSIGNAL RTMAX-15", "invalid signal: RTMAX-15"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME []", "VOLUME requires at least one argument"),
        (
            "VOLUME [\" \"]",
            "VOLUME specified can not be an empty string",
        ),
        ("VOLUME $A", "VOLUME specified can not be an empty string"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        (
            "ONBUILD onbuild USER a",
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        ),
        ("ONBUILD from a", "FROM isn't allowed as an ONBUILD trigger"),
        (
            "ONBUILD MAINTAINER a",
            "MAINTAINER isn't allowed as an ONBUILD trigger",
        ),
        ("ONBUILD ENV A", "ENV must have two arguments"),
        // Syntax is looked at before what is allowed, and both before anything is done.
        ("RUN x\nENV A", "ENV must have two arguments"),
        ("STOPSIGNAL 0\nRUN x", "RUN is not a valid change command"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn ports_that_are_none_are_refused() {
    for (ports, expected) in [
        ("", "EXPOSE requires at least one argument"),
        ("a", "invalid containerPort: a"),
        ("+1", "invalid containerPort: +1"),
        ("65536", "invalid containerPort: 65536"),
        ("2-1", "invalid containerPort: 2-1"),
        ("1-", "invalid containerPort: 1-"),
        ("/tcp", "no port specified: /tcp<empty>"),
        ("80:", "no port specified: 80:<empty>"),
        ("80/icmp", "invalid proto: icmp"),
        ("x:80", "invalid hostPort: x"),
        (
            "1-2:3-5",
            "invalid ranges specified for container and host Ports: 3-5 and 1-2",
        ),
        (
            "h:1:2",
            r#"invalid IP address: ParseAddr("h"): unable to parse IP"#,
        ),
    ] {
        assert_eq!(refused(&format!("EXPOSE {ports}")), expected, "{ports}");
    }
}

#[test]
fn healthchecks_that_are_none_are_refused() {
    for (text, expected) in [
        ("", "HEALTHCHECK requires at least one argument"),
        ("NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("CMD", "Missing command after HEALTHCHECK CMD"),
        ("CMD []", "Missing command after HEALTHCHECK CMD"),
        ("run x", r#"Unknown type "RUN" in HEALTHCHECK (try CMD)"#),
        ("--a=1 CMD x", "unknown flag: --a"),
        ("--retries CMD x", "missing a value on flag: --retries"),
        (
            "--retries=1 --retries=1 CMD x",
            "duplicate flag specified: --retries",
        ),
        ("--retries=-1 CMD x", "--retries cannot be negative (-1)"),
        (
            "--retries=a CMD x",
            r#"strconv.ParseInt: parsing "a": invalid syntax"#,
        ),
        (
            "--retries=2147483648 CMD x",
            r#"strconv.ParseInt: parsing "2147483648": value out of range"#,
        ),
        (
            "--interval=999us CMD x",
            r#"Interval "interval" cannot be less than 1ms"#,
        ),
        (
            "--start-period=-1s CMD x",
            r#"Interval "start-period" cannot be less than 1ms"#,
        ),
        ("--timeout=x CMD x", r#"time: invalid duration "x""#),
        ("--timeout=5 CMD x", r#"time: missing unit in duration "5""#),
        (
            "--timeout=5d CMD x",
            r#"time: unknown unit "d" in duration "5d""#,
        ),
    ] {
        assert_eq!(refused(&format!("HEALTHCHECK {text}")), expected, "{text}");
    }
}

#[test]
fn words_that_do_not_end_are_refused() {
    for (word, reason) in [
        (
            "'a",
            "unexpected end of statement while looking for matching single-quote",
        ),
        (
            "\"a",
            "unexpected end of statement while looking for matching double-quote",
        ),
        ("${", "syntax error: missing '}'"),
        ("${a", "syntax error: missing '}'"),
        ("${a:-b", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:-a}", "syntax error: bad substitution"),
        ("${a=b}", "unsupported modifier (=) in substitution"),
        ("${a:=b}", "unsupported modifier (:=) in substitution"),
        ("${a%b}", "unsupported modifier (%) in substitution"),
        ("${a?}", "a: is not allowed to be unset"),
        ("${a:?why}", "a: why"),
    ] {
        let expected = format!("failed to process {}: {reason}", crate::quote::quote(word));
        assert_eq!(refused(&format!("USER {word}")), expected);
    }
    let empty = refused("ENV a=\nUSER ${a:?}");
    assert!(empty.ends_with("a: is not allowed to be empty"), "{empty}");
}
