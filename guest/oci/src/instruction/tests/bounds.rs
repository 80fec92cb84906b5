//! What hostile instructions run into.

use super::*;

#[test]
fn lines_and_texts_are_bounded() {
    let line = |length: usize| format!("USER {}", "a".repeat(length - 5));
    assert_eq!(
        applied(&line(MAX_LINE_BYTES)).user.len(),
        MAX_LINE_BYTES - 5
    );
    let expected = "dockerfile line greater than max allowed size of 65535";
    assert_eq!(refused(&line(MAX_LINE_BYTES + 1)), expected);
    assert_eq!(
        refused(&format!("USER \\\n{}", line(MAX_LINE_BYTES + 1))),
        expected
    );

    let long = vec!["USER a".to_owned(); MAX_CHANGES_BYTES / 7 + 1];
    let error = apply(&long, &mut ContainerConfig::default()).unwrap_err();
    assert!(
        error.to_string().ends_with("the limit is 1048576"),
        "{error}"
    );
}

#[test]
fn variables_that_double_run_into_a_bound() {
    let double = "ENV A=$A$A\n".repeat(64);
    let error = refused(&format!("ENV A=aaaaaaaa\n{double}"));
    let expected = "the variables expand to more than 8388608 bytes";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn ports_are_counted_before_they_are_named() {
    let all = "EXPOSE 0-65535/tcp 0-65535/udp 0-65535/sctp\n";
    let exposed = applied(all).exposed_ports.unwrap();
    assert_eq!(exposed.len(), MAX_EXPOSED);
    for text in [format!("{all}EXPOSE 1"), all.repeat(1000)] {
        let mut config = ContainerConfig::default();
        let error = apply(&[text], &mut config).unwrap_err();
        let expected =
            "the changes expose more than 196608 ports, those named again included".to_owned();
        assert_eq!(error, InstructionError::TooMuch(expected));
    }
}

#[test]
fn nesting_runs_into_a_bound() {
    let nested = |depth: usize| format!("USER {}x{}", "${U:-".repeat(depth), "}".repeat(depth));
    assert_eq!(applied(&nested(64)).user, "x");
    let error = refused(&nested(65));
    assert!(error.ends_with("nested more than 64 deep"), "{error}");
    refused(&format!("USER {}", "${U:-".repeat(13_000)));
    refused(&"ONBUILD ".repeat(8_000));
}
