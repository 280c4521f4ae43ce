#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::id::SubscriptionId;
use crate::record::Format;
use serde_json::json;

fn sync(json: Value) -> SyncSpec {
    serde_json::from_value(json).unwrap()
}

fn good() -> Value {
    json!({
        "connection": "hubspot",
        "streams": [{ "name": "contacts" }],
        "target": { "url": "file:///tmp/lake" },
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut json = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    json.pointer_mut(parent).unwrap()[name] = value;
    json
}

#[test]
fn a_short_sync_is_enough() {
    let sync = sync(good());
    assert_eq!(sync.streams[0].mode, Mode::Incremental);
    assert_eq!(sync.target.format, Format::Parquet);
    assert_eq!(sync.class, Class::Incremental);
    assert_eq!(sync.when_running, WhenRunning::Attach);
    assert_eq!(sync.schema_policy, SchemaPolicy::Warn);
    assert!(sync.validate().is_empty());
    let again = serde_json::to_value(&sync).unwrap();
    assert_eq!(serde_json::from_value::<SyncSpec>(again).unwrap(), sync);
}

#[test]
fn what_cannot_work_is_named_by_its_place() {
    let table = [
        ("/streams", json!([]), "/streams"),
        (
            "/streams",
            json!([{ "name": "a" }, { "name": "a" }]),
            "/streams/1/name",
        ),
        (
            "/streams/0/partitions_max",
            json!(0),
            "/streams/0/partitions_max",
        ),
        (
            "/streams/0/landing",
            json!("overwrite"),
            "/streams/0/landing",
        ),
        (
            "/streams/0/window",
            json!({ "since": "2024-01-01T00:00:00Z", "until": "2024-01-01T00:00:00Z" }),
            "/streams/0/window",
        ),
        (
            "/streams/0/window",
            json!({ "since": "1969-01-01T00:00:00Z" }),
            "/streams/0/window",
        ),
        ("/target/url", json!("file://lake"), "/target/url"),
        ("/target/url", json!("ftp://lake"), "/target/url"),
        ("/target/url", json!("s3:///x"), "/target/url"),
        ("/target/url", json!("s3://lake"), "/target/access_key"),
        ("/batch", json!({ "rows_max": 0 }), "/batch/rows_max"),
        ("/schedule", json!({}), "/schedule"),
        (
            "/schedule",
            json!({ "every": "1h", "time_zone": "UTC" }),
            "/schedule/time_zone",
        ),
    ];
    for (pointer, value, expected) in table {
        let found = sync(with(pointer, value.clone())).validate();
        let first = found.first().map(|problem| problem.pointer.as_str());
        assert_eq!(first, Some(expected), "{pointer}: {value}");
    }
    let connection: ConnectionSpec = serde_json::from_value(json!({
        "connector": "hubspot@1.0.0",
        "concurrency_max": 0,
        "oauth_app": { "client_id": "", "client_secret": "${env:X}" },
        "secrets": { "a/b": "${env:X}" },
    }))
    .unwrap();
    let found = connection.validate();
    let pointers: Vec<_> = found
        .iter()
        .map(|problem| problem.pointer.as_str())
        .collect();
    assert_eq!(
        pointers,
        ["/concurrency_max", "/oauth_app/client_id", "/secrets/a~1b"]
    );
}

#[test]
fn a_secret_is_a_reference_and_a_literal_is_not_repeated() {
    for text in [
        "${env:TOKEN}",
        "${file:/run/token}",
        "${secret:sync.crm.target.secret_key}",
    ] {
        assert_eq!(SecretRef::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "hunter2",
        "${env:}",
        "${vault:x}",
        "${env:X",
        "${secret:a/b}",
        "",
        "${env:a\nb}",
    ] {
        let json = json!({ "client_id": "x", "client_secret": text });
        let error = serde_json::from_value::<OauthAppSpec>(json)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("${env:NAME}") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn a_connector_is_a_name_a_digest_or_a_file() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    for text in [
        "hubspot",
        "hubspot@1.0.0-rc.1+b2",
        "./hubspot.wasm",
        "hubspot.wasm",
        "/x/y",
        &digest,
    ] {
        assert_eq!(ConnectorRef::parse(text).unwrap().to_string(), text);
    }
    assert!(matches!(
        ConnectorRef::parse("hubspot.wasm"),
        Ok(ConnectorRef::Path(_))
    ));
    for text in ["", "@1", "hubspot@", "hub spot", "sha256:ab", "a@b@c"] {
        assert!(ConnectorRef::parse(text).is_err(), "{text} was taken");
    }
}

#[test]
fn every_secret_has_a_slot_with_a_name_of_its_own() {
    let mut connection: ConnectionSpec = serde_json::from_value(json!({
        "connector": "hubspot",
        "oauth_app": { "client_id": "x", "client_secret": "${env:A}" },
        "secrets": { "token": "${file:b}", "hmac": "${env:C}" },
    }))
    .unwrap();
    let id = ConnectionId::parse("hubspot-main").unwrap();
    let slots = connection.secret_slots(&id);
    let names: Vec<_> = slots
        .iter()
        .map(|slot| (slot.name.as_str(), slot.pointer.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            (
                "connection.hubspot-main.oauth_app.client_secret",
                "/oauth_app/client_secret"
            ),
            ("connection.hubspot-main.secrets.hmac", "/secrets/hmac"),
            ("connection.hubspot-main.secrets.token", "/secrets/token"),
        ]
    );
    for slot in slots {
        *slot.reference = SecretRef::Secret(slot.name);
    }
    let json = serde_json::to_value(&connection).unwrap();
    assert_eq!(
        json["secrets"]["token"],
        "${secret:connection.hubspot-main.secrets.token}"
    );
    let target = json!({ "url": "s3://lake", "access_key": "${env:A}", "secret_key": "${env:B}" });
    let mut sync = sync(with("/target", target));
    let slots = sync.secret_slots(&SyncId::parse("crm").unwrap());
    let names: Vec<_> = slots.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!(
        names,
        ["sync.crm.target.access_key", "sync.crm.target.secret_key"]
    );
}

fn set(connections: &[&str], syncs: &[(&str, Value)]) -> DocumentSet {
    let connection = |id: &&str| {
        let spec = serde_json::from_value(json!({ "connector": "hubspot" })).unwrap();
        (ConnectionId::parse(*id).unwrap(), spec)
    };
    let sync = |(id, json): &(&str, Value)| (SyncId::parse(*id).unwrap(), sync(json.clone()));
    DocumentSet {
        connections: connections.iter().map(connection).collect(),
        syncs: syncs.iter().map(sync).collect(),
        ..DocumentSet::default()
    }
}

fn after(sync: &str) -> Value {
    with("/schedule", json!({ "after": sync }))
}

#[test]
fn what_a_sync_names_must_be_there() {
    let found = set(&["hubspott"], &[("crm", good()), ("erp", after("crn"))]).validate();
    let found: Vec<_> = found
        .iter()
        .map(|(key, problem)| format!("{key} {}: {}", problem.pointer, problem.reason))
        .collect();
    assert_eq!(
        found,
        [
            "sync crm /connection: there is no connection hubspot; did you mean hubspott?",
            "sync erp /connection: there is no connection hubspot; did you mean hubspott?",
            "sync erp /schedule/after: there is no sync crn; did you mean crm?",
        ]
    );
    assert!(
        set(
            &["hubspot"],
            &[("a", good()), ("b", after("a")), ("c", after("b"))]
        )
        .validate()
        .is_empty()
    );
    let circle = set(
        &["hubspot"],
        &[
            ("a", after("c")),
            ("b", after("a")),
            ("c", after("b")),
            ("d", after("a")),
        ],
    );
    let found = circle.validate();
    let ids: Vec<_> = found.iter().map(|(key, _)| key.id()).collect();
    assert_eq!(ids, ["a", "b", "c"], "d is in no circle");
}

#[test]
fn the_difference_names_each_field() {
    let before = set(&["hubspot", "old"], &[("crm", good())]);
    assert_eq!(diff(&before, &before), []);
    let mut changed = with("/streams/0/fields", json!(["email"]));
    changed["schedule"] = json!({ "every": "15m" });
    changed["streams"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({ "name": "deals" }));
    let after = set(&["hubspot", "new"], &[("crm", changed)]);
    let changes = diff(&before, &after);
    let actions: Vec<_> = changes
        .iter()
        .map(|change| (change.document.to_string(), change.action))
        .collect();
    assert_eq!(
        actions,
        [
            ("connection new".to_owned(), ChangeAction::Create),
            ("sync crm".to_owned(), ChangeAction::Update),
            ("connection old".to_owned(), ChangeAction::Remove),
        ]
    );
    let fields: Vec<_> = changes[1]
        .fields
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "schedule.every",
            "streams[contacts].fields",
            "streams[deals].landing",
            "streams[deals].mode",
            "streams[deals].name",
            "streams[deals].partitions_max",
        ]
    );
}

#[test]
fn order_defaults_and_the_pinned_digest_are_no_difference() {
    let two = |streams: Value| set(&["hubspot"], &[("crm", with("/streams", streams))]);
    let one_way = two(json!([{ "name": "a" }, { "name": "b", "mode": "incremental" }]));
    let mut other_way = two(json!([{ "name": "b" }, { "name": "a", "partitions_max": 4 }]));
    let digest = Sha256::from_bytes([1; 32]);
    for connection in other_way.connections.values_mut() {
        connection.digest = Some(digest.clone());
    }
    assert_eq!(diff(&one_way, &other_way), []);
}

#[test]
fn a_slip_is_answered_with_what_was_meant() {
    let words = ["schedule", "streams", "target"];
    for (text, expected) in [
        ("shcedule", Some("schedule")),
        ("Streams", Some("streams")),
        ("tagret", Some("target")),
        ("speed", None),
    ] {
        assert_eq!(nearest(text, words), expected, "{text}");
    }
}

/// Every reference in a schema leads somewhere.
fn check_references(schema: &Value, root: &Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(root.pointer(pointer).is_some(), "{target} leads nowhere");
            }
            members
                .values()
                .for_each(|value| check_references(value, root));
        }
        Value::Array(items) => items.iter().for_each(|value| check_references(value, root)),
        _ => {}
    }
}

#[test]
fn the_published_schemas_are_whole() {
    for schema in [document_schema(), connection_schema(), sync_schema()] {
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        check_references(&schema, &schema);
        assert!(!schema.to_string().contains("components"), "{schema}");
    }
    let document = document_schema();
    for (at, kind) in ["connection", "sync"].into_iter().enumerate() {
        let schema = &document["oneOf"][at];
        assert_eq!(schema["properties"]["kind"]["const"], kind);
        assert_eq!(schema["additionalProperties"], false, "{schema}");
        assert!(
            schema["required"]
                .as_array()
                .unwrap()
                .contains(&json!("id"))
        );
    }
    let sync = sync_schema();
    assert!(sync["properties"]["class"].to_string().len() > 2, "{sync}");
    assert_eq!(sync["required"], json!(["connection", "streams", "target"]));
}

#[test]
fn an_operation_may_have_a_place_of_the_targets_own_kind() {
    let problems = |operations: Value| -> Vec<String> {
        let sync = sync(with("/target/operations", operations));
        let found = sync.target.validate().into_iter();
        found.map(|problem| problem.pointer).collect()
    };
    assert_eq!(problems(json!({ "delete": "file:///gone" })), [""; 0]);
    assert_eq!(
        problems(json!({ "delete": "s3://gone", "create": "lake", "upsert": "file://lake" })),
        [
            "/target/operations/upsert",
            "/target/operations/create",
            "/target/operations/delete"
        ]
    );
}

#[test]
fn subscriptions_are_documents_like_the_others() {
    let subscribed = |url: &str| {
        let spec = json!({ "url": url, "events": ["job.finished"], "secret": "${env:KEY}" });
        let id = SubscriptionId::parse("loads").unwrap();
        DocumentSet {
            subscriptions: [(id, serde_json::from_value(spec).unwrap())].into(),
            ..DocumentSet::default()
        }
    };
    let changes = diff(
        &subscribed("https://a.example"),
        &subscribed("https://b.example"),
    );
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].document.to_string(), "subscription loads");
    assert_eq!(changes[0].fields[0].field, "url");
    let found = subscribed("http://plain.example").validate();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1.pointer, "/url");
}
