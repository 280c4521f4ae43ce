//! The org's feed as the streaming API wants it: what users changed, field by field.

use serde_json::{Map, Value};

use crate::control::Changed;
use crate::salesforce::cometd::{self, ChangeType, Order, StreamCounters};
use crate::salesforce::feed::Change;
use crate::salesforce::object::Object;
use crate::salesforce::org::Org;
use crate::salesforce::schema::{Field, FieldType, Schema, Source};
use crate::salesforce::values::Reading;
use crate::salesforce::wire_id::wire_text;

/// Changes made into events at a time.
const CHANGES_MAX: usize = 500;
/// The version whose addresses files have in events.
const VERSION: &str = "62.0";

/// The objects that are selected for change events.
pub(crate) fn entities() -> Vec<String> {
    let selected = Object::ALL.into_iter().filter(|object| {
        let abilities = object.abilities();
        abilities.writable && abilities.replicateable && *object != Object::Attachment
    });
    selected.map(|object| object.name().to_owned()).collect()
}

impl Org {
    /// Answers a request to the streaming API.
    pub(crate) async fn respond_streaming(
        &self,
        caller: cometd::Caller,
        cookies: &str,
        body: &[u8],
    ) -> cometd::Reply {
        let changes = |after| self.streamed(after);
        let call = cometd::Call {
            caller,
            cookies,
            body,
            org: cometd::Org {
                clock: &self.clock,
                changes: &changes,
            },
        };
        self.streaming.respond(call).await
    }

    /// Does what is ordered of the streaming API; false where it has no such channel.
    pub(crate) fn stream(&self, order: Order) -> bool {
        let changes = |after| self.streamed(after);
        let org = cometd::Org {
            clock: &self.clock,
            changes: &changes,
        };
        self.streaming.order(order, org)
    }

    pub(crate) fn stream_counters(&self) -> StreamCounters {
        self.streaming.counters()
    }

    /// The changes after a number, each with its own. What the system itself changed,
    /// so that no field of it is a user's, makes no event.
    fn streamed(&self, after: u64) -> Vec<(u64, Option<cometd::Change>)> {
        let changes = self.feed.after(after, CHANGES_MAX);
        let events = changes
            .iter()
            .map(|change| (change.number, self.event(change)));
        events.collect()
    }

    fn event(&self, change: &Change) -> Option<cometd::Change> {
        let change_type = match change.kind {
            Changed::Edited if change.columns.is_empty() => return None,
            Changed::Created => ChangeType::Create,
            Changed::Edited => ChangeType::Update,
            Changed::Deleted => ChangeType::Delete,
            Changed::Undeleted => ChangeType::Undelete,
        };
        let collection = self.collection(change.object);
        let schema = collection.schema();
        let fields = collection
            .records
            .with_version(change.id, change.modified_ms, |view| {
                let reading = Reading {
                    org: self,
                    schema: &schema,
                    view,
                };
                written(&reading, &schema, change)
            });
        let user = self.integration_user();
        Some(cometd::Change {
            entity: change.object.name().to_owned(),
            record_ids: vec![wire_text(change.object.prefix(), change.id)],
            change_type,
            fields: fields.unwrap_or_default(),
            commit_ms: change.committed_ms,
            user_id: wire_text(Object::User.prefix(), user),
        })
    }
}

/// The fields that a change wrote, or all with a value of a record that is new or back;
/// parts of a compound by its name and their own.
fn written(reading: &Reading<'_>, schema: &Schema, change: &Change) -> Map<String, Value> {
    let update = change.kind == Changed::Edited;
    let mut fields = Map::new();
    for field in schema.fields().filter(|field| is_streamed(field)) {
        let stamp = field.source == Source::LastModified;
        if update && !stamp && !change.columns.contains(&field.column) {
            continue;
        }
        let value = value(reading, field);
        if update || !value.is_null() {
            fields.insert(name(field), value);
        }
    }
    fields
}

/// Ids are in the header; compounds come in their parts; system fields do not come.
fn is_streamed(field: &Field) -> bool {
    let compound = matches!(
        field.source,
        Source::Address(_) | Source::Location(_) | Source::PersonName
    );
    let system = matches!(
        field.source,
        Source::Id | Source::IsDeleted | Source::SystemModstamp
    );
    !compound && !system && field.field_type != FieldType::Base64
}

fn value(reading: &Reading<'_>, field: &Field) -> Value {
    let mut out = Vec::new();
    reading.json(field, VERSION, &mut out);
    match serde_json::from_slice(&out) {
        Ok(Value::String(text)) if field.field_type == FieldType::DateTime => {
            Value::String(text.replace("+0000", "Z"))
        }
        value => value.unwrap_or_default(),
    }
}

/// `Phone`, `BillingAddress.City`, `Name.LastName`.
fn name(field: &Field) -> String {
    let Some(compound) = field.compound else {
        return field.name.clone();
    };
    let prefix = compound.trim_end_matches("Address");
    let part = field.name.strip_prefix(prefix).unwrap_or(&field.name);
    format!("{compound}.{part}")
}
