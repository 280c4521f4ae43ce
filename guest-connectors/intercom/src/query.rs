//! Searches by time of update, which Intercom compares by day.

use serde_json::{Value, json};

/// A query for what was updated at or after `since_s`, and, where that is set, not
/// after the day of `before_s`; both seconds since the epoch.
///
/// Search cuts a time down to midnight of its day in the workspace's zone: ">" begins
/// at the next midnight, and "=" is the whole day. Both together begin at the midnight
/// before `since_s`, whatever the zone; what is older than `since_s` is left out by the
/// floor of the extraction.
pub(crate) fn updated(since_s: u64, before_s: Option<u64>) -> Value {
    let day = |operator: &str, at_s: u64| json!({"field": "updated_at", "operator": operator, "value": at_s});
    let from = json!({"operator": "OR", "value": [day(">", since_s), day("=", since_s)]});
    match before_s {
        None => from,
        Some(before_s) => {
            let to = json!({"operator": "OR", "value": [day("<", before_s), day("=", before_s)]});
            json!({"operator": "AND", "value": [from, to]})
        }
    }
}

/// The body of a search, oldest update first: who is edited meanwhile moves to the end
/// and is read again.
pub(crate) fn page(query: &Value, per_page: u32, token: Option<&str>) -> Value {
    let mut pagination = json!({"per_page": per_page});
    if let Some(token) = token {
        pagination["starting_after"] = json!(token);
    }
    json!({
        "query": query,
        "pagination": pagination,
        "sort": {"field": "updated_at", "order": "ascending"}
    })
}
