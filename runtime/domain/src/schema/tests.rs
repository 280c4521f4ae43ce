#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use ColumnType::{Boolean, Date, Decimal, Integer, Json, Text, Timestamp};
use serde_json::json;

fn columns(properties: Value, key: &[&str]) -> Vec<(String, String, ColumnType)> {
    let schema = json!({"type": "object", "properties": properties}).to_string();
    let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    let columns = Columns::from_json_schema(&schema, &key).unwrap();
    let plain = |column: Column| (column.name, column.pointer, column.kind);
    columns.0.into_iter().map(plain).collect()
}

fn kind_of(schema: Value) -> ColumnType {
    columns(json!({ "field": schema }), &[]).remove(0).2
}

#[test]
fn each_schema_has_the_type_that_loses_nothing() {
    let table = [
        (json!({"type": "string"}), Text),
        (json!({"type": ["null", "string"]}), Text),
        (json!({"type": "number"}), Text),
        (json!({"type": "number", "format": "decimal"}), Text),
        (
            json!({"type": ["string", "null"], "format": "decimal", "precision": 18, "scale": 2}),
            Decimal {
                precision: 18,
                scale: 2,
            },
        ),
        (
            json!({"type": "string", "format": "decimal", "precision": 39, "scale": 2}),
            Text,
        ),
        (
            json!({"type": "string", "format": "decimal", "precision": 3, "scale": 4}),
            Text,
        ),
        (json!({"type": "integer"}), Integer),
        (json!({"type": ["integer", "number"]}), Text),
        (json!({"type": ["integer", "string"]}), Text),
        (json!({"type": "boolean"}), Boolean),
        (json!({"type": "string", "format": "date-time"}), Timestamp),
        (json!({"type": "string", "format": "date"}), Date),
        (json!({"type": "string", "format": "email"}), Text),
        (json!({"type": "array", "items": {"type": "string"}}), Json),
        (json!({"type": "object"}), Json),
        (json!({"type": "object", "properties": {}}), Json),
        (
            json!({"type": ["object", "string"], "properties": {"a": {}}}),
            Json,
        ),
        (json!({"enum": ["a", null]}), Text),
        (json!({"enum": [1]}), Json),
        (json!({"anyOf": [{"type": "string"}]}), Json),
        (json!({}), Json),
        (json!(true), Json),
    ];
    for (schema, expected) in table {
        assert_eq!(kind_of(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn nested_objects_become_columns_joined_by_two_underscores() {
    let nested = json!({
        "id": {"type": "string"},
        "a/b": {"type": "object", "properties": {"c~d": {"type": "integer"}}},
    });
    assert_eq!(
        columns(nested, &["id", "/owner/id"]),
        [
            ("a/b__c~d".to_owned(), "/a~1b/c~0d".to_owned(), Integer),
            ("id".to_owned(), "/id".to_owned(), Text),
            ("owner__id".to_owned(), "/owner/id".to_owned(), Text),
        ]
    );
}

#[test]
fn names_that_collide_are_told_apart() {
    let names: Vec<String> = columns(
        json!({
            "Email": {}, "email": {}, "_tg_key": {},
            "a": {"type": "object", "properties": {"b": {}}}, "a__b": {}, "a__b_2": {},
        }),
        &[],
    )
    .into_iter()
    .map(|(name, ..)| name)
    .collect();
    assert_eq!(
        names,
        [
            "Email",
            "_tg_key_2",
            "a__b",
            "a__b_2",
            "a__b_2_2",
            "email_2"
        ]
    );
}

#[test]
fn a_schema_that_is_none_is_refused() {
    for bad in ["", "[]", "1", r#"{"type":"string"}"#] {
        assert!(Columns::from_json_schema(bad, &[]).is_err(), "{bad:?}");
    }
    let wide: Map<String, Value> = (0..=COLUMNS_MAX)
        .map(|at| (at.to_string(), json!({})))
        .collect();
    let wide = json!({ "properties": wide }).to_string();
    assert!(matches!(
        Columns::from_json_schema(&wide, &[]),
        Err(SchemaError::TooManyColumns { .. })
    ));
}
