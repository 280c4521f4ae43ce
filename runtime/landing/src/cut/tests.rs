#![expect(clippy::unwrap_used, reason = "tests")]

mod tabular;

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

fn extraction(records: &str) -> Extraction {
    Extraction {
        records: records.to_owned(),
        key: vec!["/id".to_owned()],
        cursor: Some(("/at".to_owned(), CursorOrder::Number)),
        ..Extraction::default()
    }
}

fn cut_text(body: &str, how: &Extraction) -> Result<(Page, Summary), CutError> {
    cut(
        &Bytes::from(body.to_owned()),
        how,
        7,
        &CutLimits::default(),
        Some("2026-01-01T00:00:00Z"),
    )
}

/// Rows as `key|version|operation|record`, then rejected records as `!reason|record`.
fn lines(page: &Page) -> Vec<String> {
    let text = |range: &std::ops::Range<u32>| {
        let mut scratch = crate::page::Scratch::default();
        String::from_utf8(page.record(range, &mut scratch).to_vec()).unwrap()
    };
    let row = |row: &crate::page::Row| {
        let version = row
            .version
            .as_ref()
            .map_or("-", |version| page.text(version));
        let operation = row.operation.as_str();
        format!(
            "{}|{version}|{operation}|{}",
            page.text(&row.key),
            text(&row.record)
        )
    };
    let rejected = |at: &crate::page::Rejected| format!("!{}|{}", at.reason, text(&at.record));
    page.rows
        .iter()
        .map(row)
        .chain(page.rejected.iter().map(rejected))
        .collect()
}

#[test]
fn records_stay_where_they_are_in_the_body() {
    let body = r#"{"paging":{},"results":[{"id":"a","at":9},{"at":10,"id":12},
        {"id":"\u0061\n","at":"8.50"}],"total":3}"#;
    let bytes = Bytes::from(body);
    let (page, summary) = cut(
        &bytes,
        &extraction("/results"),
        7,
        &CutLimits::default(),
        None,
    )
    .unwrap();
    assert_eq!(page.body.as_ptr(), bytes.as_ptr());
    assert_eq!(page.extracted_at_ms, 7);
    assert_eq!(
        lines(&page),
        [
            r#"a|9|upsert|{"id":"a","at":9}"#,
            r#"12|10|upsert|{"at":10,"id":12}"#,
            "a\n|8.50|upsert|{\"id\":\"\\u0061\\n\",\"at\":\"8.50\"}",
        ]
    );
    let expected = Summary {
        records: 3,
        bytes: 16 + 16 + 31,
        min_cursor: Some("8.50".to_owned()),
        max_cursor: Some("10".to_owned()),
        first_key: Some("a".to_owned()),
        last_key: Some("a\n".to_owned()),
        ..Summary::default()
    };
    assert_eq!(summary, expected);
}

#[test]
fn what_cannot_be_landed_is_rejected_and_nothing_is_lost() {
    let body = r#"[{"id":"a"},{"id":null},{"at":3},{"id":{}},{"id":""},1,null,[],"x",
        {"id":"s","x":"\ud800"},{"id":"t","_tg_op":"delete"},{"id":"u","\u005ftg_key":1},
        {"id":"v","x":{"_tg_op":1}},{"id":true}]"#;
    let (page, summary) = cut_text(body, &extraction("")).unwrap();
    assert_eq!(
        lines(&page),
        [
            r#"a|-|upsert|{"id":"a"}"#,
            r#"v|-|upsert|{"id":"v","x":{"_tg_op":1}}"#,
            r#"true|-|upsert|{"id":true}"#,
            r#"!the record has no key at /id|{"id":null}"#,
            r#"!the record has no key at /id|{"at":3}"#,
            r#"!the record has no key at /id|{"id":{}}"#,
            r#"!the record has no key at /id|{"id":""}"#,
            "!the record is not an object|1",
            "!the record is not an object|null",
            "!the record is not an object|[]",
            r#"!the record is not an object|"x""#,
            r#"!the record has a string with half a surrogate pair|{"id":"s","x":"\ud800"}"#,
            r#"!the record has a field that starts with _tg_, which is reserved|{"id":"t","_tg_op":"delete"}"#,
            r#"!the record has a field that starts with _tg_, which is reserved|{"id":"u","\u005ftg_key":1}"#,
        ]
    );
    assert_eq!((summary.records, summary.rejected), (3, 11));
    assert_eq!(
        summary.max_cursor.as_deref(),
        Some("3"),
        "rejected records move cursors too"
    );
}

#[test]
fn long_records_and_too_many_records_are_refused() {
    let limits = CutLimits {
        body_bytes_max: 100,
        record_bytes_max: 20,
        records_max: 3,
    };
    let cut = |body: String| cut(&Bytes::from(body), &extraction(""), 0, &limits, None);
    let (page, _) = cut(format!(
        r#"[{{"id":1}},{{"id":2,"x":"{}"}}]"#,
        "y".repeat(20)
    ))
    .unwrap();
    assert_eq!((page.rows.len(), page.rejected.len()), (1, 1));
    assert_eq!(
        page.rejected[0].reason,
        "the record is longer than 20 bytes"
    );
    assert_eq!(
        cut("[1,2,3,4]".to_owned()).unwrap_err(),
        CutError::TooMany { records_max: 3 }
    );
    let too_large = CutError::TooLarge {
        bytes: 101,
        bytes_max: 100,
    };
    assert_eq!(cut(" ".repeat(101)).unwrap_err(), too_large);
}

#[test]
fn records_are_found_by_pointer_and_the_last_of_equal_names_counts() {
    let found = |body: &str, pointer: &str| {
        cut_text(body, &extraction(pointer)).map(|(page, _)| lines(&page).len())
    };
    assert_eq!(
        found(r#"{"a":[{"b":[{"id":1},{"id":2}]}]}"#, "/a/0/b"),
        Ok(2)
    );
    assert_eq!(found(r#"{"a/b":{"c~":[{"id":1}]}}"#, "/a~1b/c~0"), Ok(1));
    assert_eq!(found(r#"{"\u0061":[{"id":1}]}"#, "/a"), Ok(1));
    assert_eq!(
        found(r#"{"a":{"id":1}}"#, "/a"),
        Ok(1),
        "an object is one record"
    );
    assert_eq!(found(r#"{"a":null}"#, "/a"), Ok(0), "null is an empty list");
    assert_eq!(
        found(r#"{"a":[{"id":1},{"id":2}],"a":[{"id":3}]}"#, "/a"),
        Ok(1)
    );
    let none = |pointer: &str| CutError::NoRecords {
        pointer: pointer.to_owned(),
    };
    assert_eq!(found(r#"{"a":[{"id":1}],"a":1}"#, "/a"), Err(none("/a")));
    assert_eq!(found(r#"{"a":[]}"#, "/b"), Err(none("/b")));
    assert_eq!(found(r#"{"a":"x"}"#, "/a/b"), Err(none("/a/b")));
    assert_eq!(found("1", ""), Err(none("")));
    assert_eq!(found("[]", "a").unwrap_err().fault(), Fault::Guest);
}

#[test]
fn a_body_that_is_malformed_anywhere_yields_nothing() {
    for (body, offset) in [
        (&b"[{\"id\":1}"[..], 9),
        (b"[{\"id\":1}] x", 11),
        (b"[{\"id\":1},{\"id\":\"\xff\"}]", 17),
        (b"[{\"id\":\"\\u\"}}]\"}]", 8),
        (b"", 0),
    ] {
        let result = cut(
            &Bytes::from(body),
            &extraction(""),
            0,
            &CutLimits::default(),
            None,
        );
        assert_eq!(result.unwrap_err(), CutError::Malformed { offset });
    }
    let deep = "[".repeat(1 << 20);
    for how in [extraction(""), extraction("/0/0/0"), extraction("/a")] {
        assert_eq!(
            cut_text(&deep, &how).unwrap_err(),
            CutError::TooDeep { offset: 128 }
        );
    }
}

#[test]
fn flags_and_times_tell_the_operation() {
    let how = Extraction {
        deleted: Some("/gone".to_owned()),
        created: Some("/made".to_owned()),
        present: Some("/id".to_owned()),
        ..extraction("")
    };
    let body = r#"[{"id":1,"gone":true},{"id":2,"gone":"TRUE"},{"id":3,"gone":false},
        {"id":4,"made":"2026-01-01T01:00:00+01:00"},{"id":5,"made":"2025-12-31T23:59:59.999Z"},
        {"id":6,"made":1767225600000},{"id":7,"made":"?"},{"ping":1},{"id":null}]"#;
    let (page, summary) = cut_text(body, &how).unwrap();
    let operations: Vec<_> = page.rows.iter().map(|row| row.operation).collect();
    use Operation::{Create, Delete, Update, Upsert};
    assert_eq!(
        operations,
        [Delete, Delete, Upsert, Create, Update, Create, Upsert]
    );
    assert_eq!(
        (summary.deletes, summary.skipped, summary.rejected),
        (2, 2, 0)
    );
    let (page, _) = cut(&Bytes::from(body), &how, 0, &CutLimits::default(), None).unwrap();
    assert_eq!(
        page.rows[3].operation, Upsert,
        "without a bound, a time tells nothing"
    );
}

#[test]
fn records_below_the_floor_are_skipped_by_the_declared_order() {
    let how = Extraction {
        floor: Some("10".to_owned()),
        ..extraction("")
    };
    let body = r#"[{"id":1,"at":9},{"id":2,"at":10.0},{"id":3,"at":1e2},{"id":4},{"at":9.99}]"#;
    let (page, summary) = cut_text(body, &how).unwrap();
    let keys: Vec<_> = page.rows.iter().map(|row| page.text(&row.key)).collect();
    assert_eq!(keys, ["2", "3", "4"]);
    assert_eq!((summary.skipped, summary.rejected), (2, 0));
    for how in [
        Extraction {
            cursor: None,
            ..how.clone()
        },
        Extraction {
            floor: Some("x".to_owned()),
            ..how
        },
    ] {
        assert_eq!(cut_text(body, &how).unwrap_err().fault(), Fault::Guest);
    }
}

#[test]
fn keys_of_several_fields_are_joined_and_cannot_be_forged() {
    let how = Extraction {
        key: vec!["/a".to_owned(), "/b/c".to_owned()],
        ..extraction("")
    };
    let body =
        r#"[{"a":"x","b":{"c":1}},{"a":"x"},{"a":"x\u001f1","b":{"c":2}},{"b":{"c":"\n"},"a":2}]"#;
    let (page, _) = cut_text(body, &how).unwrap();
    let keys: Vec<_> = page.rows.iter().map(|row| page.text(&row.key)).collect();
    assert_eq!(keys, ["x\u{1f}1", "2\u{1f}\n"]);
    assert_eq!(page.rejected.len(), 2);
    let many = vec!["/a".to_owned(); 17];
    assert!(
        cut_text(
            body,
            &Extraction {
                key: many,
                ..how.clone()
            }
        )
        .is_err()
    );
    let (page, summary) = cut_text(body, &Extraction { key: vec![], ..how }).unwrap();
    assert_eq!(
        (page.rows.len(), summary.first_key),
        (4, None),
        "a stream may have no key"
    );
}

#[test]
fn projection_keeps_the_named_members_and_cuts_keys_from_the_whole_record() {
    let how = Extraction {
        project: vec![
            "/p/x".into(),
            "/n\"".into(),
            "/p/y".into(),
            "/gone".into(),
            "/p/x".into(),
        ],
        ..extraction("")
    };
    let body =
        r#"[{"id":"k","at":1,"p":{"y": [1, 2],"z":0,"x":1.50},"n\"":"v"},{"id":"l"},{"p":{}}]"#;
    let (page, summary) = cut_text(body, &how).unwrap();
    assert_eq!(
        lines(&page),
        [
            r#"k|1|upsert|{"p":{"x":1.50,"y":[1, 2]},"n\"":"v"}"#,
            "l|-|upsert|{}",
            r#"!the record has no key at /id|{"p":{}}"#,
        ]
    );
    assert_eq!(summary.first_key.as_deref(), Some("k"));
}

#[test]
fn pairs_become_an_object() {
    let how = Extraction {
        pairs: Some(Pairs {
            at: "/f".to_owned(),
            name: "/n".to_owned(),
            value: "/v".to_owned(),
        }),
        key: vec!["/f/id".to_owned()],
        ..extraction("/r")
    };
    let body = r#"{"r":[{"f":[{"n":"id","v":7},{"n":"a\"","v":{"x":1}},{"n":"none"}],"at":1},
        {"f":[{"n":1},2]}]}"#;
    let (page, _) = cut_text(body, &how).unwrap();
    assert_eq!(
        lines(&page),
        [
            r#"7|1|upsert|{"f":{"id":7,"a\"":{"x":1},"none":null},"at":1}"#,
            r#"!the record has no key at /f/id|{"f":[{"n":1},2]}"#,
        ]
    );
    let how = Extraction {
        pairs: how.pairs.map(|pairs| Pairs {
            at: String::new(),
            ..pairs
        }),
        key: vec!["/id".to_owned()],
        ..how
    };
    let (page, _) = cut_text(r#"{"r":[[{"n":"id","v":"x"}]]}"#, &how).unwrap();
    assert_eq!(lines(&page), [r#"x|-|upsert|{"id":"x"}"#]);
}

#[test]
fn ndjson_has_one_value_per_line() {
    let how = Extraction {
        format: BodyFormat::Ndjson,
        ..extraction("unused")
    };
    let body = "{\"id\":1}\r\n\n {\"id\":2} \n[3]\n{\"id\":4}";
    let (page, _) = cut_text(body, &how).unwrap();
    assert_eq!((page.rows.len(), page.rejected.len()), (3, 1));
    assert_eq!(cut_text("", &how).unwrap().0.rows.len(), 0);
    for bad in [
        "{\"id\":1} {\"id\":2}",
        "{\"id\":1}\n{\"id\":",
        "{\"id\":1},\n",
    ] {
        assert!(cut_text(bad, &how).is_err(), "{bad:?}");
    }
}

#[test]
fn single_values_are_found_by_pointer() {
    let body = br#"{"paging":{"next":{"after":"100"}},"results":[1,{"a":2}],"n":null}"#;
    assert_eq!(get(body, "/paging/next/after"), Ok(Some(r#""100""#)));
    assert_eq!(get(body, "/n"), Ok(Some("null")));
    assert_eq!(get(body, "/results/1/a"), Ok(Some("2")));
    assert_eq!(get(body, "/nothing"), Ok(None));
    assert_eq!(get(b"[1]", ""), Ok(Some("[1]")));
    assert_eq!(
        get_many(body, &["/n", "/x", "/n"]),
        Ok(vec![Some("null"), None, Some("null")])
    );
    assert_eq!(count(body, "/results"), Ok(Some(2)));
    assert_eq!(count(body, "/paging"), Ok(Some(1)));
    assert_eq!(count(body, "/n"), Ok(None));
    assert_eq!(count(body, "/x"), Ok(None));
    assert_eq!(get(body, "n").unwrap_err().fault(), Fault::Guest);
    assert_eq!(get(b"{\"a\":1", "/a").unwrap_err().fault(), Fault::Protocol);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\äß𝄞\n]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("id|at|[ab]", inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_body_is_cut_as_serde_json_would_cut_it(
        records in prop::collection::vec(values(), 0..8),
        pretty: bool,
        damage in prop::option::of((any::<prop::sample::Index>(), "[\\[\\]{}\",:\\\\0 n]")),
    ) {
        let body = json!({ "meta": {"id": [1, 2]}, "data": { "list": records } });
        let mut text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
        if let Some((at, with)) = damage {
            let at = at.index(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                text.replace_range(at..=at, &with);
            }
        }
        #[derive(serde::Deserialize)]
        struct Body<'a> { #[serde(borrow)] data: Data<'a> }
        #[derive(serde::Deserialize)]
        struct Data<'a> { #[serde(borrow)] list: Vec<&'a RawValue> }
        let result = cut_text(&text, &extraction("/data/list"));
        if serde_json::from_str::<&RawValue>(&text).is_err() {
            let malformed = matches!(result, Err(CutError::Malformed { .. }));
            prop_assert!(malformed);
        }
        // A damage can rename members, or make two of one name; what is left compares.
        let Ok(expected) = serde_json::from_str::<Body<'_>>(&text) else { return Ok(()) };
        let (page, _) = result.unwrap();
        let mut rows = page.rows.iter();
        let mut rejected = page.rejected.iter();
        for raw in expected.data.list {
            let value: Value = serde_json::from_str(raw.get()).unwrap_or(Value::Null);
            let key = match value.get("id") {
                Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
                Some(id @ (Value::Number(_) | Value::Bool(_))) => Some(id.to_string()),
                _ => None,
            };
            let place = match key {
                Some(key) => {
                    let row = rows.next().unwrap();
                    prop_assert_eq!(page.text(&row.key), key);
                    &row.record
                }
                None => &rejected.next().unwrap().record,
            };
            let mut scratch = crate::page::Scratch::default();
            prop_assert_eq!(page.record(place, &mut scratch), raw.get().as_bytes());
        }
        prop_assert!(rows.next().is_none() && rejected.next().is_none());
    }
}

#[test]
fn an_outline_answers_as_the_document_does() {
    let bodies = [
        r#"{"results":[{"id":"1"}],"paging":{"next":{"after":"7"}},"n":1}"#,
        r#"{"paging":null,"results":[]}"#,
        r#"{"p\u0061ging":{"next":{"after":"7"}},"results":[{"id":"1"}],"paging":{"next":3}}"#,
        r#"{"results":[{"id":"1"}],"paging":{"a~b":{"c/d":[1,2]}}}"#,
        r#" { "results" : [ {"id":"1"} ] , "paging" : { "next" : { "after" : 1e400 } } } "#,
    ];
    let pointers = [
        "/paging/next/after",
        "/paging/next",
        "/paging",
        "/paging/a~0b/c~1d/1",
        "/n",
        "/results/0/id",
        "/missing/x",
        "",
    ];
    for text in bodies {
        let body = Bytes::from(text);
        let how = extraction("/results");
        let mut outline = Outline::default();
        cut_outlined(&body, &how, 0, &CutLimits::default(), None, &mut outline).unwrap();
        for pointer in pointers {
            let expected = get(&body, pointer).unwrap();
            let found = outline.get_many(&body, &[pointer]).unwrap();
            assert_eq!(found, [expected], "{pointer} of {text}");
        }
        assert!(outline.get_many(&body, &["no pointer"]).is_err());
        assert!(outline.get_many(&body, &["/a~2"]).is_err());
    }
}
