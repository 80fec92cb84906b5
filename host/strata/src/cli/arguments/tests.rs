//! What the grammar takes and refuses.

use clap::CommandFactory as _;

use super::*;
use crate::cli::size::ByteCount;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::parse_from_words(line.split(' '))
}

#[test]
fn the_grammar_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn settings_may_stand_before_and_after_the_command() {
    for line in ["strata --store /s images", "strata images --store /s"] {
        let arguments = parse(line).unwrap();
        assert_eq!(arguments.options.store, Some("/s".into()), "{line}");
    }
}

#[test]
fn a_typed_platform_is_told_from_none() {
    let typed = parse("strata pull --platform linux/arm64 alpine").unwrap();
    assert!(typed.options.platform_is_typed);
    assert!(
        !parse("strata pull alpine")
            .unwrap()
            .options
            .platform_is_typed
    );
}

#[test]
fn every_setting_has_an_environment_variable_of_its_own_name() {
    for argument in Arguments::command().get_arguments() {
        let Some(long) = argument
            .get_long()
            .filter(|l| !["help", "version"].contains(l))
        else {
            continue;
        };
        let expected = format!("STRATA_{}", long.to_uppercase().replace('-', "_"));
        let variable = argument
            .get_env()
            .map(|name| name.to_string_lossy().into_owned());
        assert_eq!(variable, Some(expected));
    }
}

#[test]
fn a_password_needs_a_user_and_the_reverse() {
    assert!(parse("strata pull --username me alpine").is_err());
    assert!(parse("strata pull --password-stdin alpine").is_err());
    assert!(parse("strata pull --username me --password-stdin alpine").is_ok());
}

#[test]
fn the_unpacked_check_can_be_switched_both_ways() {
    let value = |line| parse(line).unwrap().options.verify_diff_ids_first;
    assert_eq!(value("strata images"), None);
    assert_eq!(value("strata images --verify-diff-ids-first"), Some(true));
    assert_eq!(
        value("strata images --verify-diff-ids-first=no"),
        Some(false)
    );
}

#[test]
fn values_outside_their_range_are_usage_errors() {
    for line in [
        "strata images --parallel-layers 65",
        "strata images --mirror docker.io",
        "strata images --memory-limit lots",
        "strata serve --listen http://127.0.0.1:1",
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}: {error}");
    }
}

#[test]
fn the_defaults_in_the_help_are_those_of_the_library() {
    let command = Arguments::command();
    let default = |long: &str| -> String {
        let argument = command.get_arguments().find(|a| a.get_long() == Some(long));
        let help = argument.unwrap().get_help().unwrap().to_string();
        let (_, default) = help.split_once("[default: ").unwrap();
        default.trim_end_matches(']').to_owned()
    };
    let limits = strata::Limits::default();
    let memory: ByteCount = default("memory-limit").parse().unwrap();
    assert_eq!(memory, ByteCount(limits.memory));
    assert_eq!(default("connections"), limits.connections.to_string());
    for (long, limit) in [
        ("compute-limit", limits.compute),
        ("stall-limit", limits.stall),
    ] {
        assert_eq!(default(long), limit.as_secs().to_string());
    }
    assert_eq!(
        default("parallel-layers"),
        limits.parallel_layers.to_string()
    );
    assert!(!limits.verify_diff_ids_first);
}

#[test]
fn several_platforms_are_for_pulls_and_archives() {
    let two = "--platform linux/amd64 --platform linux/arm64";
    for (command, taken) in [
        (format!("strata save {two} a"), true),
        (format!("strata load {two}"), true),
        (format!("strata pull {two} a"), true),
        (format!("strata push {two} a"), false),
        (format!("strata {two} images"), false),
    ] {
        let parsed = parse(&command);
        assert_eq!(parsed.is_ok(), taken, "{command}");
        match parsed {
            Ok(arguments) => assert_eq!(arguments.options.platform.unwrap().len(), 2),
            Err(error) => assert_eq!(error.exit_code(), 2),
        }
    }
}

#[test]
fn all_platforms_leave_none_to_choose() {
    assert!(parse("strata pull --all-platforms a").is_ok());
    let both = parse("strata pull --all-platforms --platform linux/amd64 a");
    assert_eq!(both.unwrap_err().exit_code(), 2);
}

#[test]
fn every_command_that_prints_a_result_takes_a_format() {
    for command in Arguments::command().get_subcommands() {
        let silent = ["serve", "tag", "cp", "completion", "man"].contains(&command.get_name());
        let takes = command.get_arguments().any(|a| a.get_id() == "format");
        assert_eq!(takes, !silent, "{}", command.get_name());
    }
}

#[test]
fn what_follows_the_image_is_the_containers_command() {
    let line = "strata create -e A=1 alpine ls -l --store /s";
    let arguments = parse(line).unwrap();
    assert_eq!(arguments.options.store, None);
    match arguments.command {
        Command::Create(create) => {
            assert_eq!(create.env, ["A=1"]);
            assert_eq!(create.command, ["ls", "-l", "--store", "/s"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_take_dockers_short_options() {
    for line in [
        "strata push -a -q a",
        "strata save -o a.tar -q a b",
        "strata load -i a.tar -q",
        "strata import -c CMD -c USER -m text - a:1",
        "strata create -e A -w /w -u 1:1 -l a=b --name n --entrypoint e a",
        "strata ps -a -q",
        "strata cp -L -q a:/b -",
        "strata diff a",
        "strata commit -a me -m text -c CMD a b:1",
        "strata export -o a.tar a",
        "strata rm -f a b",
    ] {
        let parsed = parse(line);
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}
