//! Rows for deleted records of which only the key is known.

use crate::source::StreamInfo;
use bytes::Bytes;
use serde_json::{Map, Value};
use tidegate_domain::record::Operation;
use tidegate_landing::cut::Summary;
use tidegate_landing::page::{Page, Row, Text};
use tidegate_landing::rfc3339;

/// Joins the parts of a key (the contract's separator).
const SEPARATOR: char = '\u{1f}';

/// One delete for each key. A row carries the fields of its primary key, in the
/// types that the stream's schema gives them, and nothing else.
pub(crate) fn page(
    stream: &StreamInfo,
    keys: &[String],
    at_ms: Option<u64>,
    extracted_at_ms: u64,
) -> Result<(Page, Summary), String> {
    let fields: Vec<Field> = fields(stream)?;
    let version = at_ms.map(|at_ms| version(stream, at_ms));
    let (mut body, mut side, mut rows) = (Vec::new(), String::new(), Vec::new());
    for key in keys {
        let record_at = position(body.len())?;
        let record = record(&fields, key)?;
        body.extend_from_slice(record.as_bytes());
        let key_at = position(side.len())?;
        side.push_str(key);
        let version_at = position(side.len())?;
        side.push_str(version.as_deref().unwrap_or_default());
        rows.push(Row {
            record: record_at..position(body.len())?,
            key: Text::Side(key_at..version_at),
            version: match &version {
                Some(_) => Some(Text::Side(version_at..position(side.len())?)),
                None => None,
            },
            operation: Operation::Delete,
        });
    }
    let records = position(rows.len())?;
    let summary = Summary {
        records,
        bytes: body.len() as u64,
        deletes: records,
        first_key: keys.first().cloned(),
        last_key: keys.last().cloned(),
        min_cursor: version.clone(),
        max_cursor: version,
        ..Summary::default()
    };
    let page = Page {
        body: Bytes::from(body),
        side: Bytes::from(side),
        rows,
        rejected: Vec::new(),
        extracted_at_ms,
        table: None,
    };
    Ok((page, summary))
}

/// A time in the form of the stream's cursor, so that a reader can order a delete among
/// the versions of its record.
fn version(stream: &StreamInfo, at_ms: u64) -> String {
    let schema: Value = serde_json::from_str(&stream.schema).unwrap_or_default();
    let cursor = stream.cursor_field.as_deref().map(path);
    match cursor {
        Some(cursor) if !is_number(&schema, &cursor) => rfc3339(at_ms),
        _ => at_ms.to_string(),
    }
}

fn path(pointer: &str) -> Vec<String> {
    let names = pointer.split('/').skip(1);
    names
        .map(|name| name.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// A field of the primary key: the names on the way to it, and whether it is a
/// number.
struct Field {
    path: Vec<String>,
    is_number: bool,
}

fn fields(stream: &StreamInfo) -> Result<Vec<Field>, String> {
    if stream.primary_key.is_empty() {
        return Err(format!(
            "stream {} has no primary key to delete by",
            stream.name
        ));
    }
    let schema: Value = serde_json::from_str(&stream.schema).unwrap_or_default();
    let field = |pointer: &String| {
        let path = path(pointer);
        if path.is_empty() {
            return Err(format!("{pointer:?} names no field of the primary key"));
        }
        let is_number = is_number(&schema, &path);
        Ok(Field { path, is_number })
    };
    stream.primary_key.iter().map(field).collect()
}

fn is_number(schema: &Value, path: &[String]) -> bool {
    let field = path
        .iter()
        .try_fold(schema, |at, name| at.get("properties")?.get(name));
    let numeric = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number"));
    match field.and_then(|field| field.get("type")) {
        Some(Value::Array(kinds)) => {
            kinds.iter().any(numeric) && !kinds.iter().any(|kind| kind == "string")
        }
        Some(kind) => numeric(kind),
        None => false,
    }
}

fn record(fields: &[Field], key: &str) -> Result<String, String> {
    let parts: Vec<&str> = key.split(SEPARATOR).collect();
    if parts.len() != fields.len() {
        return Err(format!(
            "a key has {} parts, the stream's has {}",
            parts.len(),
            fields.len()
        ));
    }
    let mut record = Map::new();
    for (field, part) in fields.iter().zip(parts) {
        let number = serde_json::from_str(part).ok().filter(Value::is_number);
        let value = match number {
            Some(number) if field.is_number => number,
            _ => Value::String(part.to_owned()),
        };
        put(&mut record, &field.path, value);
    }
    Ok(Value::Object(record).to_string())
}

fn put(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            object.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = object
                .entry(name.clone())
                .or_insert_with(|| Map::new().into());
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn position(at: usize) -> Result<u32, String> {
    u32::try_from(at).map_err(|_| "too many keys at once".to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn stream(primary_key: &[&str]) -> StreamInfo {
        StreamInfo {
            name: "rows".to_owned(),
            schema: r#"{"properties":{"n":{"type":["null","integer"]},"a":{"properties":{"id":{"type":"string"}}}}}"#.to_owned(),
            primary_key: primary_key.iter().map(|part| (*part).to_owned()).collect(),
            ..StreamInfo::default()
        }
    }

    #[test]
    fn a_tombstone_carries_its_key_in_the_types_of_the_schema() {
        let keys = ["7\u{1f}x\"y".to_owned(), "8\u{1f}z".to_owned()];
        let (page, summary) = page(&stream(&["/n", "/a/id"]), &keys, Some(5), 9).unwrap();
        let mut scratch = tidegate_landing::page::Scratch::default();
        let texts: Vec<Vec<u8>> = page
            .rows
            .iter()
            .map(|row| page.record(&row.record, &mut scratch).to_vec())
            .collect();
        assert_eq!(
            texts,
            [
                br#"{"a":{"id":"x\"y"},"n":7}"#.to_vec(),
                br#"{"a":{"id":"z"},"n":8}"#.to_vec()
            ]
        );
        assert_eq!(page.text(&page.rows[1].key), "8\u{1f}z");
        assert_eq!(
            page.rows[1].version.as_ref().map(|text| page.text(text)),
            Some("5")
        );
        assert_eq!(
            (summary.deletes, summary.last_key.as_deref()),
            (2, Some("8\u{1f}z"))
        );
    }

    #[test]
    fn a_tombstone_s_version_has_the_form_of_the_stream_s_cursor() {
        let version = |cursor: Option<&str>| {
            let stream = StreamInfo {
                cursor_field: cursor.map(str::to_owned),
                ..stream(&["/a/id"])
            };
            let (page, summary) = page(&stream, &["1".to_owned()], Some(1_500), 9).unwrap();
            let version = page.rows[0]
                .version
                .as_ref()
                .map(|text| page.text(text).to_owned());
            assert_eq!(version, summary.max_cursor);
            version.unwrap()
        };
        assert_eq!(version(Some("/changed")), "1970-01-01T00:00:01.500Z");
        assert_eq!(version(Some("/n")), "1500");
        assert_eq!(version(None), "1500");
    }

    #[test]
    fn keys_that_do_not_fit_the_primary_key_are_refused() {
        assert!(page(&stream(&["/n"]), &["1\u{1f}2".to_owned()], None, 0).is_err());
        assert!(page(&stream(&[]), &["1".to_owned()], None, 0).is_err());
        assert!(page(&stream(&[""]), &["1".to_owned()], None, 0).is_err());
    }
}
