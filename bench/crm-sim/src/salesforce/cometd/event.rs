//! The shapes of events: changes of records, platform events, the results of stored
//! queries, generic events.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::generate::mix;

/// What happened to records, in the words of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ChangeType {
    Create,
    Update,
    Delete,
    Undelete,
    GapCreate,
    GapUpdate,
    GapDelete,
    GapUndelete,
    GapOverflow,
}

impl ChangeType {
    pub(crate) fn wire(self) -> &'static str {
        match self {
            ChangeType::Create => "CREATE",
            ChangeType::Update => "UPDATE",
            ChangeType::Delete => "DELETE",
            ChangeType::Undelete => "UNDELETE",
            ChangeType::GapCreate => "GAP_CREATE",
            ChangeType::GapUpdate => "GAP_UPDATE",
            ChangeType::GapDelete => "GAP_DELETE",
            ChangeType::GapUndelete => "GAP_UNDELETE",
            ChangeType::GapOverflow => "GAP_OVERFLOW",
        }
    }

    /// The same without the values, as when the platform could not form the event.
    pub(crate) fn gap(self) -> ChangeType {
        match self {
            ChangeType::Create => ChangeType::GapCreate,
            ChangeType::Update => ChangeType::GapUpdate,
            ChangeType::Delete => ChangeType::GapDelete,
            ChangeType::Undelete => ChangeType::GapUndelete,
            gap => gap,
        }
    }

    /// Whether the event holds values of fields.
    fn has_values(self) -> bool {
        matches!(
            self,
            ChangeType::Create | ChangeType::Update | ChangeType::Undelete
        )
    }

    /// The word of a stored query's event.
    pub(crate) fn topic_word(self) -> &'static str {
        match self {
            ChangeType::Create | ChangeType::GapCreate => "created",
            ChangeType::Delete | ChangeType::GapDelete => "deleted",
            ChangeType::Undelete | ChangeType::GapUndelete => "undeleted",
            ChangeType::Update | ChangeType::GapUpdate | ChangeType::GapOverflow => "updated",
        }
    }
}

/// A committed change of a record, or of several by one transaction.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// `Account`, `Thing__c`.
    pub(crate) entity: String,
    /// As they stand on the wire.
    pub(crate) record_ids: Vec<String>,
    pub(crate) change_type: ChangeType,
    /// Fields with their values: the changed ones of an update, those with a value of a
    /// creation. A part of a compound is `BillingAddress.City`.
    pub(crate) fields: Map<String, Value>,
    /// Milliseconds since the epoch.
    pub(crate) commit_ms: i64,
    pub(crate) user_id: String,
}

/// The `data` of a change event.
pub(crate) fn change(change: &Change, commit_number: u64, replay_id: u64) -> Value {
    let hash = mix(commit_number);
    let update = change.change_type == ChangeType::Update;
    let written = change.fields.iter().filter(|_| update);
    let changed: Vec<&String> = written.clone().map(|(name, _)| name).collect();
    let nulled: Vec<&String> = written
        .filter(|(_, value)| value.is_null())
        .map(|(name, _)| name)
        .collect();
    let mut payload = Map::new();
    payload.insert(
        "ChangeEventHeader".to_owned(),
        json!({
            "entityName": change.entity,
            "recordIds": change.record_ids,
            "changeType": change.change_type.wire(),
            "changeOrigin": "com/salesforce/api/rest/62.0",
            "transactionKey": format!("{:08x}-{:04x}-{:04x}-{:012x}", hash >> 32, (hash >> 16) & 0xffff, hash & 0xffff, mix(hash) >> 16),
            "sequenceNumber": 1,
            "commitTimestamp": change.commit_ms,
            "commitNumber": commit_number,
            "commitUser": change.user_id,
            "nulledFields": nulled,
            "diffFields": [],
            "changedFields": changed,
        }),
    );
    if change.change_type.has_values() {
        // Nulls are in the header of an update, and nowhere in a creation.
        for (name, value) in change.fields.iter().filter(|(_, value)| !value.is_null()) {
            match name.split_once('.') {
                None => payload.insert(name.clone(), value.clone()),
                Some((compound, part)) => {
                    let nested = payload.entry(compound).or_insert_with(|| json!({}));
                    nested[part] = value.clone();
                    continue;
                }
            };
        }
    }
    json!({
        "schema": schema(&change.entity),
        "payload": payload,
        "event": {"replayId": replay_id},
    })
}

/// The `data` of a platform event.
pub(crate) fn platform(
    name: &str,
    fields: &Map<String, Value>,
    created: &str,
    user_id: &str,
    replay_id: u64,
) -> Value {
    let mut payload = fields.clone();
    payload.insert("CreatedDate".to_owned(), json!(created));
    payload.insert("CreatedById".to_owned(), json!(user_id));
    let hash = mix(replay_id);
    json!({
        "schema": schema(name),
        "payload": payload,
        "event": {
            "replayId": replay_id,
            "EventUuid": format!("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", hash >> 32, (hash >> 16) & 0xffff, hash & 0xfff, mix(hash) >> 52, mix(hash) & 0xffff_ffff_ffff),
        },
    })
}

/// The `data` of an event of a stored query: the selected fields of one record.
pub(crate) fn topic(
    word: &str,
    record: Map<String, Value>,
    created: &str,
    replay_id: u64,
) -> Value {
    json!({
        "event": {"createdDate": created, "replayId": replay_id, "type": word},
        "sobject": record,
    })
}

/// The `data` of a generic event.
pub(crate) fn generic(payload: &Value, created: &str, replay_id: u64) -> Value {
    json!({"payload": payload, "event": {"createdDate": created, "replayId": replay_id}})
}

/// A schema's id: opaque, one for each entity.
fn schema(entity: &str) -> String {
    let hash = entity
        .bytes()
        .fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    data_encoding::BASE64URL_NOPAD.encode(&[hash.to_be_bytes(), mix(hash).to_be_bytes()].concat())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::{Change, ChangeType, change};

    fn changed(change_type: ChangeType) -> Change {
        let fields = json!({"Name": "Acme", "Phone": null});
        Change {
            entity: "Account".to_owned(),
            record_ids: vec!["001000000000001AAA".to_owned()],
            change_type,
            fields: fields.as_object().unwrap().clone(),
            commit_ms: 1_790_000_000_000,
            user_id: "005000000000001AAA".to_owned(),
        }
    }

    #[test]
    fn an_update_names_what_changed_and_what_was_emptied() {
        let data = change(&changed(ChangeType::Update), 7, 42);
        let header = &data["payload"]["ChangeEventHeader"];
        assert_eq!(header["changedFields"], json!(["Name", "Phone"]));
        assert_eq!(header["nulledFields"], json!(["Phone"]));
        assert_eq!(header["commitTimestamp"], 1_790_000_000_000_i64);
        assert_eq!(data["payload"]["Name"], "Acme");
        assert_eq!(data["payload"].get("Phone"), None);
        assert_eq!(data["event"], json!({"replayId": 42}));
    }

    #[test]
    fn a_creation_leaves_empty_fields_out_and_names_none() {
        let data = change(&changed(ChangeType::Create), 7, 42);
        assert_eq!(
            data["payload"]["ChangeEventHeader"]["changedFields"],
            json!([])
        );
        assert_eq!(data["payload"]["Name"], "Acme");
        assert_eq!(data["payload"].get("Phone"), None);
    }

    #[test]
    fn deletions_and_gaps_hold_no_values() {
        for change_type in [ChangeType::Delete, ChangeType::Update.gap()] {
            let data = change(&changed(change_type), 7, 42);
            let payload = data["payload"].as_object().unwrap();
            assert_eq!(payload.len(), 1, "{change_type:?}");
            assert_eq!(
                payload["ChangeEventHeader"]["changeType"],
                change_type.wire()
            );
        }
    }
}
