//! What the records of each stream look like, as JSON Schema.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalog::Object;

/// A property as HubSpot describes it.
#[derive(Deserialize)]
pub(crate) struct Property {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

pub(crate) fn record_schema(properties: &[Property]) -> Value {
    let properties: Map<String, Value> = properties
        .iter()
        .map(|property| (property.name.clone(), property_schema(&property.kind)))
        .collect();
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "properties": {"type": "object", "properties": properties},
            "createdAt": moment(),
            "updatedAt": moment(),
            "archived": {"type": "boolean"}
        },
        "required": ["id"]
    })
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}

pub(crate) fn stages_schema(object: &Object, stage: &str) -> Value {
    let kept = [stage, object.modified()].map(|name| Property {
        name: name.to_owned(),
        kind: if name == stage { "string" } else { "datetime" }.to_owned(),
    });
    let mut schema = record_schema(&kept);
    schema["properties"]["propertiesWithHistory"] = json!({
        "type": "object",
        "properties": {stage: {
            "type": "array",
            "items": {"type": "object", "properties": {
                "value": {"type": "string"},
                "timestamp": moment(),
                "sourceType": {"type": "string"}
            }}
        }}
    });
    schema
}

pub(crate) fn association_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "from": {"type": "object", "properties": {"id": {"type": "string"}}},
            "to": {"type": "array", "items": {"type": "object", "properties": {
                "toObjectId": {"type": ["string", "integer"]},
                "associationTypes": {"type": "array", "items": {"type": "object", "properties": {
                    "category": {"type": "string"},
                    "typeId": {"type": "integer"},
                    "label": {"type": ["string", "null"]}
                }}}
            }}}
        },
        "required": ["from", "to"]
    })
}

pub(crate) fn pipeline_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "label": {"type": "string"},
            "displayOrder": {"type": "integer"},
            "stages": {"type": "array", "items": {"type": "object"}},
            "createdAt": moment(),
            "updatedAt": moment(),
            "archived": {"type": "boolean"}
        },
        "required": ["id"]
    })
}

pub(crate) fn owner_schema() -> Value {
    let text = json!({"type": ["string", "null"]});
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "email": text,
            "firstName": text,
            "lastName": text,
            "userId": {"type": ["integer", "null"]},
            "createdAt": moment(),
            "updatedAt": moment(),
            "archived": {"type": "boolean"}
        },
        "required": ["id"]
    })
}

/// Every value is text or null on the wire. Numbers stay text, since HubSpot
/// declares no precision for them.
fn property_schema(kind: &str) -> Value {
    match kind {
        "datetime" => json!({"type": ["string", "null"], "format": "date-time"}),
        "date" => json!({"type": ["string", "null"], "format": "date"}),
        "bool" => json!({"type": ["boolean", "null"]}),
        "number" => json!({"type": ["string", "null"], "format": "decimal"}),
        _ => json!({"type": ["string", "null"]}),
    }
}
