//! What would change: one set of documents against another, field by field.

use super::{ConnectionSpec, DocumentKey, DocumentSet};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What happens to one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Which document.
    pub document: DocumentKey,
    /// What happens to it.
    pub action: ChangeAction,
    /// The fields that differ; of a new document all that it has, of a removed one none.
    pub fields: Vec<FieldChange>,
}

/// What happens to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// It is new.
    Create,
    /// It is there already, and some fields differ.
    Update,
    /// It is no longer wanted.
    Remove,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldChange {
    /// Where it is, such as `streams[contacts].fields`.
    pub field: String,
    /// What is there now; none where the field is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What will be there; none where the field goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

/// What leads from one set to the other; empty where they mean the same. What is
/// written out and what is left to its default are the same, the order of streams means
/// nothing, and the digest that the server pinned is not the document's.
pub fn diff(before: &DocumentSet, after: &DocumentSet) -> Vec<Change> {
    let (mut old, new) = (flat(before), flat(after));
    let mut changes = Vec::new();
    for (document, fields) in new {
        let was = old.remove(&document);
        let action = match was {
            Some(_) => ChangeAction::Update,
            None => ChangeAction::Create,
        };
        let fields = compare(was.unwrap_or_default(), fields);
        if action == ChangeAction::Create || !fields.is_empty() {
            changes.push(Change {
                document,
                action,
                fields,
            });
        }
    }
    changes.extend(old.into_keys().map(|document| Change {
        document,
        action: ChangeAction::Remove,
        fields: Vec::new(),
    }));
    changes
}

type Fields = BTreeMap<String, Value>;

fn flat(set: &DocumentSet) -> BTreeMap<DocumentKey, Fields> {
    let connections = set.connections.iter().map(|(id, connection)| {
        let unpinned = ConnectionSpec {
            digest: None,
            ..connection.clone()
        };
        (DocumentKey::Connection(id.clone()), fields(&unpinned))
    });
    let syncs = set
        .syncs
        .iter()
        .map(|(id, sync)| (DocumentKey::Sync(id.clone()), fields(sync)));
    let subscriptions = set.subscriptions.iter();
    let subscriptions =
        subscriptions.map(|(id, spec)| (DocumentKey::Subscription(id.clone()), fields(spec)));
    connections.chain(syncs).chain(subscriptions).collect()
}

fn fields(document: &impl Serialize) -> Fields {
    let value = serde_json::to_value(document).expect("documents are made of JSON types");
    let mut fields = Fields::new();
    flatten(value, String::new(), &mut fields);
    fields
}

/// Leaves by their path. Objects in a list are told apart by their name, not by their
/// place; other lists are leaves.
fn flatten(value: Value, path: String, fields: &mut Fields) {
    match value {
        Value::Object(members) if !members.is_empty() || path.is_empty() => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(value, format!("{path}{dot}{name}"), fields);
            }
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(has_name) => {
            for item in items {
                let name = item["name"].as_str().unwrap_or_default().to_owned();
                flatten(item, format!("{path}[{name}]"), fields);
            }
        }
        leaf => {
            fields.insert(path, leaf);
        }
    }
}

fn has_name(item: &Value) -> bool {
    item.get("name").is_some_and(Value::is_string)
}

fn compare(mut before: Fields, after: Fields) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    for (field, after) in after {
        let before = before.remove(&field);
        if before.as_ref() != Some(&after) {
            changes.push(FieldChange {
                field,
                before,
                after: Some(after),
            });
        }
    }
    changes.extend(before.into_iter().map(|(field, before)| FieldChange {
        field,
        before: Some(before),
        after: None,
    }));
    changes.sort_by(|one, other| one.field.cmp(&other.field));
    changes
}
