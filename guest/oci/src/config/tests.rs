use super::*;

const DIFF_ID: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn parse(json: &str) -> ImageConfig {
    ImageConfig::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Everything dockerd writes, in the order this crate writes it.
fn full() -> String {
    let json = r#"{
        "created":"2024-02-29T12:34:56.789Z","author":"me","architecture":"arm64","os":"linux",
        "os.version":"1.2","os.features":["f"],"variant":"v8",
        "config":{
            "Hostname":"h","Domainname":"d","User":"u:g","AttachStdin":true,"AttachStdout":true,
            "AttachStderr":true,"ExposedPorts":{"80/tcp":{}},"Tty":true,"OpenStdin":true,"StdinOnce":true,
            "Env":["A=b"],"Cmd":["c"],
            "Healthcheck":{"Test":["NONE"],"Interval":1,"Timeout":2,"StartPeriod":3,"StartInterval":4,"Retries":5},
            "ArgsEscaped":true,"Image":"i","Volumes":{"/v":{}},"WorkingDir":"/w","Entrypoint":["e"],
            "OnBuild":["RUN x"],"Labels":{"k":"v","a":"b"},"StopSignal":"TERM","StopTimeout":7,"Shell":["s"]
        },
        "rootfs":{"type":"layers","diff_ids":["DIFF_ID"]},
        "history":[
            {"created":"2024-01-01T00:00:00Z","created_by":"RUN","author":"me","comment":"c","empty_layer":true},
            {"created_by":"COPY"}
        ],
        "comment":"note","parent":"sha256:p","docker_version":"29","container":"id",
        "container_config":{"Zed":1,"Alpha":null}
    }"#;
    json.replace("DIFF_ID", DIFF_ID)
        .replace(
            "\"Labels\":{\"k\":\"v\",\"a\":\"b\"}",
            "\"Labels\":{\"a\":\"b\",\"k\":\"v\"}",
        )
        .lines()
        .map(str::trim)
        .collect()
}

#[test]
fn every_member_is_read_and_written() {
    let json = full();
    assert_eq!(serde_json::to_string(&parse(&json)).unwrap(), json);
}

#[test]
fn null_empty_and_absent_are_the_same() {
    let nulls = r#"{"created":null,"author":"","architecture":null,"os":null,"os.version":"","os.features":null,
        "variant":null,"config":null,"rootfs":null,"history":null,"comment":"","parent":"","docker_version":null,
        "container":null,"container_config":null,"unknown":{"x":[1]}}"#;
    let empty = r#"{"architecture":"","os":"","rootfs":{"type":"","diff_ids":[]}}"#;
    assert_eq!(serde_json::to_string(&parse(nulls)).unwrap(), empty);
    assert_eq!(serde_json::to_string(&parse("{}")).unwrap(), empty);
    assert_eq!(
        parse(r#"{"rootfs":{"type":null,"diff_ids":null}}"#).rootfs,
        RootFs::default()
    );
}

#[test]
fn a_container_config_of_nulls_is_an_empty_one() {
    let members = [
        "Hostname",
        "Domainname",
        "User",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "ExposedPorts",
        "Tty",
        "OpenStdin",
        "StdinOnce",
        "Env",
        "Cmd",
        "Healthcheck",
        "ArgsEscaped",
        "Image",
        "Volumes",
        "WorkingDir",
        "Entrypoint",
        "OnBuild",
        "Labels",
        "StopSignal",
        "StopTimeout",
        "Shell",
    ];
    let nulls: Vec<String> = members
        .iter()
        .map(|name| format!("\"{name}\":null"))
        .collect();
    let config: ContainerConfig =
        json::from_slice(format!("{{{}}}", nulls.join(",")).as_bytes()).unwrap();
    assert_eq!(config, ContainerConfig::default());
    assert_eq!(serde_json::to_string(&config).unwrap(), "{}");

    let health = r#"{"Test":null,"Interval":null,"Timeout":null,"StartPeriod":null,"StartInterval":null,"Retries":null}"#;
    let health: Healthcheck = json::from_slice(health.as_bytes()).unwrap();
    assert_eq!(health, Healthcheck::default());
}

#[test]
fn old_spellings_are_read() {
    let config = parse(r#"{"config":{"Cmd":"sh","Entrypoint":"/e","Volumes":{"/v":null}}}"#)
        .config
        .unwrap();
    assert_eq!(config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
    assert_eq!(config.entrypoint.as_deref(), Some(&["/e".to_owned()][..]));
    assert!(config.volumes.unwrap().contains_key("/v"));
}

#[test]
fn container_config_is_passed_on_byte_for_byte() {
    let config = parse(r#"{"container_config":{"b": 1.0,"a":[ ]}}"#);
    assert_eq!(
        config.container_config.unwrap().get(),
        r#"{"b": 1.0,"a":[ ]}"#
    );
}

#[test]
fn platform_is_as_written() {
    let platform = parse(&full()).platform();
    assert_eq!(platform.to_string(), "linux(1.2)/arm64/v8");
    assert_eq!(platform.os_features, ["f"]);
}

#[test]
fn created_is_unix_seconds_if_it_is_a_time() {
    assert_eq!(parse(&full()).created_unix(), Some(1_709_210_096));
    assert_eq!(parse("{}").created_unix(), None);
    assert_eq!(parse(r#"{"created":"yesterday"}"#).created_unix(), None);
}

#[test]
fn labels_are_those_of_the_container_config() {
    let config = parse(&full());
    let labels: Vec<_> = config.labels().collect();
    assert_eq!(labels, [("a", "b"), ("k", "v")]);
    assert_eq!(parse("{}").labels().count(), 0);
    assert_eq!(parse(r#"{"config":{}}"#).labels().count(), 0);
}

#[test]
fn wrong_types_and_digests_are_refused() {
    for json in [
        "",
        "[]",
        "{",
        r#"{"os":1}"#,
        r#"{"rootfs":{"diff_ids":["sha256:../../x"]}}"#,
        r#"{"config":{"Env":"A=b"}}"#,
        r#"{"config":{"Labels":{"k":1}}}"#,
        r#"{"config":{"Healthcheck":{"Interval":1.5}}}"#,
        r#"{"os":"linux","os":1}"#,
    ] {
        let error = ImageConfig::parse(json.as_bytes()).unwrap_err();
        assert!(
            error.to_string().starts_with("invalid image config: "),
            "{json}"
        );
    }
}

#[test]
fn members_are_read_as_go_reads_them() {
    let json = r#"{"Architecture":"arm64","OS":"x","os":"linux","rootfS":{"Type":"layers"},"rootfs":{"diff_ids":["DIFF_ID"]},
        "config":{"cmd":["a"],"User":"u"},"Config":{"Cmd":["b"],"env":["A=b"],"labels":{"a":null,"b":"\ud800"}}}"#;
    let expected = "{\"architecture\":\"arm64\",\"os\":\"linux\",\"config\":{\"User\":\"u\",\"Env\":[\"A=b\"],\"Cmd\":[\"b\"],\
        \"Labels\":{\"a\":\"\",\"b\":\"\u{fffd}\"}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"DIFF_ID\"]}}";
    let read = parse(&json.replace("DIFF_ID", DIFF_ID));
    assert_eq!(
        serde_json::to_string(&read).unwrap(),
        expected.replace("DIFF_ID", DIFF_ID)
    );
    let invalid = ImageConfig::parse(b"{\"os\":\"\xff\"}").unwrap();
    assert_eq!(invalid.os, "\u{fffd}");
}

#[test]
fn what_may_be_many_is_bounded() {
    let list = |value: &str, count| format!("[{}]", vec![value; count].join(","));
    let map = |value: &str, count: usize| {
        let members: Vec<String> = (0..count).map(|it| format!("\"{it:x}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let config = |name: &str, value: String| format!(r#"{{"config":{{"{name}":{value}}}}}"#);
    let words = |name: &str, count| config(name, list("\"\"", count));
    type Made<'a> = &'a dyn Fn(usize) -> String;
    let cases: [(&str, usize, Made<'_>); 12] = [
        ("history entries", json::MAX_HISTORY, &|count| {
            format!(r#"{{"history":{}}}"#, list("{}", count))
        }),
        ("os.features", json::MAX_PLATFORM_FEATURES, &|count| {
            format!(r#"{{"os.features":{}}}"#, list("\"\"", count))
        }),
        ("diff-ids", crate::document::MAX_CHILDREN, &|count| {
            let diff_ids = list(&format!("\"{DIFF_ID}\""), count);
            format!(r#"{{"rootfs":{{"diff_ids":{diff_ids}}}}}"#)
        }),
        ("labels", json::MAX_LABELS, &|count| {
            config("Labels", map("\"\"", count))
        }),
        ("volumes", json::MAX_VOLUMES, &|count| {
            config("Volumes", map("{}", count))
        }),
        ("exposed ports", json::MAX_PORTS, &|count| {
            config("ExposedPorts", map("{}", count))
        }),
        ("environment variables", json::MAX_WORDS, &|count| {
            words("Env", count)
        }),
        ("words of the command", json::MAX_WORDS, &|count| {
            words("Cmd", count)
        }),
        ("words of the entrypoint", json::MAX_WORDS, &|count| {
            words("Entrypoint", count)
        }),
        ("words of the shell", json::MAX_WORDS, &|count| {
            words("Shell", count)
        }),
        ("triggers", json::MAX_WORDS, &|count| {
            words("OnBuild", count)
        }),
        ("words of the health check", json::MAX_WORDS, &|count| {
            let test = list("\"\"", count);
            config("Healthcheck", format!(r#"{{"Test":{test}}}"#))
        }),
    ];
    for (what, most, made) in cases {
        assert!(ImageConfig::parse(made(most).as_bytes()).is_ok(), "{what}");
        let error = ImageConfig::parse(made(most + 1).as_bytes()).unwrap_err();
        assert!(error.is_over_limit(), "{what}");
        assert_eq!(
            error.to_string(),
            format!("invalid image config: too many {what}, the limit is {most}")
        );
    }
}

#[test]
fn words_of_a_platform_are_short() {
    let most = json::MAX_PLATFORM_WORD;
    let word = |length: usize| "\\u0061".repeat(length);
    for member in ["os", "architecture", "variant", "os.version", "os.features"] {
        let config = |length| match member {
            "os.features" => format!(r#"{{"{member}":["{}"]}}"#, word(length)),
            _ => format!(r#"{{"{member}":"{}"}}"#, word(length)),
        };
        assert!(
            ImageConfig::parse(config(most).as_bytes()).is_ok(),
            "{member}"
        );
        let error = ImageConfig::parse(config(most + 1).as_bytes()).unwrap_err();
        assert!(error.is_over_limit(), "{member}");
        assert_eq!(
            error.to_string(),
            "invalid image config: too many bytes in a word of a platform, the limit is 256"
        );
    }
    for absent in ["null", "\"\""] {
        let json = format!(r#"{{"os":{absent},"variant":{absent},"os.version":{absent}}}"#);
        let platform = ImageConfig::parse(json.as_bytes()).unwrap().platform();
        assert_eq!(platform, Platform::default(), "{absent}");
    }
}

#[test]
fn size_is_bounded() {
    let mut json = b"{}".to_vec();
    json.resize(MAX_CONFIG_BYTES, b' ');
    assert!(ImageConfig::parse(&json).is_ok());
    json.push(b' ');
    let error = ImageConfig::parse(&json).unwrap_err();
    assert_eq!(
        error.to_string(),
        "image config has 8388609 bytes, the limit is 8388608"
    );
}

#[test]
fn deep_nesting_is_an_error_or_ignored_but_never_fatal() {
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    for member in ["unknown", "container_config", "config", "os"] {
        let json = format!("{{\"{member}\":{}}}", deep(100_000));
        let _ = ImageConfig::parse(json.as_bytes());
    }
}

/// A config from JSON.
fn container(json: &str) -> ContainerConfig {
    json::from_slice(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn a_config_inherits_what_it_lacks() {
    for (own, base, expected) in [
        // Texts, where empty.
        (
            r#"{}"#,
            r#"{"User":"u","WorkingDir":"/w","StopSignal":"TERM"}"#,
            r#"{"User":"u","WorkingDir":"/w","StopSignal":"TERM"}"#,
        ),
        (
            r#"{"User":"u","WorkingDir":"/w","StopSignal":"TERM"}"#,
            r#"{"User":"x","WorkingDir":"/x","StopSignal":"KILL"}"#,
            r#"{"User":"u","WorkingDir":"/w","StopSignal":"TERM"}"#,
        ),
        // Sets and maps are united.
        (
            r#"{"ExposedPorts":{"1/tcp":{}},"Volumes":{"/a":{}},"Labels":{"a":"own"}}"#,
            r#"{"ExposedPorts":{"2/tcp":{}},"Volumes":{"/b":{}},"Labels":{"a":"base","b":"base"}}"#,
            r#"{"ExposedPorts":{"1/tcp":{},"2/tcp":{}},"Volumes":{"/a":{},"/b":{}},"Labels":{"a":"own","b":"base"}}"#,
        ),
        // The environment by name, own entries first.
        (
            r#"{"Env":["B=own","C"]}"#,
            r#"{"Env":["A=base","B=base","C=base","BB=base"]}"#,
            r#"{"Env":["B=own","C","A=base","BB=base"]}"#,
        ),
        (r#"{}"#, r#"{"Env":["A=1"]}"#, r#"{"Env":["A=1"]}"#),
        // Command and entrypoint are a pair.
        (
            r#"{}"#,
            r#"{"Cmd":["c"],"Entrypoint":["e"]}"#,
            r#"{"Cmd":["c"],"Entrypoint":["e"]}"#,
        ),
        (
            r#"{"Cmd":["own"]}"#,
            r#"{"Cmd":["c"],"Entrypoint":["e"]}"#,
            r#"{"Cmd":["own"],"Entrypoint":["e"]}"#,
        ),
        (
            r#"{"Entrypoint":["own"]}"#,
            r#"{"Cmd":["c"],"Entrypoint":["e"]}"#,
            r#"{"Entrypoint":["own"]}"#,
        ),
        (
            r#"{"Cmd":[],"Entrypoint":[]}"#,
            r#"{"Cmd":["c"],"Entrypoint":["e"]}"#,
            r#"{"Cmd":["c"],"Entrypoint":[]}"#,
        ),
        // Health checks member by member.
        (
            r#"{"Healthcheck":{"Interval":1,"Retries":2}}"#,
            r#"{"Healthcheck":{"Test":["CMD","t"],"Interval":9,"Timeout":3,"StartPeriod":4,"StartInterval":5,"Retries":9}}"#,
            r#"{"Healthcheck":{"Test":["CMD","t"],"Interval":1,"Timeout":3,"StartPeriod":4,"StartInterval":5,"Retries":2}}"#,
        ),
        (
            r#"{"Healthcheck":{"Test":["NONE"]}}"#,
            r#"{"Healthcheck":{"Test":["CMD","t"]}}"#,
            r#"{"Healthcheck":{"Test":["NONE"]}}"#,
        ),
        (
            r#"{}"#,
            r#"{"Healthcheck":{"Test":["CMD","t"]}}"#,
            r#"{"Healthcheck":{"Test":["CMD","t"]}}"#,
        ),
        // What belongs to one container, or to builds.
        (
            r#"{}"#,
            r#"{"Hostname":"h","Domainname":"d","AttachStdin":true,"Tty":true,"OpenStdin":true,"Image":"i","OnBuild":["RUN x"],"StopTimeout":7,"Shell":["s"]}"#,
            r#"{}"#,
        ),
    ] {
        let mut config = container(own);
        config.inherit(&container(base));
        let merged = serde_json::to_string(&config).unwrap();
        assert_eq!(merged, expected, "{own} from {base}");
        assert_eq!(config, container(expected));
    }
}

#[test]
fn what_is_made_here_is_bounded_as_what_is_read() {
    let words = |count| Some(vec!["a".to_owned(); count]);
    let paths = |count: usize| Some((0..count).map(|n| (n.to_string(), Empty {})).collect());
    let config = |env, volumes| ContainerConfig {
        env: words(env),
        volumes: paths(volumes),
        ..ContainerConfig::default()
    };
    let (env, volumes) = (json::MAX_WORDS, json::MAX_VOLUMES);
    assert_eq!(config(env, volumes).check(), Ok(()));
    for (config, expected) in [
        (
            config(env + 1, 0),
            "the config has 16385 environment variables, the limit is 16384",
        ),
        (
            config(0, volumes + 1),
            "the config has 4097 volumes, the limit is 4096",
        ),
    ] {
        assert_eq!(config.check().unwrap_err().to_string(), expected);
    }
}
