//! The published JSON Schema (2020-12) of the documents: what editors complete and
//! check with.

use super::{ConnectionSpec, DocumentKey, SubscriptionSpec, SyncSpec};
use crate::id::{ConnectionId, SubscriptionId, SyncId};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Of a connection, as the API takes it.
pub fn connection_schema() -> Value {
    rooted::<ConnectionSpec>()
}

/// Of a sync, as the API takes it.
pub fn sync_schema() -> Value {
    rooted::<SyncSpec>()
}

/// Of a subscription, as the API takes it.
pub fn subscription_schema() -> Value {
    rooted::<SubscriptionSpec>()
}

/// Of a document in a file, which also says its `kind` and `id`.
pub fn document_schema() -> Value {
    let mut definitions = Map::new();
    let connection = document::<ConnectionSpec, ConnectionId>("connection", &mut definitions);
    let sync = document::<SyncSpec, SyncId>("sync", &mut definitions);
    let subscription =
        document::<SubscriptionSpec, SubscriptionId>("subscription", &mut definitions);
    json!({
        "$schema": DIALECT,
        "title": "A Tidegate document",
        "type": "object",
        "required": ["kind", "id"],
        "properties": { "kind": { "enum": DocumentKey::KINDS } },
        "oneOf": [connection, sync, subscription],
        "$defs": definitions,
    })
}

fn document<Spec: ToSchema, Id: ToSchema>(
    kind: &str,
    definitions: &mut Map<String, Value>,
) -> Value {
    let mut schema = inlined::<Spec>(definitions);
    let id = inlined::<Id>(definitions);
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("digest"); // written by the server
        properties.insert("kind".to_owned(), json!({ "const": kind }));
        properties.insert("id".to_owned(), id);
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.extend([json!("kind"), json!("id")]);
    }
    schema
}

fn rooted<Spec: ToSchema>() -> Value {
    let mut definitions = Map::new();
    let mut schema = inlined::<Spec>(&mut definitions);
    schema["$schema"] = json!(DIALECT);
    schema["title"] = json!(Spec::name());
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// The type's own schema; those that it refers to go into `definitions`.
fn inlined<Spec: ToSchema>(definitions: &mut Map<String, Value>) -> Value {
    let mut referred: Vec<(String, RefOr<Schema>)> = Vec::new();
    Spec::schemas(&mut referred);
    for (name, schema) in referred {
        definitions.insert(name, as_json_schema(&schema));
    }
    as_json_schema(&<Spec as PartialSchema>::schema())
}

fn as_json_schema(schema: &RefOr<Schema>) -> Value {
    let mut value = serde_json::to_value(schema).expect("schemas are made of JSON types");
    point_to_definitions(&mut value);
    value
}

/// OpenAPI keeps the schemas that others refer to elsewhere.
fn point_to_definitions(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(target) if name == "$ref" => {
                        *target = target.replace("#/components/schemas/", "#/$defs/");
                    }
                    _ => point_to_definitions(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(point_to_definitions),
        _ => {}
    }
}
