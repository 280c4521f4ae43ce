//! What Salesforce says of an object: its fields, their JSON Schema, its clock.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_sdk::prelude::*;

use crate::refusal::{Refusal, ask};
use crate::{BASE, Config, server_now_ms};

/// In the order of preference: what automation changes moves the first alone.
const CURSORS: [&str; 4] = [
    "SystemModstamp",
    "LastModifiedDate",
    "CreatedDate",
    "LoginTime",
];

#[derive(Debug, Deserialize)]
pub(crate) struct Description {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) replicateable: bool,
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    precision: u32,
    #[serde(default)]
    scale: u32,
}

impl Description {
    fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|known| known.name == field)
    }

    /// Records without an id (big objects) cannot be told apart.
    pub(crate) fn has_id(&self) -> bool {
        self.has("Id")
    }

    /// It tells deleted records by a flag.
    pub(crate) fn is_flagged(&self) -> bool {
        self.has("IsDeleted")
    }

    /// The field by which what is new is found; history objects have only the time of
    /// creation, some objects none.
    pub(crate) fn cursor(&self) -> Option<&'static str> {
        CURSORS.into_iter().find(|field| self.has(field))
    }

    /// The fields to ask for. Compound ones say once more what their components say, and
    /// Bulk refuses them, so they are asked for where somebody wants them; files are no
    /// records.
    pub(crate) fn selected(&self, config: &Config) -> Vec<String> {
        let selected = self.fields.iter().filter(|field| field.is_selected(config));
        selected.map(|field| field.name.clone()).collect()
    }

    pub(crate) fn stream(&self, config: &Config) -> Stream {
        let stream = Stream::new(&self.name, self.record_schema(config))
            .primary_key("/Id")
            .splittable();
        let Some(cursor) = self.cursor() else {
            return stream;
        };
        let stream = stream.incremental(format!("/{cursor}"));
        let flag_moves_cursor = self.is_flagged() && cursor != "CreatedDate";
        // History objects have no change events; which others have, the org chooses.
        let stream = match self.replicateable && flag_moves_cursor {
            true => stream.live(),
            false => stream,
        };
        if self.replicateable || flag_moves_cursor {
            stream.with_deletes()
        } else {
            stream
        }
    }

    fn record_schema(&self, config: &Config) -> Value {
        let selected = self.fields.iter().filter(|field| field.is_selected(config));
        let properties: Map<String, Value> = selected
            .map(|field| (field.name.clone(), field.schema()))
            .collect();
        json!({"type": "object", "properties": properties, "required": ["Id"]})
    }
}

impl Field {
    fn is_selected(&self, config: &Config) -> bool {
        match self.kind.as_str() {
            "address" | "location" => config.compound_fields,
            "base64" => false,
            _ => true,
        }
    }

    fn schema(&self) -> Value {
        let text = |format: &str| json!({"type": ["string", "null"], "format": format});
        match self.kind.as_str() {
            "boolean" => json!({"type": ["boolean", "null"]}),
            "int" | "long" => json!({"type": ["integer", "null"]}),
            "double" | "currency" | "percent" => self.number_schema(),
            "date" => text("date"),
            "datetime" => text("date-time"),
            // Values of any field, in the history of them.
            "anyType" => json!({"type": ["string", "number", "boolean", "null"]}),
            "json" | "complexvalue" => json!({}),
            "address" => compound_schema(&ADDRESS),
            "location" => compound_schema(&[]),
            // Ids, picklists, times of day, and what is not known yet: text.
            _ => json!({"type": ["string", "null"]}),
        }
    }

    /// Formulas pass their declared digits before the point now and then.
    fn number_schema(&self) -> Value {
        if self.precision == 0 || self.scale > 20 {
            return json!({"type": ["number", "null"]});
        }
        let precision = self.precision.max(18) + self.scale;
        json!({
            "type": ["number", "null"],
            "format": "decimal",
            "precision": precision.min(38),
            "scale": self.scale
        })
    }
}

/// Parts of every compound, in degrees.
const PLACE: [&str; 2] = ["latitude", "longitude"];
/// Parts of an address besides; two of them where the org has lists of states.
const ADDRESS: [&str; 8] = [
    "street",
    "city",
    "state",
    "stateCode",
    "postalCode",
    "country",
    "countryCode",
    "geocodeAccuracy",
];

/// Each part becomes a column of its own.
fn compound_schema(texts: &[&str]) -> Value {
    let text = json!({"type": ["string", "null"]});
    let degrees = json!({
        "type": ["number", "null"], "format": "decimal", "precision": 18, "scale": 15
    });
    let texts = texts.iter().map(|name| (*name, &text));
    let parts = texts.chain(PLACE.map(|name| (name, &degrees)));
    let parts: Map<String, Value> = parts
        .map(|(name, schema)| (name.to_owned(), schema.clone()))
        .collect();
    json!({"type": ["object", "null"], "properties": parts})
}

/// Asks for an object's description; also Salesforce's own time.
pub(crate) fn describe(
    host: &Host,
    config: &Config,
    object: &str,
) -> Result<(Description, u64), Failure> {
    match ask(host, &description(config, object))? {
        Ok(response) => {
            let now_ms = server_now_ms(host, &response);
            Ok((described(response)?, now_ms))
        }
        Err(refusal) => Err(refusal.failure(object)),
    }
}

pub(crate) fn description(config: &Config, object: &str) -> Request {
    Request::get("schema", format!("{BASE}/sobjects/{object}/describe")).auth(config.auth.name())
}

pub(crate) fn described(response: Response) -> Result<Description, Failure> {
    Ok(serde_json::from_slice(&response.body.bytes()?)?)
}

/// Keeps the fields that a run asks for, so that a description is one request for the
/// run and not one for each of its partitions.
pub(crate) fn keep(host: &Host, config: &Config, description: &Description) {
    let names = description.selected(config).join(",");
    let kept = host.keep_hint(&hint(&description.name), names.as_bytes());
    if let Err(fault) = kept {
        let reason = fault.to_string();
        let fields = [("stream", description.name.as_str()), ("reason", &reason)];
        host.log(Level::Debug, "fields are not kept", &fields);
    }
}

/// The fields to ask for: those that the user chose of those that there are, in any
/// case what the connector needs.
pub(crate) fn fields(
    host: &Host,
    read: &Read<crate::Salesforce>,
    object: &str,
) -> Result<Vec<String>, Failure> {
    let kept = host.hint(&hint(object)).ok().flatten();
    let kept = kept.and_then(|names| String::from_utf8(names).ok());
    let mut names: Vec<String> = match kept {
        Some(names) => names.split(',').map(str::to_owned).collect(),
        None => {
            let (description, _) = describe(host, &read.config, object)?;
            keep(host, &read.config, &description);
            description.selected(&read.config)
        }
    };
    if !read.fields.is_empty() {
        let cursor = read.partition.slice.field.as_deref();
        let needed = |name: &str| ["Id", "IsDeleted"].contains(&name) || Some(name) == cursor;
        let chosen = |name: &str| {
            let same = |field: &String| field.strip_prefix('/').unwrap_or(field) == name;
            read.fields.iter().any(same)
        };
        names.retain(|name| needed(name) || chosen(name));
    }
    Ok(names)
}

/// A field that was asked for is gone: what is known of the object is old.
pub(crate) fn refused(host: &Host, object: &str, refusal: Refusal) -> Failure {
    if !refusal.is("INVALID_FIELD") {
        return refusal.failure(object);
    }
    let forgotten = host.forget_hint(&hint(object));
    let reason = forgotten.err().map(|fault| fault.to_string());
    Failure::Transient(format!(
        "a field of {object} went away while it was read: {}{}",
        refusal.message,
        reason.unwrap_or_default()
    ))
}

fn hint(object: &str) -> String {
    format!("fields.{object}")
}
