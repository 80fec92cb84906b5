//! What each instruction does.

use super::{changed, *};

#[test]
fn each_instruction_changes_its_member() {
    for (text, expected) in [
        (r#"CMD ["a", "b c"]"#, r#"{"Cmd":["a","b c"]}"#),
        ("CMD a  'b' $c", r#"{"Cmd":["/bin/sh","-c","a  'b' $c"]}"#),
        ("CMD [a]", r#"{"Cmd":["/bin/sh","-c","[a]"]}"#),
        ("CMD []", r#"{"Cmd":[]}"#),
        ("CMD", r#"{"Cmd":["/bin/sh","-c"]}"#),
        ("cMd x", r#"{"Cmd":["/bin/sh","-c","x"]}"#),
        (r#"ENTRYPOINT ["a"]"#, r#"{"Entrypoint":["a"]}"#),
        ("ENTRYPOINT a b", r#"{"Entrypoint":["/bin/sh","-c","a b"]}"#),
        ("ENTRYPOINT []", "{}"),
        ("ENTRYPOINT", "{}"),
        ("USER 1:2", r#"{"User":"1:2"}"#),
        ("USER a b", r#"{"User":"a b"}"#),
        ("WORKDIR /a//b/../c/", r#"{"WorkingDir":"/a/c"}"#),
        ("WORKDIR a\nWORKDIR b", r#"{"WorkingDir":"/a/b"}"#),
        ("WORKDIR /a\nWORKDIR ../../..", r#"{"WorkingDir":"/"}"#),
        ("WORKDIR /a\nWORKDIR /b", r#"{"WorkingDir":"/b"}"#),
        ("VOLUME /a /b", r#"{"Volumes":{"/a":{},"/b":{}}}"#),
        (
            r#"VOLUME ["/a b", " /c "]"#,
            r#"{"Volumes":{"/a b":{},"/c":{}}}"#,
        ),
        ("STOPSIGNAL SIGTERM", r#"{"StopSignal":"SIGTERM"}"#),
        ("STOPSIGNAL rtmin+15", r#"{"StopSignal":"rtmin+15"}"#),
        ("STOPSIGNAL 99", r#"{"StopSignal":"99"}"#),
        (
            "ONBUILD run  make \\\n all",
            r#"{"OnBuild":["run  make  all"]}"#,
        ),
        (
            "ONBUILD NOSUCH x\nonbuild USER u",
            r#"{"OnBuild":["NOSUCH x","USER u"]}"#,
        ),
    ] {
        assert_eq!(json(&applied(text)), expected, "{text}");
    }
}

#[test]
fn pairs_come_in_two_forms() {
    for (arguments, expected) in [
        ("A=1", vec![("A", "1")]),
        ("A=1 B=2", vec![("A", "1"), ("B", "2")]),
        (r#"A="b c" D='e f'"#, vec![("A", "b c"), ("D", "e f")]),
        (r"A=b\ c", vec![("A", "b c")]),
        (r"A='b\' C=d", vec![("A", r"b\"), ("C", "d")]),
        ("A= B=", vec![("A", ""), ("B", "")]),
        ("A=b=c", vec![("A", "b=c")]),
        ("A=\"\"\"x\"''", vec![("A", "x")]),
        ("A b  c=d", vec![("A", "b  c=d")]),
        (r#"A "b  c""#, vec![("A", "b  c")]),
        (r#""A B"=c"#, vec![("A B", "c")]),
        ("A=1 \\\n  B=2", vec![("A", "1"), ("B", "2")]),
    ] {
        let pairs: Vec<(String, String)> = expected
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let env: Vec<String> = expected
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(applied(&format!("ENV {arguments}")).env, Some(env));
        let labels = applied(&format!("LABEL {arguments}")).labels;
        assert_eq!(labels, Some(pairs.into_iter().collect()), "{arguments}");
    }
}

#[test]
fn a_variable_is_replaced_in_its_place() {
    let config = ContainerConfig {
        env: Some(vec!["A=1".into(), "B=2".into(), "C".into()]),
        ..Default::default()
    };
    let config = changed(config, "ENV B=3 C=4 D=5\nENV A=6 D=7");
    assert_eq!(config.env.unwrap(), ["A=6", "B=3", "C=4", "D=7"]);
}

#[test]
fn expose_takes_what_publish_takes() {
    for (ports, expected) in [
        ("80", vec!["80/tcp"]),
        ("80/udp 80/TCP", vec!["80/tcp", "80/udp"]),
        ("80/", vec!["80/tcp"]),
        ("8-10/sctp", vec!["10/sctp", "8/sctp", "9/sctp"]),
        ("8080:80", vec!["80/tcp"]),
        ("8080-8090:80", vec!["80/tcp"]),
        ("127.0.0.1::80", vec!["80/tcp"]),
        ("[::1]:8080-8081:80-81", vec!["80/tcp", "81/tcp"]),
        ("65535", vec!["65535/tcp"]),
        ("\"80\" '81'", vec!["80/tcp", "81/tcp"]),
    ] {
        let exposed = applied(&format!("EXPOSE {ports}")).exposed_ports.unwrap();
        let exposed: Vec<&str> = exposed.keys().map(String::as_str).collect();
        assert_eq!(exposed, expected, "{ports}");
    }
}

#[test]
fn healthchecks_have_two_forms_flags_and_none() {
    for (text, expected) in [
        ("NONE", r#"{"Test":["NONE"]}"#),
        ("none", r#"{"Test":["NONE"]}"#),
        ("--interval=1s NONE", r#"{"Test":["NONE"]}"#),
        ("CMD a b", r#"{"Test":["CMD-SHELL","a b"]}"#),
        (r#"cmd ["a", "b"]"#, r#"{"Test":["CMD","a","b"]}"#),
        (
            "--interval=1m30s --timeout=1ms --start-period=0s --start-interval=2s --retries=3 \\\n CMD a",
            r#"{"Test":["CMD-SHELL","a"],"Interval":90000000000,"Timeout":1000000,"StartInterval":2000000000,"Retries":3}"#,
        ),
        (
            "--interval= --retries= CMD a",
            r#"{"Test":["CMD-SHELL","a"]}"#,
        ),
        ("-- CMD a", r#"{"Test":["CMD-SHELL","a"]}"#),
    ] {
        let check = applied(&format!("HEALTHCHECK {text}")).healthcheck;
        assert_eq!(serde_json::to_string(&check).unwrap(), expected, "{text}");
    }
}

#[test]
fn an_entrypoint_clears_a_command_it_did_not_come_with() {
    let inherited = ContainerConfig {
        cmd: Some(vec!["old".into()]),
        args_escaped: true,
        ..Default::default()
    };
    for (text, expected) in [
        (r#"ENTRYPOINT ["e"]"#, r#"{"Entrypoint":["e"]}"#),
        (
            "CMD [\"c\"]\nENTRYPOINT [\"e\"]",
            r#"{"Cmd":["c"],"Entrypoint":["e"]}"#,
        ),
        (
            "ENTRYPOINT [\"e\"]\nCMD [\"c\"]",
            r#"{"Cmd":["c"],"Entrypoint":["e"]}"#,
        ),
        ("CMD []\nENTRYPOINT [\"e\"]", r#"{"Entrypoint":["e"]}"#),
        ("CMD\nENTRYPOINT [\"e\"]", r#"{"Entrypoint":["e"]}"#),
        ("ENTRYPOINT []", "{}"),
    ] {
        assert_eq!(json(&changed(inherited.clone(), text)), expected, "{text}");
    }
}

#[test]
fn the_shell_form_uses_the_shell_of_the_config() {
    for (shell, expected) in [
        (
            Some(vec!["/bin/bash".to_owned(), "-xc".to_owned()]),
            "/bin/bash -xc a",
        ),
        (Some(Vec::new()), "/bin/sh -c a"),
        (None, "/bin/sh -c a"),
    ] {
        let config = ContainerConfig {
            shell,
            ..Default::default()
        };
        let cmd = changed(config, "CMD a").cmd.unwrap();
        assert_eq!(cmd.join(" "), expected);
    }
}

#[test]
fn no_changes_change_nothing() {
    let mut config = ContainerConfig {
        env: Some(vec!["A=1".into()]),
        ..Default::default()
    };
    let before = config.clone();
    apply(&[], &mut config).unwrap();
    assert_eq!(config, before);
    assert_eq!(changed(before.clone(), "ENV A=1"), before);
}
