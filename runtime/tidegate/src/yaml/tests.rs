#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    #[serde(default)]
    count: Option<u32>,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    flag: bool,
    #[serde(default)]
    color: Option<Color>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    extra: serde_json::Value,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Color {
    Red,
    DarkGreen,
    Mixed(u8),
}

fn sample(text: &str) -> Result<Sample, String> {
    let shown = |flaw: Flaw| format!("{}: {}", flaw.place, flaw.reason);
    let documents = parse(text).map_err(shown)?;
    decode(&documents[0]).map_err(shown)
}

#[test]
fn a_scalar_is_what_its_type_asks_for() {
    let found = sample(
        "name: 1.10\ncount: 7\nratio: .inf\nflag: true\ncolor: dark_green\ntags: [no, 5, 'x']\nextra: {a: 1, b: -2, c: '3', d: ~, e: 1.5, f: hi}",
    )
    .unwrap();
    assert_eq!(found.name, "1.10");
    assert_eq!(
        (found.count, found.ratio, found.flag),
        (Some(7), f64::INFINITY, true)
    );
    assert_eq!(found.color, Some(Color::DarkGreen));
    assert_eq!(found.tags, ["no", "5", "x"]);
    let expected = serde_json::json!({"a": 1, "b": -2, "c": "3", "d": null, "e": 1.5, "f": "hi"});
    assert_eq!(found.extra, expected);
    assert_eq!(
        sample("name: x\ncolor: {mixed: 3}").unwrap().color,
        Some(Color::Mixed(3))
    );
    assert_eq!(sample("name: x\ncount:\ncolor: ~").unwrap().count, None);
}

#[test]
fn whatever_is_wrong_has_a_line_and_a_column() {
    let table = [
        (
            "name: x\ncuont: 1",
            "2:1: cuont is unknown here; did you mean count?",
        ),
        (
            "name: x\nspeed: 1",
            "2:1: speed is unknown here; known are name, count",
        ),
        ("count: 1", "1:1: name is missing"),
        (
            "name: x\ncount: many",
            "2:8: invalid type: string \"many\", expected u32",
        ),
        ("name: x\ncount: -1", "2:8: invalid value"),
        (
            "name: x\ntags:\n  - a\n  - [b]",
            "4:5: invalid type: sequence, expected a string",
        ),
        (
            "name: x\ncolor: dark_gren",
            "2:8: dark_gren is not one of red, dark_green, mixed; did you mean dark_green?",
        ),
        ("name: x\ncolor: {red: 1}", "2:14: red has no value"),
        ("name: x\ncolor: mixed", "2:8: mixed needs a value"),
        ("name: [", "this is not YAML"),
        ("name: x\nname: y", "2:1: name is there twice"),
        ("name: !secret x", "tags"),
        ("? [a]\n: b", "a key must be a text"),
        ("name:", "1:5: invalid type"),
        ("[x]", "1:1: a mapping is wanted here"),
    ];
    for (text, expected) in table {
        let error = sample(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn a_pointer_leads_as_far_as_it_can() {
    let documents = parse("a:\n  - b: 1\n    c/d: 2\n---\nx: 1\n---\n").unwrap();
    assert_eq!(documents.len(), 2);
    for (pointer, line, column) in [
        ("", 1, 1),
        ("/a/0/b", 2, 8),
        ("/a/0/c~1d", 3, 10),
        ("/a/0/missing", 2, 5),
        ("/a/7", 2, 3),
    ] {
        assert_eq!(
            documents[0].place_of(pointer),
            Place { line, column },
            "{pointer}"
        );
    }
}

#[test]
fn aliases_repeat_within_a_bound() {
    let documents = parse("a: &it {n: 1}\nb: *it").unwrap();
    let found: BTreeMap<String, BTreeMap<String, u8>> = decode(&documents[0]).unwrap();
    assert_eq!(found["b"]["n"], 1);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    let flaw = parse(&bomb).unwrap_err();
    assert!(flaw.reason.contains("values"), "{flaw:?}");
}

#[test]
fn keys_are_left_out_where_asked() {
    let documents = parse("kind: sync\nname: x").unwrap();
    let found: Sample = decode_without(&documents[0], &["kind"]).unwrap();
    assert_eq!(found.name, "x");
    let flaw = decode_without::<Sample>(&documents[0], &["name"]).unwrap_err();
    assert_eq!((flaw.place.line, flaw.reason.contains("kind")), (1, true));
}

#[test]
fn no_text_makes_it_panic() {
    for text in [
        "",
        "---",
        "*x",
        "&a *a",
        "a: *b",
        "\u{0}",
        "- - -",
        "{",
        "a: &a [*a]",
        "%YAML 3\n---\n",
        "\"\\u",
        &"[".repeat(10_000),
    ] {
        if let Ok(documents) = parse(text) {
            for document in documents {
                assert!(decode::<Sample>(&document).is_err(), "{text:?}");
            }
        }
    }
}
