//! Cutting records out of a body, by the same rules as the real host.

use std::{cmp::Ordering, collections::BTreeMap};

use serde_json::{Map, Value};

use super::{order, platform::Emitted, pointer};
use crate::{Change, CursorOrder, EmitFault, Extraction, Format, Pairs, Summary, rfc3339};

/// Parts of a composite key are joined with the unit separator.
const KEY_SEPARATOR: &str = "\u{1f}";

/// The records of a body, and the summary of all its elements. `since` is the
/// lower bound of the read.
pub(super) fn records(
    stream: &str,
    body: &[u8],
    how: &Extraction,
    since: Option<u64>,
) -> Result<(Vec<Emitted>, Summary), EmitFault> {
    let mut summary = Summary::default();
    let mut records = Vec::new();
    for element in elements(body, how)? {
        let record = match &how.pairs {
            Some(pairs) => object_of_pairs(element, pairs)?,
            None => element,
        };
        if let Some(present) = &how.present
            && find(&record, present)?.is_none_or(Value::is_null)
        {
            summary.skipped += 1;
            continue;
        }
        let cursor = match &how.cursor {
            Some((pointer, _)) => find(&record, pointer)?.and_then(text),
            None => None,
        };
        if below_floor(cursor.as_deref(), how) {
            summary.skipped += 1;
            continue;
        }
        if let (Some(cursor), Some((_, order))) = (&cursor, &how.cursor) {
            extend(&mut summary, cursor, *order);
        }
        let Some(key) = key_of(&record, &how.key)? else {
            summary.rejected += 1;
            continue;
        };
        let change = change_of(&record, how, since)?;
        if !how.key.is_empty() {
            summary.first_key.get_or_insert_with(|| key.clone());
            summary.last_key = Some(key.clone());
        }
        summary.records += 1;
        summary.deletes += u32::from(change == Change::Delete);
        summary.bytes += record.to_string().len() as u64;
        let record = projected(record, &how.project)?;
        records.push(Emitted {
            stream: stream.to_owned(),
            change,
            key,
            cursor,
            record,
        });
    }
    Ok((records, summary))
}

fn elements(body: &[u8], how: &Extraction) -> Result<Vec<Value>, EmitFault> {
    match how.format {
        Format::Json => {
            let document = parsed(body)?;
            match find(&document, &how.records)? {
                Some(Value::Array(elements)) => Ok(elements.clone()),
                Some(record @ Value::Object(_)) => Ok(vec![record.clone()]),
                Some(Value::Null) => Ok(Vec::new()),
                _ => Err(EmitFault::Malformed(format!(
                    "no records at {:?}",
                    how.records
                ))),
            }
        }
        Format::Ndjson => {
            let lines = body.split(|byte| *byte == b'\n');
            lines
                .filter(|line| !line.trim_ascii().is_empty())
                .map(parsed)
                .collect()
        }
        Format::Csv => csv::Reader::from_reader(body)
            .deserialize::<BTreeMap<String, String>>()
            .map(|row| row.map_err(|error| EmitFault::Malformed(error.to_string())))
            .map(|row| {
                // CSV has no null of its own.
                let filled = |text: String| (!text.is_empty()).then_some(text);
                let row = row?.into_iter().map(|(name, text)| (name, filled(text)));
                Ok(serde_json::json!(row.collect::<BTreeMap<_, _>>()))
            })
            .collect(),
    }
}

fn parsed(json: &[u8]) -> Result<Value, EmitFault> {
    serde_json::from_slice(json).map_err(|error| EmitFault::Malformed(error.to_string()))
}

fn find<'a>(value: &'a Value, pointer: &str) -> Result<Option<&'a Value>, EmitFault> {
    pointer::find(value, pointer).map_err(EmitFault::Malformed)
}

/// Strings without quotes, numbers and booleans as JSON writes them.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn key_of(record: &Value, pointers: &[String]) -> Result<Option<String>, EmitFault> {
    let mut parts = Vec::new();
    for pointer in pointers {
        match find(record, pointer)?.and_then(text) {
            Some(part) if pointers.len() > 1 || !part.is_empty() => parts.push(part),
            _ => return Ok(None),
        }
    }
    Ok(Some(parts.join(KEY_SEPARATOR)))
}

fn below_floor(cursor: Option<&str>, how: &Extraction) -> bool {
    match (cursor, &how.floor, &how.cursor) {
        (Some(cursor), Some(floor), Some((_, order))) => {
            order::compare(cursor, floor, *order) == Ordering::Less
        }
        _ => false,
    }
}

fn change_of(record: &Value, how: &Extraction, since: Option<u64>) -> Result<Change, EmitFault> {
    if let Some(pointer) = &how.deleted
        && find(record, pointer)?
            .and_then(text)
            .is_some_and(|flag| flag.eq_ignore_ascii_case("true"))
    {
        return Ok(Change::Delete);
    }
    let (Some(pointer), Some(since)) = (&how.created, since) else {
        return Ok(how.kind);
    };
    let Some(created) = find(record, pointer)?.and_then(text) else {
        return Ok(how.kind);
    };
    let before = order::compare(&created, &rfc3339(since), CursorOrder::Timestamp);
    Ok(if before == Ordering::Less {
        Change::Update
    } else {
        Change::Create
    })
}

fn extend(summary: &mut Summary, cursor: &str, order: CursorOrder) {
    let passes = |bound: &Option<String>, side: Ordering| match bound {
        Some(bound) => order::compare(cursor, bound, order) == side,
        None => true,
    };
    if passes(&summary.min_cursor, Ordering::Less) {
        summary.min_cursor = Some(cursor.to_owned());
    }
    if passes(&summary.max_cursor, Ordering::Greater) {
        summary.max_cursor = Some(cursor.to_owned());
    }
}

fn object_of_pairs(mut record: Value, pairs: &Pairs) -> Result<Value, EmitFault> {
    let mut object = Map::new();
    let list = find(&record, &pairs.at)?.and_then(Value::as_array);
    for pair in list.into_iter().flatten() {
        if let Some(name) = find(pair, &pairs.name)?.and_then(text) {
            object.insert(name, find(pair, &pairs.value)?.cloned().unwrap_or_default());
        }
    }
    if let Some(place) = record.pointer_mut(&pairs.at) {
        *place = Value::Object(object);
    }
    Ok(record)
}

fn projected(record: Value, pointers: &[String]) -> Result<Value, EmitFault> {
    if pointers.is_empty() {
        return Ok(record);
    }
    let mut kept = Value::Object(Map::new());
    for pointer in pointers {
        let Some(value) = find(&record, pointer)? else {
            continue;
        };
        let mut place = &mut kept;
        for step in pointer.split('/').skip(1) {
            place = &mut place[step.replace("~1", "/").replace("~0", "~")];
        }
        *place = value.clone();
    }
    Ok(kept)
}
