//! What variables expand to, and where.

use super::{changed, *};

#[test]
fn words_expand_as_in_a_shell() {
    let config = ContainerConfig {
        env: Some(
            ["X=x y", "E=", "Q='q'", "N_1=n", "1=one"]
                .map(str::to_owned)
                .to_vec(),
        ),
        ..Default::default()
    };
    for (word, expected) in [
        ("$X", "x y"),
        ("${X}z", "x yz"),
        ("$N_1-$N_12", "n-"),
        ("$12$1a", "onea"),
        ("$U${U}", ""),
        ("$ $", "$ $"),
        ("a$.b", "a$.b"),
        ("${U:-d}${U-d}", "dd"),
        ("${E:-d}${E-d}", "d"),
        ("${X:-d}${X-d}", "x yx y"),
        ("${U:+a}${U+a}", ""),
        ("${E:+a}${E+a}", "a"),
        ("${X:+a}${X+a}", "aa"),
        ("${X:?}${E?}", "x y"),
        ("${U:-${E:-${X}}}", "x y"),
        ("${U:-\"$X}\"}", "x y}"),
        (r"${U:-\}}", "}"),
        (r"\$X", "$X"),
        (r"\\$X", r"\x y"),
        (r"a\b\'", "ab'"),
        ("'$X\\'", r"$X\"),
        ("\"$X'\"", "x y'"),
        (r#""\"\$X\\\a""#, r#""$X\\a"#),
        ("$Q", "'q'"),
        ("<<a", "<<a"),
    ] {
        let text = format!("USER {word}");
        assert_eq!(changed(config.clone(), &text).user, expected, "{word}");
    }
}

#[test]
fn most_instructions_expand_variables() {
    let text = r#"ENV V=/v P="80 81/udp" S=TERM K=key
ENV $K=$V
LABEL $K=${V}
USER $V
VOLUME $V ["$V"]
WORKDIR $V/w
EXPOSE $P 9
STOPSIGNAL $S
CMD $V
ENTRYPOINT ["$V"]
HEALTHCHECK CMD $V
ONBUILD USER $V"#;
    let config = applied(text);
    assert_eq!(
        json(&config),
        concat!(
            r#"{"User":"/v","ExposedPorts":{"80/tcp":{},"81/udp":{},"9/tcp":{}},"#,
            r#""Env":["V=/v","P=80 81/udp","S=TERM","K=key","key=/v"],"#,
            r#""Cmd":["/bin/sh","-c","$V"],"Healthcheck":{"Test":["CMD-SHELL","$V"]},"#,
            r#""Volumes":{"/v":{},"[/v]":{}},"WorkingDir":"/v/w","Entrypoint":["$V"],"#,
            r#""OnBuild":["USER $V"],"Labels":{"key":"/v"},"StopSignal":"TERM"}"#
        )
    );
}

#[test]
fn a_line_sees_the_variables_of_those_before_it() {
    let config = applied("ENV A=1\nENV A=2 B=$A\nENV C=$A");
    assert_eq!(config.env.unwrap(), ["A=2", "B=1", "C=2"]);
}

#[test]
fn the_last_of_two_entries_with_one_name_counts() {
    let config = ContainerConfig {
        env: Some(vec!["A=1".into(), "A=2".into()]),
        ..Default::default()
    };
    assert_eq!(changed(config, "USER $A").user, "2");
}
