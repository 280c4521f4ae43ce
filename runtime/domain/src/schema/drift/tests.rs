#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use ColumnType::{Boolean, Date, Decimal, Integer, Json, Text, Timestamp};
use serde_json::{Value, json};

fn parse(properties: Value) -> Columns {
    let schema = json!({ "properties": properties }).to_string();
    Columns::from_json_schema(&schema, &[]).unwrap()
}

/// Name, type, and whether new rows fill it.
fn shown(columns: &Columns) -> Vec<(&str, ColumnType, bool)> {
    let columns = columns.as_slice().iter();
    columns
        .map(|column| (&*column.name, column.kind, !column.retired))
        .collect()
}

fn evolved(before: &Columns, after: &Columns) -> Columns {
    before.evolve(after.as_slice()).unwrap()
}

#[test]
fn a_type_holds_another_only_with_all_its_digits() {
    let decimal = |precision, scale| Decimal { precision, scale };
    let table = [
        (Integer, Integer, true),
        (Integer, decimal(4, 0), false),
        (decimal(21, 2), Integer, true),
        (decimal(20, 2), Integer, false),
        (decimal(10, 2), decimal(8, 2), true),
        (decimal(10, 2), decimal(10, 3), false),
        (decimal(10, 2), decimal(11, 2), false),
        (Text, Integer, true),
        (Text, Boolean, true),
        (Text, Timestamp, true),
        (Text, Json, false),
        (Json, Text, true),
        (Timestamp, Date, false),
        (Date, Timestamp, false),
        (Boolean, Text, false),
    ];
    for (one, other, expected) in table {
        assert_eq!(one.holds(other), expected, "{one:?} {other:?}");
    }
}

#[test]
fn changes_name_what_is_new_gone_and_retyped() {
    let before = parse(json!({"gone": {"type": "string"}, "n": {"type": "integer"}, "s": {}}));
    let after = parse(json!({"n": {"type": "string"}, "new": {"type": "boolean"}, "s": {}}));
    let told: Vec<String> = before
        .changes(&after)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "field /gone is gone",
            "field /n was integer and is text",
            "new field /new (boolean)"
        ]
    );
    assert!(after.changes(&after).is_empty());
}

#[test]
fn columns_keep_their_type_and_a_new_type_gets_a_column_beside() {
    let before = parse(json!({"gone": {"type": "string"}, "n": {"type": "integer"}}));
    let after = parse(json!({"n": {"type": "string"}, "new": {"type": "boolean"}}));
    let both = evolved(&before, &after);
    assert_eq!(
        shown(&both),
        [
            ("gone", Text, true),
            ("n", Integer, false),
            ("n__text", Text, true),
            ("new", Boolean, true),
        ]
    );
    assert_eq!(evolved(&both, &after), both, "nothing new changes nothing");
    // A text column holds integers, so the narrower type changes nothing.
    assert_eq!(evolved(&both, &before), both);
}

#[test]
fn a_type_that_comes_back_fills_its_first_column_again() {
    let date = parse(json!({"d": {"type": "string", "format": "date"}}));
    let flag = parse(json!({"d": {"type": "boolean"}}));
    let both = evolved(&date, &flag);
    assert_eq!(
        shown(&both),
        [("d", Date, false), ("d__boolean", Boolean, true)]
    );
    let back = evolved(&both, &date);
    assert_eq!(
        shown(&back),
        [("d", Date, true), ("d__boolean", Boolean, false)]
    );
}

#[test]
fn an_object_that_was_a_value_leaves_the_values_column_behind() {
    let value = parse(json!({"a": {"type": "string"}, "ab": {"type": "string"}}));
    let object = parse(json!({"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}));
    let both = evolved(&value, &object);
    assert_eq!(
        shown(&both),
        [
            ("a", Text, false),
            ("ab", Text, true),
            ("a__b", Integer, true)
        ]
    );
    let back = evolved(&both, &value);
    assert_eq!(
        shown(&back),
        [
            ("a", Text, true),
            ("ab", Text, true),
            ("a__b", Integer, false)
        ]
    );
}

#[test]
fn names_of_columns_never_move() {
    let before = parse(json!({"a": {"type": "object", "properties": {"b": {}}}}));
    let after = parse(json!({"a__b": {}, "A__B": {}}));
    let names: Vec<String> = evolved(&before, &after)
        .as_slice()
        .iter()
        .map(|column| column.name.clone())
        .collect();
    assert_eq!(names, ["a__b", "A__B_2", "a__b_2_2"]);
}

#[test]
fn too_many_columns_are_refused() {
    let wide = |prefix: &str, count| {
        let fields: serde_json::Map<String, Value> = (0..count)
            .map(|at| (format!("{prefix}{at}"), json!({})))
            .collect();
        parse(Value::Object(fields))
    };
    let full = wide("a", COLUMNS_MAX);
    assert!(matches!(
        full.evolve(wide("b", 1).as_slice()),
        Err(SchemaError::TooManyColumns { columns }) if columns == COLUMNS_MAX + 1
    ));
}
