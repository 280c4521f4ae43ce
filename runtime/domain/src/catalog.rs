//! What discovery finds in a connection: its streams and their schemas.

use crate::id::{Sha256, StreamName};
use crate::schema::{Columns, SchemaChange};
use crate::sync::Mode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What one discovery found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Catalog {
    /// The sha256 of the streams: another id is another schema.
    pub id: Sha256,
    /// The connector that was asked.
    pub connector: Sha256,
    /// By name.
    pub streams: Vec<CatalogStream>,
}

/// A stream that can be read.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CatalogStream {
    /// Its name.
    pub name: StreamName,
    /// JSON pointers to the fields of its key.
    pub primary_key: Vec<String>,
    /// JSON pointer to its cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_field: Option<String>,
    /// How it can be read.
    pub modes: Vec<Mode>,
    /// Whether its feed carries deletions.
    pub has_deletes: bool,
    /// Whether it can be read in several partitions at the same time.
    #[serde(default)]
    pub splittable: bool,
    /// What else the connector says of it, as JSON text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub extra: String,
    /// JSON Schema of a record.
    #[schema(value_type = Object)]
    pub schema: Box<RawValue>,
}

/// What changed in a stream from one discovery to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamChanges {
    /// The stream.
    pub stream: StreamName,
    /// What changed; one at least.
    #[schema(min_items = 1)]
    pub changes: Vec<SchemaChange>,
}

impl Catalog {
    /// The stream of this name.
    pub fn stream(&self, name: &StreamName) -> Option<&CatalogStream> {
        self.streams.iter().find(|stream| stream.name == *name)
    }

    /// What changed since an earlier discovery, by stream. What columns do not show
    /// (descriptions, what is inside a list) is not a change.
    pub fn changes_since(&self, before: &Catalog) -> Vec<StreamChanges> {
        let gone = before.streams.iter().filter_map(|stream| {
            let changes = match self.stream(&stream.name) {
                Some(now) => now.changes_since(stream),
                None => vec![SchemaChange::StreamVanished],
            };
            let stream = stream.name.clone();
            (!changes.is_empty()).then_some(StreamChanges { stream, changes })
        });
        let is_new = |stream: &&CatalogStream| before.stream(&stream.name).is_none();
        let new = self.streams.iter().filter(is_new).map(|now| StreamChanges {
            stream: now.name.clone(),
            changes: vec![SchemaChange::StreamAdded],
        });
        gone.chain(new).collect()
    }
}

impl CatalogStream {
    /// Its declared fields; none where its schema does not describe an object.
    pub fn fields(&self) -> Columns {
        Columns::from_json_schema(self.schema.get(), &[]).unwrap_or_default()
    }

    fn changes_since(&self, before: &CatalogStream) -> Vec<SchemaChange> {
        let mut changes = before.fields().changes(&self.fields());
        if before.primary_key != self.primary_key {
            changes.push(SchemaChange::KeyChanged {
                from: before.primary_key.clone(),
                to: self.primary_key.clone(),
            });
        }
        if let Some(from) = before.cursor_field.clone()
            && self.cursor_field.as_ref() != Some(&from)
        {
            let to = self.cursor_field.clone();
            changes.push(SchemaChange::CursorChanged { from, to });
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use serde_json::json;

    fn catalog(streams: serde_json::Value) -> Catalog {
        let connector = Sha256::from_bytes([1; 32]);
        let id = connector.clone();
        let all = json!({ "id": id, "connector": connector, "streams": streams });
        serde_json::from_str(&all.to_string()).unwrap()
    }

    fn stream(name: &str, key: &str, fields: serde_json::Value) -> serde_json::Value {
        json!({
            "name": name, "primary_key": [key], "cursor_field": "/at", "modes": ["incremental"],
            "has_deletes": false, "schema": { "properties": fields },
        })
    }

    #[test]
    fn two_discoveries_differ_by_streams_fields_and_keys() {
        let before = catalog(json!([
            stream("same", "/id", json!({"a": {"description": "old"}})),
            stream("left", "/id", json!({"a": {}})),
            stream("changed", "/id", json!({"a": {"type": "string"}, "b": {}})),
        ]));
        let after = catalog(json!([
            stream("same", "/id", json!({"a": {"description": "new"}})),
            stream(
                "changed",
                "/key",
                json!({"a": {"type": "boolean"}, "c": {}})
            ),
            stream("came", "/id", json!({"a": {}})),
        ]));
        let told: Vec<String> = after
            .changes_since(&before)
            .iter()
            .flat_map(|of| {
                of.changes
                    .iter()
                    .map(move |change| format!("{}: {change}", of.stream))
            })
            .collect();
        assert_eq!(
            told,
            [
                "left: the stream is gone",
                "changed: field /a was text and is boolean",
                "changed: field /b is gone",
                "changed: new field /c (json)",
                "changed: the key was /id and is /key",
                "came: a new stream",
            ]
        );
        assert!(after.changes_since(&after).is_empty());
    }
}
