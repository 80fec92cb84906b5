//! Lines, comments, directives.

use super::*;

#[test]
fn lines_are_joined_and_comments_left_out() {
    for (text, expected) in [
        ("USER a\\\nb", "ab"),
        ("USER a \\\n   b", "a    b"),
        ("USER a\\  \t\nb", "ab"),
        ("USER a\\\r\nb\r\n", "ab"),
        ("USER a\\\n# comment\n  # another\n\n  \nb", "ab"),
        ("\\\nUSER a", "a"),
        ("USER a\\", "a"),
        ("\u{feff}USER a", "a"),
        ("\n\n  # comment \\\n   USER\ta  \n", "a"),
        ("#\n# escape=`\nUSER a\\\nb", "ab"),
        ("# escape=`\nUSER a`\nb", "ab"),
        ("# syntax=x\n#ESCAPE = ` \nUSER a`\nb", "ab"),
        ("# escape=`\nUSER a`  \n\\b", "a\\b"),
        ("# unknown=x\n# escape=`\nUSER a\\\nb", "ab"),
    ] {
        assert_eq!(applied(text).user, expected, "{text:?}");
    }
}

#[test]
fn two_escape_characters_do_not_continue_a_line() {
    let config = applied("ENV A=b\\\\\nUSER a");
    assert_eq!(config.env.unwrap(), ["A=b\\"]);
    assert_eq!(config.user, "a");
}

#[test]
fn changes_are_lines_of_one_text() {
    let mut config = ContainerConfig::default();
    let changes = ["# escape=`", "ENV A=1 `", "B=2", "USER $A$B"];
    apply(&changes.map(str::to_owned), &mut config).unwrap();
    assert_eq!(config.env.unwrap(), ["A=1", "B=2"]);
    assert_eq!(config.user, "12");
}
