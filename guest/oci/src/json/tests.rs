//! What Go's `encoding/json` makes of the same documents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::*;

/// A document of every kind of member.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Sample {
    text: String,
    number: i64,
    fraction: f64,
    truth: bool,
    list: Option<Vec<String>>,
    map: Option<BTreeMap<String, String>>,
    parts: Vec<Part>,
    part: Part,
    pointer: Option<Part>,
    kelvin_s: String,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
struct Part {
    a: i64,
    b: Option<String>,
}

fn read(json: impl AsRef<[u8]>) -> Sample {
    let json = json.as_ref();
    from_slice(json).unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(json)))
}

/// What is not the default of a sample, as JSON.
fn shown(json: impl AsRef<[u8]>) -> String {
    let Ok(Value::Object(mut all)) = serde_json::to_value(read(json)) else {
        panic!("no object")
    };
    let none = serde_json::to_value(Sample::default()).unwrap();
    all.retain(|name, value| none.get(name) != Some(value));
    Value::Object(all).to_string()
}

#[test]
fn members_are_found_in_any_case_and_the_last_counts() {
    for (json, expected) in [
        (r#"{"TEXT":"a"}"#, r#"{"text":"a"}"#),
        (r#"{"text":"a","Text":"b"}"#, r#"{"text":"b"}"#),
        (r#"{"Text":"b","text":"a"}"#, r#"{"text":"a"}"#),
        (r#"{"te\u0078t":"a"}"#, r#"{"text":"a"}"#),
        ("{\"\u{212a}ELVIN\u{17f}\":\"a\"}", r#"{"kelvinS":"a"}"#),
        (r#"{"text ":"a","tex":"b","texts":"c"}"#, "{}"),
        // Objects member by member, lists as a whole.
        (
            r#"{"part":{"a":1},"Part":{"b":"x"}}"#,
            r#"{"part":{"a":1,"b":"x"}}"#,
        ),
        (
            r#"{"part":{"a":1},"part":{"A":2}}"#,
            r#"{"part":{"a":2,"b":null}}"#,
        ),
        (
            r#"{"map":{"a":"1","b":"2"},"map":{"b":"3","B":"4"}}"#,
            r#"{"map":{"B":"4","a":"1","b":"3"}}"#,
        ),
        (r#"{"list":["a","b"],"list":["c"]}"#, r#"{"list":["c"]}"#),
        // But what a list had stays below what is written over it.
        (
            r#"{"parts":[{"a":1,"b":"x"},{"a":2}],"parts":[{"a":3}],"parts":[{"b":"y"},{"b":"z"}]}"#,
            r#"{"parts":[{"a":3,"b":"y"},{"a":2,"b":"z"}]}"#,
        ),
        (
            r#"{"parts":[{"a":1}],"parts":[],"parts":[{"b":"y"}]}"#,
            r#"{"parts":[{"a":0,"b":"y"}]}"#,
        ),
    ] {
        assert_eq!(shown(json), expected, "{json}");
    }
    // The exact name goes before another in other case.
    #[derive(Deserialize)]
    struct Both {
        #[serde(rename = "Name")]
        first: String,
        #[serde(rename = "name")]
        second: String,
    }
    let both: Both = from_slice(br#"{"name":"x","Name":"y","NAME":"z"}"#).unwrap();
    assert_eq!((both.first.as_str(), both.second.as_str()), ("z", "x"));
}

#[test]
fn null_is_absent() {
    for (json, expected) in [
        ("null", "{}"),
        (
            r#"{"text":null,"number":null,"fraction":null,"truth":null,"list":null,"map":null,"parts":null,"part":null,"pointer":null}"#,
            "{}",
        ),
        (
            r#"{"list":["a",null],"map":{"k":null},"parts":[null]}"#,
            r#"{"list":["a",""],"map":{"k":""},"parts":[{"a":0,"b":null}]}"#,
        ),
        // What was given before stays, unless it is behind a pointer.
        (
            r#"{"text":"a","number":1,"truth":true,"text":null,"number":null,"truth":null}"#,
            r#"{"number":1,"text":"a","truth":true}"#,
        ),
        (
            r#"{"part":{"a":1},"part":null}"#,
            r#"{"part":{"a":1,"b":null}}"#,
        ),
        (r#"{"pointer":{"a":1},"pointer":null}"#, "{}"),
        (
            r#"{"pointer":{"a":1},"pointer":null,"pointer":{"b":"x"}}"#,
            r#"{"pointer":{"a":0,"b":"x"}}"#,
        ),
        (
            r#"{"list":["a"],"list":null,"map":{"a":"b"},"map":null}"#,
            "{}",
        ),
        (
            r#"{"map":{"a":"1"},"map":null,"map":{"b":"2"}}"#,
            r#"{"map":{"b":"2"}}"#,
        ),
    ] {
        assert_eq!(shown(json), expected, "{json}");
    }
}

#[test]
fn what_is_no_character_is_replaced() {
    for (text, expected) in [
        (&b"\\ud800"[..], "\u{fffd}"),
        (b"\\udc00\\ud800x", "\u{fffd}\u{fffd}x"),
        (b"\\ud83d\\ude00", "\u{1f600}"),
        (b"\\uD83D\\u0041", "\u{fffd}A"),
        (b"\\u0000", "\0"),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        (b"a\xe2\x82b", "a\u{fffd}\u{fffd}b"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\u{8}\u{c}\n\r\t"),
        ("\u{e9}\u{2028}".as_bytes(), "\u{e9}\u{2028}"),
    ] {
        let json = [b"{\"text\":\"", text, b"\"}"].concat();
        assert_eq!(read(json).text, expected, "{text:?}");
    }
    assert_eq!(
        read(b"{\"map\":{\"\xff\":\"\\ud800\"}}").map.unwrap()["\u{fffd}"],
        "\u{fffd}"
    );
}

#[test]
fn numbers_are_those_an_int64_takes() {
    for (number, expected) in [
        ("0", 0),
        ("-0", 0),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(read(format!(r#"{{"number":{number}}}"#)).number, expected);
    }
    for bad in ["1.0", "1e3", "9223372036854775808", "\"1\"", "true", "{}"] {
        let json = format!(r#"{{"number":{bad}}}"#);
        assert!(from_slice::<Sample>(json.as_bytes()).is_err(), "{bad}");
    }
    assert_eq!(read(r#"{"fraction":-1.5e2}"#).fraction, -150.0);
    assert!(from_slice::<Sample>(br#"{"fraction":1e999}"#).is_err());
}

#[test]
fn all_of_it_must_be_json() {
    for (json, message) in [
        ("", "unexpected end of JSON input"),
        ("  ", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        (r#"{"x":"a"#, "unexpected end of JSON input"),
        (r#"{"x":[1,{"y":2}"#, "unexpected end of JSON input"),
        (
            "\u{feff}{}",
            "invalid character '\u{ef}' looking for beginning of value (byte 0)",
        ),
        (
            "{} {}",
            "invalid character '{' after top-level value (byte 3)",
        ),
        (
            "{,}",
            "invalid character ',' looking for beginning of object key string (byte 1)",
        ),
        (
            r#"{"x":1,}"#,
            "invalid character '}' looking for beginning of object key string (byte 7)",
        ),
        (
            r#"{"x" 1}"#,
            "invalid character '1' after object key (byte 5)",
        ),
        (
            r#"{"x":1 "y":2}"#,
            "invalid character '\"' after object key:value pair (byte 7)",
        ),
        (
            r#"{"x":[1,]}"#,
            "invalid character ']' looking for beginning of value (byte 8)",
        ),
        (
            r#"{"x":[1 2]}"#,
            "invalid character '2' after array element (byte 8)",
        ),
        (
            r#"{"x":[1}}"#,
            "invalid character '}' after array element (byte 7)",
        ),
        (
            r#"{"x":01}"#,
            "invalid character '1' after object key:value pair (byte 6)",
        ),
        (
            r#"{"x":-}"#,
            "invalid character '}' in numeric literal (byte 6)",
        ),
        (
            r#"{"x":1.}"#,
            "invalid character '}' in numeric literal (byte 7)",
        ),
        (
            r#"{"x":1e+}"#,
            "invalid character '}' in numeric literal (byte 8)",
        ),
        (
            r#"{"x":+1}"#,
            "invalid character '+' looking for beginning of value (byte 5)",
        ),
        (
            r#"{"x":nul}"#,
            "invalid character 'n' looking for beginning of value (byte 5)",
        ),
        (
            "{\"x\":\"\n\"}",
            "invalid character '\\n' in string literal (byte 6)",
        ),
        (
            r#"{"x":"\x"}"#,
            "invalid character 'x' in string escape code (byte 7)",
        ),
        (
            r#"{"x":"\u12g4"}"#,
            "invalid character 'g' in \\u hexadecimal character escape (byte 10)",
        ),
    ] {
        let error = from_slice::<Sample>(json.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), message, "{json}");
    }
    for json in [
        "[]",
        "\"x\"",
        "1",
        r#"{"text":1}"#,
        r#"{"list":{}}"#,
        r#"{"map":[]}"#,
        r#"{"part":[1,"b"]}"#,
        r#"{"text":1,"text":"a"}"#,
    ] {
        let error = from_slice::<Sample>(json.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Mismatch(_)), "{json}: {error}");
    }
    assert_eq!(
        shown(" \t\r\n{ \"text\" : \"a\" , \"list\" : [ \"b\" , \"c\" ] } \n"),
        r#"{"list":["b","c"],"text":"a"}"#
    );
}

#[test]
fn nesting_ends_where_it_ends_in_go() {
    let nested = |open: &str, close: &str, depth| {
        let json = format!(
            r#"{{"x":{}1{},"text":"a"}}"#,
            open.repeat(depth),
            close.repeat(depth)
        );
        from_slice::<Sample>(json.as_bytes()).map(|sample| sample.text)
    };
    for (open, close) in [("[", "]"), (r#"{"x":"#, "}")] {
        assert_eq!(nested(open, close, MAX_DEPTH - 1), Ok("a".to_owned()));
        assert_eq!(nested(open, close, MAX_DEPTH), Err(Error::TooDeep));
        assert_eq!(nested(open, close, 1_000_000), Err(Error::TooDeep));
    }
    // What is wanted is read by recursion.
    let deep = |depth| {
        let json = "[".repeat(depth) + &"]".repeat(depth);
        from_slice::<Value>(json.as_bytes())
    };
    assert!(deep(MAX_READ_DEPTH).is_ok());
    assert_eq!(deep(MAX_READ_DEPTH + 1), Err(Error::TooDeep));
}

#[test]
fn any_value_and_raw_ones_are_read() {
    let json = r#"{"a":[1,-2,1.5,true,null,"x\ny",{"b":{}}],"n":18446744073709551615}"#;
    let value: Value = from_slice(json.as_bytes()).unwrap();
    assert_eq!(value.to_string(), json);

    let raw: BTreeMap<String, Box<RawValue>> =
        from_slice(br#"{"a": {"b": 1.0} ,"c":[ ],"a":"\u0041"}"#).unwrap();
    let raw: Vec<_> = raw
        .iter()
        .map(|(key, value)| (key.as_str(), value.get()))
        .collect();
    assert_eq!(raw, [("a", "\"\\u0041\""), ("c", "[ ]")]);
    let borrowed: &RawValue = from_slice(b" [1, 2] ").unwrap();
    assert_eq!(borrowed.get(), "[1, 2]");
}

#[test]
fn limits_hold_for_a_whole_document() {
    #[derive(Debug, Deserialize)]
    struct Annotated {
        #[serde(deserialize_with = "limits::annotations")]
        annotations: BTreeMap<String, String>,
    }
    let map = |count: usize| {
        let members: Vec<String> = (0..count).map(|it| format!("\"{it:x}\":\"\"")).collect();
        format!("{{\"annotations\":{{{}}}}}", members.join(","))
    };
    let half = map(MAX_ANNOTATIONS / 2);
    let both: Vec<Annotated> = from_slice(format!("[{half},{half}]").as_bytes()).unwrap();
    assert_eq!(both[1].annotations.len(), MAX_ANNOTATIONS / 2);
    let error = from_slice::<Vec<Annotated>>(format!("[{half},{half},{}]", map(1)).as_bytes());
    let error = error.unwrap_err();
    assert!(error.is_over_limit());
    assert_eq!(
        error.to_string(),
        "too many annotations, the limit is 32768"
    );

    #[derive(Debug, Deserialize)]
    struct Labelled {
        #[serde(deserialize_with = "limits::labels")]
        labels: Option<BTreeMap<String, String>>,
    }
    let none: Labelled = from_slice(br#"{"labels":null}"#).unwrap();
    assert!(none.labels.is_none());
}

#[test]
fn reasons_are_short() {
    let json = format!(r#"{{"number":"{}"}}"#, "x".repeat(100_000));
    let error = from_slice::<Sample>(json.as_bytes()).unwrap_err();
    assert!(error.to_string().len() < 1000);
}

#[test]
fn what_is_json_is_json_for_others_too() {
    let seeds = [
        r#"{"a":[1,-2.5e3,0.1,true,false,null,"x\u00e9\ud83d\ude00\"\\"],"b":{"c":{},"d":[]}}"#,
        r#"[[[[{"a":{"a":[]}}]]]]"#,
        " { \"a\" : 1 , \"b\" : [ 1 , 2 ] } ",
        "-0.5E+10",
    ];
    let mut state = 1_u64;
    let mut random = |most: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % most
    };
    let alphabet = b"{}[]:,\"\\u0123456789abcdef-+.eE tfnrls\n\x00\xff";
    let (mut sound, mut broken) = (0, 0);
    for _ in 0..40_000 {
        let mut bytes = seeds[random(seeds.len())].as_bytes().to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            let byte = alphabet[random(alphabet.len())];
            match random(3) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        let ours = from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&bytes));
        match ours {
            true => sound += 1,
            false => broken += 1,
        }
        if let Ok(value) = serde_json::from_slice::<Value>(&bytes)
            && !bytes.contains(&b'.')
            && !bytes.contains(&b'-')
            && !bytes.to_ascii_lowercase().contains(&b'e')
        {
            assert_eq!(from_slice::<Value>(&bytes), Ok(value));
        }
    }
    assert!(sound > 1000 && broken > 1000, "{sound} {broken}");
}
