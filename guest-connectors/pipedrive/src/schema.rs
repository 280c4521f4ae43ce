//! Which fields a company's records have, with the names that people gave them.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_sdk::{
    prelude::*,
    schema::{self, Kind},
};

use crate::{
    Config, accepted,
    catalog::{self, Entity},
};

/// Units for a page of fields.
const PAGE_COST: u32 = 10;
const PAGE: u32 = 500;
/// No company has so many pages of fields; a source that never ends one is cut off.
const PAGES_MAX: usize = 100;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    data: Option<Vec<Field>>,
    #[serde(default)]
    additional_data: Option<Additional>,
}

#[derive(Deserialize)]
struct Additional {
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Field {
    field_code: String,
    field_name: String,
    field_type: String,
    #[serde(default)]
    is_custom_field: bool,
    #[serde(default)]
    options: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    id: Value,
    label: String,
}

pub(crate) fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
    let mut streams = Vec::new();
    let mut refused = None;
    for entity in &catalog::ALL {
        match fields(host, config, entity) {
            Ok(fields) => streams.push(stream(entity, &fields)),
            Err(failure @ Failure::Unsupported(_)) => {
                let reason = failure.to_string();
                let facts = [("stream", entity.name), ("reason", reason.as_str())];
                host.log(Level::Warn, "the company does not offer a stream", &facts);
                refused = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    // Streams without described fields say nothing about what is granted.
    let described = |stream: &Stream| {
        catalog::ALL
            .iter()
            .any(|entity| entity.name == stream.name && entity.fields_path.is_some())
    };
    match refused {
        Some(failure) if !streams.iter().any(described) => Err(failure),
        _ => Ok(streams),
    }
}

/// A request for a page of fields.
pub(crate) fn page(config: &Config, path: &str, token: Option<&str>) -> Request {
    let request = Request::get(config.auth.fields(), path)
        .auth(config.auth.name())
        .bucket(config.auth.name())
        .cost(PAGE_COST);
    match token {
        Some(token) => request.query("cursor", token),
        None => request,
    }
}

fn fields(host: &Host, config: &Config, entity: &Entity) -> Result<Vec<Field>, Failure> {
    let Some(path) = entity.fields_path else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let request = page(config, path, token.as_deref()).query("limit", PAGE);
        let body = accepted(host.fetch(&request)?, entity.name)?;
        let page: Page = serde_json::from_slice(&body.bytes()?)?;
        found.extend(page.data.unwrap_or_default());
        token = page.additional_data.and_then(|more| more.next_cursor);
        if token.as_deref().is_none_or(str::is_empty) {
            return Ok(found);
        }
    }
    Err(Failure::Protocol(format!(
        "the fields of {} do not end",
        entity.name
    )))
}

fn stream(entity: &Entity, fields: &[Field]) -> Stream {
    let mut stream = Stream::new(entity.name, record_schema(entity, fields)).primary_key("/id");
    if let (Some(modified), true) = (entity.modified, entity.is_incremental) {
        stream = stream.incremental(modified);
    }
    if entity.has_deletes() {
        stream = stream.with_deletes();
    }
    stream
}

fn record_schema(entity: &Entity, fields: &[Field]) -> Value {
    let mut record = schema::object(entity.columns);
    record["required"] = json!(["id"]);
    for field in fields.iter().filter(|field| !field.is_custom_field) {
        if let Some(known) = record["properties"].get_mut(&field.field_code) {
            known["title"] = json!(field.field_name);
        }
    }
    if entity.has_custom_fields {
        let custom: Map<String, Value> = fields
            .iter()
            .filter(|field| field.is_custom_field)
            .map(|field| (field.field_code.clone(), field_schema(field)))
            .collect();
        record["properties"]["custom_fields"] =
            json!({"type": ["object", "null"], "properties": custom});
    }
    record
}

/// A custom field is called by a hash on the wire; its title is the name that people
/// see. Choices are numbers there; what they are called stands beside.
fn field_schema(field: &Field) -> Value {
    let mut found = match field.field_type.as_str() {
        "varchar" | "varchar_auto" | "text" | "phone" => Kind::Text.schema(),
        "double" => Kind::Decimal.schema(),
        "int" | "visible_to" | "enum" => Kind::Integer.schema(),
        "date" => Kind::Date.schema(),
        "monetary" => object_or_null(&[("value", Kind::Decimal), ("currency", Kind::Text)]),
        "daterange" => object_or_null(&[("value", Kind::Date), ("until", Kind::Date)]),
        "timerange" => object_or_null(&[("value", Kind::Text), ("until", Kind::Text)]),
        // Lists of choices, addresses, and references to other records.
        _ => Kind::Any.schema(),
    };
    found["title"] = json!(field.field_name);
    if let Some(choices) = &field.options {
        let label = |choice: &Choice| (choice.id.to_string(), json!(choice.label));
        found["x-labels"] = Value::Object(choices.iter().map(label).collect());
    }
    found
}

fn object_or_null(fields: &[(&str, Kind)]) -> Value {
    let mut found = schema::object(fields);
    found["type"] = json!(["object", "null"]);
    found
}
