//! What a contact looks like: its properties as the source lists them, as JSON Schema.

use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_sdk::Failure;
use tidegate_sdk::schema::{Kind, object};

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

/// The schema of a contact with the properties that `listed` names.
pub(crate) fn of(listed: &str) -> Result<Value, Failure> {
    let listed: Properties = serde_json::from_str(listed)?;
    let fields: Vec<(&str, Kind)> = listed
        .results
        .iter()
        .map(|property| (property.name.as_str(), kind(&property.kind)))
        .collect();
    let mut schema = object(&[
        ("id", Kind::Text),
        ("createdAt", Kind::Moment),
        ("updatedAt", Kind::Moment),
        ("archived", Kind::Boolean),
    ]);
    schema["properties"]["properties"] = object(&fields);
    schema["required"] = json!(["id"]);
    Ok(schema)
}

/// Values are texts on the wire, whatever they hold.
fn kind(name: &str) -> Kind {
    match name {
        "datetime" => Kind::Moment,
        "date" => Kind::Date,
        "bool" => Kind::Boolean,
        _ => Kind::Text,
    }
}
