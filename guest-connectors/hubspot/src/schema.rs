//! Which properties an account's objects have, and their JSON Schema.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_sdk::prelude::*;

use crate::{Config, Object, accepted};

#[derive(Deserialize)]
struct Properties {
    results: Vec<Property>,
}

#[derive(Deserialize)]
struct Property {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

pub(crate) fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
    let mut streams = Vec::new();
    let mut refused = None;
    for object in Object::ALL {
        match properties(host, config, object) {
            Ok(properties) => streams.push(stream(object, &properties)),
            Err(failure @ Failure::Unsupported(_)) => {
                let reason = failure.to_string();
                let fields = [("stream", object.name()), ("reason", reason.as_str())];
                host.log(Level::Warn, "the account does not offer a stream", &fields);
                refused = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    match refused {
        Some(failure) if streams.is_empty() => Err(failure),
        _ => Ok(streams),
    }
}

/// The properties to ask for: those of the `fields` that the user chose, or
/// all; in any case what the cursor needs.
pub(crate) fn chosen(
    host: &Host,
    config: &Config,
    object: Object,
    fields: &[String],
) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = if fields.is_empty() {
        let properties = properties(host, config, object)?;
        properties
            .into_iter()
            .map(|property| property.name)
            .collect()
    } else {
        fields
            .iter()
            .filter_map(|field| property_of_field(field))
            .map(str::to_owned)
            .collect()
    };
    names.push(object.modified().to_owned());
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// A field is a JSON pointer into the record, or a property's bare name; what
/// lies outside `properties` is always in the answer.
fn property_of_field(field: &str) -> Option<&str> {
    match field.strip_prefix('/') {
        Some(path) => path.strip_prefix("properties/"),
        None if ["id", "properties", "createdAt", "updatedAt", "archived"].contains(&field) => None,
        None => Some(field),
    }
}

fn properties(host: &Host, config: &Config, object: Object) -> Result<Vec<Property>, Failure> {
    let path = format!("/crm/v3/properties/{}", object.name());
    let request = Request::get("schema", path).auth(config.auth.name());
    let body = accepted(host.fetch(&request)?, object)?;
    let list: Properties = serde_json::from_slice(&body.bytes()?)?;
    Ok(list.results)
}

fn stream(object: Object, properties: &[Property]) -> Stream {
    Stream::new(object.name(), record_schema(properties))
        .primary_key("/id")
        .incremental(object.modified_pointer())
        .with_deletes()
        .splittable()
}

fn record_schema(properties: &[Property]) -> Value {
    let properties: Map<String, Value> = properties
        .iter()
        .map(|property| (property.name.clone(), property_schema(&property.kind)))
        .collect();
    let moment = json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "properties": {"type": "object", "properties": properties},
            "createdAt": moment,
            "updatedAt": moment,
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
