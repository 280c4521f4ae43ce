//! Reading records: queries and their pages, single records, files.

use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::call::Call;
use super::reply::{Content, Reply};
use crate::meter::add;
use crate::records::{Snapshot, View};
use crate::salesforce::object::Object;
use crate::salesforce::org::Collection;
use crate::salesforce::problem::Problem;
use crate::salesforce::schema::describe::http_date;
use crate::salesforce::schema::{Field, FieldType, Schema};
use crate::salesforce::soql::{
    Flavour, Found, Place, Query, compile, json_field, json_row, open_record,
};
use crate::salesforce::values::Reading;
use crate::salesforce::wire_id::{parse_wire_id, wire_text};
use crate::salesforce::write;

/// Records of a page, unless the client asks for fewer.
const BATCH_DEFAULT: u64 = 2000;
const BATCH_MIN: u64 = 200;
/// The generous size of one rendered record, for reserving buffers.
const RECORD_BYTES: usize = 500;

/// `GET .../query` and `.../queryAll`: the first page.
pub(super) fn first(call: &Call, all_rows: bool) -> Result<Reply, Problem> {
    let text = call.parameter("q")?;
    let query = compile(&call.org, text, all_rows, Flavour::Rest)?;
    if query.counts {
        let found = Found::new(&call.org, query, Snapshot::NOW);
        return Ok(Reply::value(
            200,
            &json!({"totalSize": found.total, "done": true, "records": []}),
        ));
    }
    if !query.aggregates.is_empty() {
        return Ok(aggregates(call, query));
    }
    let found = Arc::new(Found::new(&call.org, query, Snapshot::NOW));
    Ok(page(call, &found, Place::default(), None))
}

/// `GET .../query/01g...-2000`: a further page.
pub(super) fn more(call: &Call, locator: &str) -> Result<Reply, Problem> {
    let found = call
        .org
        .cursors
        .find(locator, &call.user, call.version(), call.now_ms());
    let (cursor, found, place) = found.ok_or_else(Problem::invalid_locator)?;
    Ok(page(call, &found, place, Some(cursor)))
}

fn page(call: &Call, found: &Arc<Found>, place: Place, cursor: Option<String>) -> Reply {
    let limit = batch_size(call).min(call.keep).max(1);
    let reserved = usize::try_from(limit.min(found.total)).unwrap_or(0);
    let mut rows = Vec::with_capacity(reserved * RECORD_BYTES);
    let (shown, next) = found.page(&call.org, place, limit, |reading| {
        if !rows.is_empty() {
            rows.push(b',');
        }
        json_row(&found.query, reading, call.version(), &mut rows);
    });
    add(&call.org.meter.records, shown);
    let total = found.total;
    let mut out = Vec::with_capacity(rows.len() + 256);
    match next {
        None => out.extend_from_slice(format!("{{\"totalSize\":{total},\"done\":true").as_bytes()),
        Some(next) => {
            let cursors = &call.org.cursors;
            let cursor = cursor.unwrap_or_else(|| {
                let found = Arc::clone(found);
                cursors.open(found, &call.user, call.version(), call.now_ms())
            });
            cursors.reach(&cursor, next);
            out.extend_from_slice(
                format!(
                    "{{\"totalSize\":{total},\"done\":false,\"nextRecordsUrl\":\"/services/data/v{}/query/{cursor}-{}\"",
                    call.version(),
                    next.served
                )
                .as_bytes(),
            );
        }
    }
    out.extend_from_slice(b",\"records\":[");
    out.extend_from_slice(&rows);
    out.extend_from_slice(b"]}");
    Reply::json(200, out)
}

/// What `Sforce-Query-Options: batchSize=500` asks for.
fn batch_size(call: &Call) -> u64 {
    call.header("sforce-query-options")
        .and_then(|options| {
            let (_, value) = options.split_once("batchSize=")?;
            let digits = value.split(|character: char| !character.is_ascii_digit());
            digits.into_iter().next()?.parse().ok()
        })
        .map_or(BATCH_DEFAULT, |size: u64| {
            size.clamp(BATCH_MIN, BATCH_DEFAULT)
        })
}

/// `COUNT(Id)`, `MIN(...)` and `MAX(...)` over all matches.
fn aggregates(call: &Call, query: Query) -> Reply {
    let found = Found::new(&call.org, query, Snapshot::NOW);
    let query = &found.query;
    let mut results: Vec<Option<(String, Value)>> = vec![None; query.aggregates.len()];
    let mut counts = vec![0_u64; query.aggregates.len()];
    let mut scratch = Vec::new();
    found.page(&call.org, Place::default(), u64::MAX, |reading| {
        for (place, aggregate) in query.aggregates.iter().enumerate() {
            let field = query.schema.at(aggregate.column);
            scratch.clear();
            if !reading.text(field, &mut scratch) {
                continue;
            }
            counts[place] += 1;
            let text = String::from_utf8_lossy(&scratch).into_owned();
            let better = match &results[place] {
                None => true,
                Some((best, _)) => {
                    let less = match (text.parse::<f64>(), best.parse::<f64>()) {
                        (Ok(value), Ok(best)) if field.is_bare() => value < best,
                        _ => text < *best,
                    };
                    less == (aggregate.function == "MIN")
                }
            };
            if better {
                let value = json_value(reading, field, call.version());
                results[place] = Some((text, value));
            }
        }
    });
    let mut record = Map::new();
    record.insert("attributes".to_owned(), json!({"type": "AggregateResult"}));
    for ((aggregate, best), count) in query.aggregates.iter().zip(results).zip(counts) {
        let value = match aggregate.function.as_str() {
            "COUNT" => json!(count),
            _ => best.map_or(Value::Null, |(_, value)| value),
        };
        record.insert(aggregate.name.clone(), value);
    }
    Reply::value(
        200,
        &json!({"totalSize": 1, "done": true, "records": [record]}),
    )
}

fn json_value(reading: &Reading<'_>, field: &Field, version: &str) -> Value {
    let mut out = Vec::new();
    reading.json(field, version, &mut out);
    serde_json::from_slice(&out).unwrap_or(Value::Null)
}

/// The number that an id in a path names, if it is one of this object.
pub(super) fn number(collection: &Collection, id: &str) -> Result<u64, Problem> {
    match parse_wire_id(id) {
        Some((prefix, number)) if prefix == collection.object.prefix() => Ok(number),
        _ => Err(Problem::not_found()),
    }
}

/// Renders a live record with these fields; `None` if there is no such record.
pub(super) fn rendered(
    call: &Call,
    collection: &Collection,
    number: u64,
    fields: &[u16],
    schema: &Schema,
) -> Option<(Vec<u8>, i64)> {
    let show = |view: View<'_>| {
        if view.archived_ms.is_some() {
            return None;
        }
        let reading = Reading {
            org: &call.org,
            schema,
            view,
        };
        let mut out = Vec::with_capacity(2 * RECORD_BYTES);
        open_record(collection.object, number, call.version(), &mut out);
        for column in fields {
            json_field(&reading, schema.at(*column), call.version(), &mut out);
        }
        out.push(b'}');
        Some((out, view.row.modified_ms))
    };
    collection.records.with_view(number, show).flatten()
}

/// The columns that `fields=A,B` names, or all of them.
pub(super) fn named_columns(schema: &Schema, names: Option<&str>) -> Result<Vec<u16>, Problem> {
    let Some(names) = names else {
        return Ok(schema.fields().map(|field| field.column).collect());
    };
    let columns = names.split(',').map(|name| {
        let name = name.trim();
        schema
            .column(name)
            .ok_or_else(|| Problem::no_such_column(name, schema.object.name(), ""))
    });
    columns.collect()
}

/// `GET .../sobjects/{object}/{id}`.
pub(super) fn record(call: &Call, name: &str, id: &str) -> Result<Reply, Problem> {
    let collection = call.collection(name)?;
    let number = number(collection, id)?;
    one(call, collection, number)
}

fn one(call: &Call, collection: &Collection, number: u64) -> Result<Reply, Problem> {
    let schema = collection.schema();
    let names = call.query.get("fields").map(String::as_str);
    let columns = named_columns(&schema, names)?;
    let found = rendered(call, collection, number, &columns, &schema);
    let (body, modified_ms) = found.ok_or_else(Problem::not_found)?;
    add(&call.org.meter.records, 1);
    let tag = HEXLOWER.encode(&Sha256::digest(&body)[..16]);
    let reply = Reply::json(200, body).with("last-modified", http_date(modified_ms));
    // Only accounts have one.
    if collection.object == Object::Account {
        return Ok(reply.with("etag", format!("\"{tag}\"")));
    }
    Ok(reply)
}

/// `GET .../sobjects/{object}/{field}/{value}`, the field an external id.
pub(super) fn by_external_id(
    call: &Call,
    name: &str,
    field: &str,
    value: &str,
) -> Result<Reply, Problem> {
    let collection = call.collection(name)?;
    let found = write::matching(&call.org, collection.object, field, value)?;
    match found.as_slice() {
        [] => Err(Problem::not_found()),
        [number] => one(call, collection, *number),
        many => Ok(record_urls(call, collection.object, many)),
    }
}

/// The answer where an external id names several records.
pub(super) fn record_urls(call: &Call, object: Object, numbers: &[u64]) -> Reply {
    let urls = numbers.iter();
    let urls = urls.map(|number| record_url(object, *number, call.version()));
    Reply::value(300, &json!(urls.collect::<Vec<String>>()))
}

/// `/services/data/vNN.0/sobjects/{object}/{id}`.
pub(super) fn record_url(object: Object, number: u64, version: &str) -> String {
    let id = wire_text(object.prefix(), number);
    format!("/services/data/v{version}/sobjects/{}/{id}", object.name())
}

/// `GET .../sobjects/Attachment/{id}/Body`: the bytes themselves.
pub(super) fn blob(call: &Call, name: &str, id: &str, field: &str) -> Result<Reply, Problem> {
    let collection = call.collection(name)?;
    let number = number(collection, id)?;
    let schema = collection.schema();
    let field = schema
        .field(field)
        .filter(|field| field.field_type == FieldType::Base64)
        .ok_or_else(Problem::not_found)?;
    let text = collection.records.with_view(number, |view| {
        let reading = Reading {
            org: &call.org,
            schema: &schema,
            view,
        };
        let mut text = Vec::new();
        (view.archived_ms.is_none() && reading.text(field, &mut text)).then_some(text)
    });
    let text = text.flatten().ok_or_else(Problem::not_found)?;
    let bytes = BASE64.decode(&text).unwrap_or_default();
    Ok(Reply {
        content_type: Some("application/octet-stream"),
        content: Content::Whole(bytes.into()),
        ..Reply::empty(200)
    })
}
