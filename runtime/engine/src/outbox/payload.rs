//! What is posted of an event, before a route cuts it.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tidegate_store::events::EventRow;

/// Characters of a message's id after `evt_`.
const ID_CHARS: usize = 32;

/// The event: who it is and what happened, and beside it what it says itself.
pub(super) fn of(event: &EventRow) -> Value {
    let mut members = own(event);
    let at_ms = i64::try_from(event.at_ms).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::MAX);
    for (name, value) in [
        ("id", json!(id_of(event, &members))),
        ("type", json!(event.event.kind)),
        ("timestamp", json!(at)),
        ("tenant", json!(event.tenant)),
        ("subject", json!(event.event.subject)),
    ] {
        members.insert(name.to_owned(), value);
    }
    Value::Object(members)
}

/// The id under which a receiver drops what it has: the same for every try, every
/// replay and, of what may be found twice, for every finding.
pub(super) fn id(event: &EventRow) -> String {
    id_of(event, &own(event))
}

fn own(event: &EventRow) -> Map<String, Value> {
    match serde_json::from_str(&event.event.body) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    }
}

fn id_of(event: &EventRow, members: &Map<String, Value>) -> String {
    if let Some(Value::String(id)) = members.get("id") {
        return id.clone();
    }
    // The number alone would come again after a backup was restored.
    let seed = format!(
        "event/{}/{}/{}/{}/{}",
        event.tenant, event.seq, event.at_ms, event.event.kind, event.event.subject
    );
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(seed));
    format!("evt_{}", &hash[..ID_CHARS])
}
