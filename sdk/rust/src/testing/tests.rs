//! The in-memory host keeps the promises of the real one.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::{Answer, Emitted, MemoryHost};
use crate::{
    Change, CursorOrder, Digest, EmitFault, Encoding, Endpoint, Extraction, HttpFault, Manifest,
    Pairs, Request, Summary,
};

/// Emits one body and returns the summary and what was emitted.
fn emitted(body: &str, how: &Extraction) -> Result<(Summary, Vec<Emitted>), EmitFault> {
    let memory = MemoryHost::scripted([Answer::body(body)]);
    let host = memory.host();
    let body = host.fetch(&Request::get("api", "/")).unwrap().body;
    let summary = host.emit_body("s", &body, how)?;
    Ok((summary, memory.emitted()))
}

#[test]
fn composite_keys_are_joined_with_the_unit_separator() {
    let how = Extraction::json("").key("/a").key("/b/c");
    let (summary, records) = emitted(r#"[{"a": 1, "b": {"c": "x"}}]"#, &how).unwrap();
    assert_eq!(records[0].key, "1\u{1f}x");
    assert_eq!(summary.last_key.as_deref(), Some("1\u{1f}x"));
}

#[test]
fn cursor_extremes_follow_the_order_of_the_field() {
    let body = r#"{"r": [{"id": 1, "n": "10"}, {"id": 2, "n": "9"}]}"#;
    for (order, min, max) in [
        (CursorOrder::Text, "10", "9"),
        (CursorOrder::Number, "9", "10"),
        (CursorOrder::Timestamp, "9", "10"),
    ] {
        let how = Extraction::json("/r").key("/id").cursor("/n", order);
        let (summary, _) = emitted(body, &how).unwrap();
        assert_eq!(summary.min_cursor.as_deref(), Some(min), "{order:?}");
        assert_eq!(summary.max_cursor.as_deref(), Some(max), "{order:?}");
    }
}

#[test]
fn a_floor_is_compared_as_a_moment_and_skips_what_is_below() {
    let body = r#"[{"id": 1, "at": "2026-01-01T01:00:00+02:00"}, {"id": 2, "at": "2026-01-01T00:00:00Z"}]"#;
    let how = Extraction::json("")
        .key("/id")
        .cursor("/at", CursorOrder::Timestamp)
        .floor("2026-01-01T00:00:00.000Z");
    let (summary, records) = emitted(body, &how).unwrap();
    assert_eq!(
        (summary.records, summary.skipped, summary.elements()),
        (1, 1, 2)
    );
    assert_eq!(records[0].key, "2");
}

#[test]
fn a_true_flag_overrides_the_kind_and_absent_records_are_skipped() {
    let body = r#"[{"id": 1, "gone": true}, {"id": 2, "gone": false}, {"note": 3}]"#;
    let how = Extraction::json("")
        .key("/id")
        .kind(Change::Create)
        .deleted("/gone")
        .present("/id");
    let (summary, records) = emitted(body, &how).unwrap();
    assert_eq!(
        (summary.records, summary.deletes, summary.skipped),
        (2, 1, 1)
    );
    assert_eq!(records[0].change, Change::Delete);
    assert_eq!(records[1].change, Change::Create);
}

#[test]
fn rows_lines_and_pairs_become_records() {
    let (_, rows) = emitted("id,name\n007,\"a,b\"\n", &Extraction::csv().key("/id")).unwrap();
    assert_eq!(rows[0].record, json!({"id": "007", "name": "a,b"}));

    let (_, lines) = emitted(
        "{\"id\": 1}\n\n{\"id\": 2}\n",
        &Extraction::ndjson().key("/id"),
    )
    .unwrap();
    assert_eq!(lines.len(), 2);

    let mut how = Extraction::json("/rows").key("/id");
    how.pairs = Some(Pairs {
        at: String::new(),
        name: "/k".into(),
        value: "/v".into(),
    });
    let (_, pairs) = emitted(r#"{"rows": [[{"k": "id", "v": 4}]]}"#, &how).unwrap();
    assert_eq!(pairs[0].record, json!({"id": 4}));
}

#[test]
fn projection_keeps_the_named_fields_in_place() {
    let how = Extraction::json("")
        .key("/id")
        .project("/id")
        .project("/a/b");
    let (_, records) = emitted(r#"[{"id": 1, "a": {"b": 2, "c": 3}, "d": 4}]"#, &how).unwrap();
    assert_eq!(records[0].record, json!({"id": 1, "a": {"b": 2}}));
}

#[test]
fn bodies_that_are_not_what_was_said_are_malformed() {
    for (body, pointer) in [
        ("[", ""),
        ("{}", "/records"),
        ("[]", "records"),
        ("[]", "/~2"),
    ] {
        let fault = emitted(body, &Extraction::json(pointer)).unwrap_err();
        assert!(
            matches!(fault, EmitFault::Malformed(_)),
            "{body} {pointer}: {fault}"
        );
    }
}

#[test]
fn a_blind_connector_is_answered_its_paging_pointers_and_nothing_else() {
    let manifest = Manifest::new("m", "M", "1")
        .endpoint(Endpoint::data("data", "https://d.example"))
        .endpoint(Endpoint::metadata("schema", "https://d.example"))
        .paging_pointer("/items/*/id");
    let memory = MemoryHost::new(|_| Answer::json(&json!({"items": [{"id": 1, "name": "n"}]})))
        .blind(&manifest);
    let data = memory
        .host()
        .fetch(&Request::get("data", "/"))
        .unwrap()
        .body;
    assert_eq!(data.get("/items/0/id").unwrap().as_deref(), Some("1"));
    for refused in [
        data.get("/items/0/name"),
        data.get("/items"),
        data.text().map(Some),
    ] {
        assert!(matches!(refused, Err(HttpFault::Denied(_))));
    }
    let schema = memory
        .host()
        .fetch(&Request::get("schema", "/"))
        .unwrap()
        .body;
    assert!(schema.text().unwrap().contains("name"));
}

#[test]
fn signatures_depend_on_secret_and_message() {
    let memory = MemoryHost::default().secret("key");
    let host = memory.host();
    let sign = |secret, message: &[u8]| host.sign(secret, Digest::Sha256, message, Encoding::Hex);
    let signature = sign("key", b"one").unwrap();
    assert_ne!(signature, sign("key", b"two").unwrap());
    assert!(
        host.verify("key", Digest::Sha256, b"one", Encoding::Hex, &signature)
            .unwrap()
    );
    assert!(sign("other", b"one").is_err());
}

#[test]
fn a_pipeline_hands_back_every_ticket_once() {
    let memory = MemoryHost::new(|_| Answer::status(204));
    let pipeline = memory.host().pipeline(4);
    let first = pipeline.submit(&Request::get("api", "/1"));
    let second = pipeline.submit(&Request::get("api", "/2"));
    assert_eq!(pipeline.pending(), 2);
    assert_eq!(pipeline.next().unwrap().0, first);
    assert_eq!(pipeline.next().unwrap().0, second);
    assert!(pipeline.next().is_none());
}

#[test]
fn hints_are_found_by_prefix_until_forgotten() {
    let memory = MemoryHost::default();
    let host = memory.host();
    host.keep_hint("a/1", b"x").unwrap();
    host.keep_hint("b/1", b"y").unwrap();
    assert_eq!(host.hint_keys("a/", 10).unwrap(), ["a/1"]);
    host.forget_hint("a/1").unwrap();
    assert_eq!(host.hint("a/1").unwrap(), None);
    assert_eq!(host.hint("b/1").unwrap().as_deref(), Some(&b"y"[..]));
}
