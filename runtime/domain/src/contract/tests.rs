#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::schema::ColumnType::{self, Boolean, Text};
use serde_json::{Value, json};

fn found_with(fields: Value, key: &str, cursor: &str) -> Found {
    let stream = json!({
        "name": "contacts", "primary_key": [key], "cursor_field": cursor,
        "modes": ["incremental"], "has_deletes": false,
        "schema": { "properties": fields },
    });
    let stream: CatalogStream = serde_json::from_str(&stream.to_string()).unwrap();
    Found::of(&stream, &Sha256::from_bytes([1; 32])).unwrap()
}

fn found(fields: Value) -> Found {
    found_with(fields, "/id", "/at")
}

fn before() -> Found {
    found(json!({
        "id": {"type": "string"}, "at": {"type": "string"},
        "n": {"type": "boolean"}, "gone": {"type": "string"},
    }))
}

fn after() -> Found {
    found(json!({
        "id": {"type": "string"}, "at": {"type": "string"},
        "n": {"type": "string"}, "new": {"type": "string"},
    }))
}

fn reading(policy: SchemaPolicy, fields: &[String]) -> Reading<'_> {
    Reading {
        policy,
        mode: Mode::Incremental,
        fields,
    }
}

fn selected(fields: &[&str]) -> Vec<String> {
    fields.iter().map(|field| (*field).to_owned()).collect()
}

fn told(weighed: &Weighed) -> Vec<String> {
    weighed.changes.iter().map(ToString::to_string).collect()
}

fn live(contract: &Contract) -> Vec<(&str, ColumnType)> {
    let columns = contract.columns.as_slice().iter();
    let live = columns.filter(|column| !column.retired);
    live.map(|column| (&*column.name, column.kind)).collect()
}

#[test]
fn each_policy_rules_on_what_is_new_gone_and_retyped() {
    let contract = Contract::first(&before());
    for (policy, ruling) in [
        (SchemaPolicy::Evolve, Ruling::Evolve),
        (SchemaPolicy::Warn, Ruling::Warn),
        (SchemaPolicy::Freeze, Ruling::Freeze),
    ] {
        let same = contract.weigh(&before(), reading(policy, &[])).unwrap();
        assert_eq!((same.ruling, &same.contract), (Ruling::Land, &contract));
        let weighed = contract.weigh(&after(), reading(policy, &[])).unwrap();
        assert_eq!(weighed.ruling, ruling);
        assert_eq!(
            told(&weighed),
            [
                "field /gone is gone",
                "field /n was boolean and is text",
                "new field /new (text)",
            ]
        );
        if ruling != Ruling::Evolve {
            assert_eq!(weighed.contract, contract, "the columns stay");
            continue;
        }
        let evolved = [
            ("at", Text),
            ("gone", Text),
            ("id", Text),
            ("n__text", Text),
            ("new", Text),
        ];
        assert_eq!(live(&weighed.contract), evolved);
        let again = weighed.contract.weigh(&after(), reading(policy, &[]));
        assert_eq!(again.unwrap().ruling, Ruling::Land, "it is told once");
    }
}

#[test]
fn what_a_person_accepts_is_nothing_new_any_more() {
    let contract = Contract::first(&before());
    let accepted = contract.accept(&after()).unwrap();
    for policy in [SchemaPolicy::Warn, SchemaPolicy::Freeze] {
        let weighed = accepted.weigh(&after(), reading(policy, &[])).unwrap();
        assert_eq!(
            (weighed.ruling, weighed.changes),
            (Ruling::Land, Vec::new())
        );
    }
    assert!(accepted.columns.live("/new").is_some());
}

#[test]
fn only_fields_that_are_read_count_and_a_named_one_is_wanted() {
    let contract = Contract::first(&before());
    let fields = selected(&["gone"]);
    let weighed = contract
        .weigh(&after(), reading(SchemaPolicy::Freeze, &fields))
        .unwrap();
    assert_eq!(told(&weighed), ["field /gone is gone"]);

    let fields = selected(&["at", "/new"]);
    let weighed = contract
        .weigh(&after(), reading(SchemaPolicy::Freeze, &fields))
        .unwrap();
    assert_eq!(weighed.ruling, Ruling::Land);
    let columns = &weighed.contract.columns;
    assert!(columns.live("/new").is_some(), "the sync names it");
    assert_eq!(columns.live("/n").unwrap().kind, Boolean);

    // Everything is read again: the rest is new to this contract.
    let all = weighed
        .contract
        .weigh(&after(), reading(SchemaPolicy::Warn, &[]))
        .unwrap();
    assert_eq!(
        told(&all),
        ["field /gone is gone", "field /n was boolean and is text"]
    );
}

#[test]
fn a_lost_key_or_cursor_breaks_under_every_policy() {
    let contract = Contract::first(&before());
    let without = |name: &str| {
        let mut fields = json!({
            "id": {"type": "string"}, "at": {"type": "string"},
            "n": {"type": "boolean"}, "gone": {"type": "string"},
        });
        fields.as_object_mut().unwrap().remove(name);
        fields
    };
    let table = [
        (found(without("id")), "the key was /id and is none"),
        (
            found_with(without("n"), "/gone", "/at"),
            "the key was /id and is /gone",
        ),
        (found(without("at")), "the cursor was /at and is gone"),
        (
            found_with(without("n"), "/id", "/gone"),
            "the cursor was /at and is /gone",
        ),
    ];
    for (found, expected) in table {
        for policy in [
            SchemaPolicy::Evolve,
            SchemaPolicy::Warn,
            SchemaPolicy::Freeze,
        ] {
            let weighed = contract.weigh(&found, reading(policy, &[])).unwrap();
            assert_eq!(weighed.ruling, Ruling::Break, "{expected}");
            assert_eq!(told(&weighed).last().map(String::as_str), Some(expected));
        }
        let accepted = contract.accept(&found).unwrap();
        let weighed = accepted
            .weigh(&found, reading(SchemaPolicy::Freeze, &[]))
            .unwrap();
        assert_eq!(weighed.ruling, Ruling::Land, "{expected}");
    }
    // A full refresh has no cursor to lose.
    let refresh = Reading {
        mode: Mode::FullRefresh,
        ..reading(SchemaPolicy::Warn, &[])
    };
    let weighed = contract.weigh(&found(without("at")), refresh).unwrap();
    assert_eq!(weighed.ruling, Ruling::Warn);
}

#[test]
fn a_slip_in_a_selected_field_is_refused_with_what_was_meant() {
    let nested = found(json!({
        "id": {}, "tags": {"type": "array"},
        "properties": {"type": "object", "properties": {"email": {}, "first~name": {}}},
    }));
    for good in [
        "email",
        "properties",
        "id",
        "/properties/email",
        "/properties",
        "/tags/0/name",
        "first~name",
        "/properties/first~0name",
    ] {
        assert_eq!(nested.check_fields(&selected(&[good])), Ok(()), "{good}");
    }
    for (bad, meant) in [
        ("emial", Some("email")),
        ("/properties/emai", Some("/properties/email")),
        ("something", None),
        ("/email", None),
    ] {
        let error = nested.check_fields(&selected(&["id", bad])).unwrap_err();
        assert_eq!((&*error.field, error.suggestion.as_deref()), (bad, meant));
    }
    let error = nested.check_fields(&selected(&["emial"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it has no field emial; did you mean email?"
    );
}
