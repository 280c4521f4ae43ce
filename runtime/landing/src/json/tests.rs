#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;
use serde_json::value::RawValue;

fn scan(text: &str) -> Result<Span, Malformed> {
    let mut scanner = Scanner::new(text);
    let span = scanner.skip_value()?;
    scanner.finish()?;
    Ok(span)
}

/// The scanner takes what serde_json takes, and finds the value in the same place.
fn check(text: &str) {
    let expected = serde_json::from_str::<&RawValue>(text);
    match (scan(text), expected) {
        (Ok(span), Ok(raw)) => assert_eq!(span.of(text), raw.get(), "{text:?}"),
        (Err(Malformed { too_deep: true, .. }), _) | (Err(_), Err(_)) => {}
        (scanned, expected) => panic!("{text:?}: {scanned:?} but {expected:?}"),
    }
}

#[test]
fn the_grammar_is_kept_to_the_letter() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[]",
        "{}",
        "[,]",
        "[1,]",
        "[1 2]",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1,"b":[{}]}"#,
        "{1:1}",
        "[}",
        "{]",
        "[[]",
        "[]]",
        "[1]]",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "-a",
        "1.",
        "1.e1",
        ".1",
        "1.5",
        "1e",
        "1e+",
        "1E-9",
        "1e1.5",
        "+1",
        "1_0",
        "NaN",
        "Infinity",
        "true",
        "tru",
        "truex",
        "false",
        "null",
        "nul",
        "nulll",
        "'a'",
        r#""a"#,
        "\"a\tb\"",
        "\"a\nb\"",
        "\"\u{7f}\"",
        r#""\u00e4""#,
        r#""\u00g4""#,
        r#""\u00""#,
        r#""\u"}}""#,
        r#""\x""#,
        r#""\"#,
        r#""\ud834\udd1e""#,
        r#""\ud834""#,
        r#""\udd1e\ud834""#,
        r#""\ud834\u0041""#,
        "\u{feff}1",
        "[1]\0",
        " [ 1 , 2 ] ",
        "\u{a0}1",
        r#"{"a":"\\","b":"\\\"","c":"\""}"#,
        "\"12345678\"",
        "\"1234567\"",
        "\"1234567\\\"89\"",
    ] {
        check(text);
    }
}

#[test]
fn nesting_is_bounded_without_recursion() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(scan(&nested(128)).is_ok());
    assert!(scan(&nested(129)).unwrap_err().too_deep);
    assert!(scan(&"[".repeat(1 << 20)).unwrap_err().too_deep);
    assert!(scan(&r#"{"a":"#.repeat(1 << 18)).unwrap_err().too_deep);
}

#[test]
fn half_a_surrogate_pair_is_noticed_and_replaced() {
    for (text, lone) in [
        (r#""\ud834\udd1e""#, false),
        (r#""\ud834""#, true),
        (r#""\udd1e""#, true),
        (r#""\ud834\ud834\udd1e""#, true),
    ] {
        let mut scanner = Scanner::new(text);
        scanner.skip_value().unwrap();
        assert_eq!(scanner.lone_surrogate, lone, "{text}");
    }
    let mut out = String::new();
    unescape(r"\ud834\ud834\udd1e\udd1e\u0041", &mut out);
    assert_eq!(out, "\u{fffd}\u{1d11e}\u{fffd}A");
}

fn documents() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (any::<f64>(), any::<bool>()).prop_map(|(number, exponent)| match exponent {
            true if number.is_finite() => format!("{number:e}"),
            false if number.is_finite() => format!("{number}"),
            _ => "1e400".to_owned(),
        }),
        ".{0,24}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        let member = ("[a-c\"\\\\ä]{0,3}", inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(member, 0..6).prop_map(|members| {
                let member = |(name, value): &(String, String)| {
                    format!("{}: {value}", serde_json::to_string(name).unwrap())
                };
                let members: Vec<String> = members.iter().map(member).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn documents_are_taken_as_serde_json_takes_them(text in documents()) {
        prop_assert!(scan(&text).is_ok());
        check(&text);
    }

    #[test]
    fn damaged_documents_are_refused_as_serde_json_refuses_them(
        text in documents(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            match byte {
                0..64 => { bytes.remove(at); }
                64..192 => bytes[at] = b"[]{}\",:\\u0e-.nt \n"[usize::from(byte) % 17],
                _ => bytes.truncate(at),
            }
            if bytes.is_empty() {
                bytes.push(b'1');
            }
        }
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn rubbish_is_refused_as_serde_json_refuses_it(text in r#"[\[\]{}",:\\u0ed1.tr-]{0,24}"#) {
        check(&text);
    }

    #[test]
    fn texts_survive_escaping(text in any::<String>()) {
        let mut json = Vec::new();
        quote(&text, &mut json);
        let json = String::from_utf8(json).unwrap();
        prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
        let mut back = String::new();
        unescape(&json[1..json.len() - 1], &mut back);
        prop_assert_eq!(back, text);
    }

    #[test]
    fn pointers_find_what_serde_json_finds(
        text in documents(),
        pointers in prop::collection::vec("(/[a-c0-2ä]{0,2}){0,3}", 1..9),
    ) {
        // Its values keep the last of members with the same name, as we do.
        let Ok(expected) = serde_json::from_str::<serde_json::Value>(&text) else {
            return Ok(());
        };
        let mut paths = Paths::new();
        let slots: Vec<usize> = pointers.iter().map(|at| paths.add(at).unwrap()).collect();
        let mut walk = Walk::new(&paths);
        // Twice, since a walk guesses from the one before.
        for _ in 0..2 {
            walk.walk(&mut Scanner::new(&text), &paths, &mut |_| {}).unwrap();
            for (pointer, slot) in pointers.iter().zip(&slots) {
                let found = walk.found(*slot).map(|span| span.of(&text));
                let found = found.map(|raw| serde_json::from_str::<serde_json::Value>(raw).unwrap());
                prop_assert_eq!(found.as_ref(), expected.pointer(pointer), "{} in {}", pointer, text);
            }
        }
    }
}

#[test]
fn what_is_no_pointer_is_refused() {
    let mut paths = Paths::new();
    for bad in ["a", "a/b", "/~", "/~2", "/a~", &"/a".repeat(129)] {
        assert_eq!(paths.add(bad), None, "{bad:?}");
    }
    assert_eq!(paths.add("/a"), paths.add("/a"));
    assert!(paths.add("/~01~1/").is_some());
}
