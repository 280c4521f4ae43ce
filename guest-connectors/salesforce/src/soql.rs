//! The text of queries.

use tidegate_sdk::rfc3339_seconds;

use crate::Slice;

/// Bytes of a query in a URL: Salesforce refuses URIs of more than 16,384.
const ENCODED_BYTES_MAX: usize = 15_500;
/// Ids of one query; its records are one page in any case.
const IDS_AT_ONCE_MAX: usize = 200;

/// A query for the records of a slice, behind an id where one is given.
pub(crate) struct Query<'a> {
    pub(crate) object: &'a str,
    pub(crate) fields: &'a [String],
    pub(crate) slice: &'a Slice,
    pub(crate) after: Option<&'a str>,
}

impl Query<'_> {
    /// In the order of ids, for pages. A record that is edited meanwhile leaves the slice
    /// and moves none of the others, and equal times do not matter.
    pub(crate) fn ordered(&self) -> String {
        format!("{} ORDER BY Id", self.unordered())
    }

    /// In no order: one would keep Bulk from reading in parts.
    pub(crate) fn unordered(&self) -> String {
        let mut conditions = bounds(self.slice);
        if self.slice.flagged && self.slice.history {
            conditions.push("IsDeleted = false".to_owned());
        }
        if let Some(after) = self.after {
            conditions.push(format!("Id > '{after}'"));
        }
        let fields = self.fields.join(",");
        select(&fields, self.object, &conditions)
    }

    /// Whether the ordered form fits into a URL.
    pub(crate) fn fits_url(&self) -> bool {
        encoded_bytes(&self.ordered()) <= ENCODED_BYTES_MAX
    }
}

fn encoded_bytes(text: &str) -> usize {
    let encoded = |byte: u8| {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            1
        } else {
            3
        }
    };
    text.bytes().map(encoded).sum()
}

/// Records by their ids, deleted ones among them.
pub(crate) fn by_ids(object: &str, fields: &[String], ids: &[String]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    let condition = format!("Id IN ({})", ids.join(","));
    let query = select(&fields.join(","), object, &[condition]);
    format!("{query} ORDER BY Id")
}

/// How many ids fit into the URL of such a query; none where the fields leave no room.
pub(crate) fn ids_at_once(object: &str, fields: &[String]) -> usize {
    const ID_BYTES: usize = 18 + 3 * 3; // quotes and a comma, encoded
    let room = ENCODED_BYTES_MAX.saturating_sub(encoded_bytes(&by_ids(object, fields, &[])));
    (room / ID_BYTES).min(IDS_AT_ONCE_MAX)
}

/// How many records a slice has.
pub(crate) fn count(object: &str, slice: &Slice) -> String {
    select("COUNT()", object, &bounds(slice))
}

/// The earliest record of a slice.
pub(crate) fn earliest(object: &str, field: &str, slice: &Slice) -> String {
    let query = select(field, object, &bounds(slice));
    format!("{query} ORDER BY {field} LIMIT 1")
}

fn select(fields: &str, object: &str, conditions: &[String]) -> String {
    let mut text = format!("SELECT {fields} FROM {object}");
    if !conditions.is_empty() {
        text.push_str(" WHERE ");
        text.push_str(&conditions.join(" AND "));
    }
    text
}

fn bounds(slice: &Slice) -> Vec<String> {
    let Some(field) = &slice.field else {
        return Vec::new();
    };
    let mut bounds = Vec::new();
    if slice.since > 0 {
        bounds.push(format!("{field} >= {}", rfc3339_seconds(slice.since)));
    }
    bounds.push(format!("{field} < {}", rfc3339_seconds(slice.until)));
    bounds
}
