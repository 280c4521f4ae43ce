//! Records as rows of a query result, written straight into the response buffer.

use super::compile::{Column, Query};
use crate::json::quoted;
use crate::salesforce::object::Object;
use crate::salesforce::schema::{Field, Schema};
use crate::salesforce::values::Reading;
use crate::salesforce::wire_id::{parse_wire_id, wire_id};

/// Appends `{"attributes":{...}` without an end.
pub(crate) fn open_record(object: Object, number: u64, version: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"attributes\":{\"type\":\"");
    out.extend_from_slice(object.name().as_bytes());
    out.extend_from_slice(b"\",\"url\":\"/services/data/v");
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(b"/sobjects/");
    out.extend_from_slice(object.name().as_bytes());
    out.push(b'/');
    out.extend_from_slice(&wire_id(object.prefix(), number));
    out.extend_from_slice(b"\"}");
}

/// Appends `,"Name":value`.
pub(crate) fn json_field(reading: &Reading<'_>, field: &Field, version: &str, out: &mut Vec<u8>) {
    out.push(b',');
    quoted(field.name.as_bytes(), out);
    out.push(b':');
    reading.json(field, version, out);
}

/// Appends a record as one element of `records`.
pub(crate) fn json_row(query: &Query, reading: &Reading<'_>, version: &str, out: &mut Vec<u8>) {
    open_record(query.object, reading.view.row.id, version, out);
    for column in &query.columns {
        match column {
            Column::Own(column) => json_field(reading, query.schema.at(*column), version, out),
            Column::Parent {
                reference,
                relationship,
                schema,
                columns,
            } => {
                out.push(b',');
                quoted(relationship.as_bytes(), out);
                out.push(b':');
                let start = out.len();
                let found = with_parent(reading, *reference, schema, |parent| {
                    open_record(schema.object, parent.view.row.id, version, out);
                    for column in columns {
                        json_field(parent, schema.at(*column), version, out);
                    }
                    out.push(b'}');
                });
                if found.is_none() {
                    out.truncate(start);
                    out.extend_from_slice(b"null");
                }
            }
        }
    }
    out.push(b'}');
}

/// Calls `use_parent` with the record that a reference names.
fn with_parent<T>(
    reading: &Reading<'_>,
    reference: u16,
    schema: &Schema,
    use_parent: impl FnOnce(&Reading<'_>) -> T,
) -> Option<T> {
    let mut id = Vec::with_capacity(18);
    if !reading.text(reading.schema.at(reference), &mut id) {
        return None;
    }
    let (_, number) = parse_wire_id(std::str::from_utf8(&id).ok()?)?;
    let records = &reading.org.collection(schema.object).records;
    records.with_view(number, |view| {
        use_parent(&Reading {
            org: reading.org,
            schema,
            view,
        })
    })
}

/// Appends the header of a CSV result.
pub(crate) fn csv_header(query: &Query, delimiter: u8, line_end: &[u8], out: &mut Vec<u8>) {
    let mut first = true;
    let mut name = |name: &str, out: &mut Vec<u8>| {
        if !std::mem::take(&mut first) {
            out.push(delimiter);
        }
        quoted(name.as_bytes(), out);
    };
    for column in &query.columns {
        match column {
            Column::Own(column) => name(&query.schema.at(*column).name, out),
            Column::Parent {
                relationship,
                schema,
                columns,
                ..
            } => {
                for column in columns {
                    name(&format!("{relationship}.{}", schema.at(*column).name), out);
                }
            }
        }
    }
    out.extend_from_slice(line_end);
}

/// Appends a record as a line of CSV: every value in quotes, nothing for null.
pub(crate) fn csv_row(
    query: &Query,
    reading: &Reading<'_>,
    delimiter: u8,
    line_end: &[u8],
    out: &mut Vec<u8>,
) {
    let mut first = true;
    for column in &query.columns {
        match column {
            Column::Own(column) => {
                if !std::mem::take(&mut first) {
                    out.push(delimiter);
                }
                csv_value(Some(reading), query.schema.at(*column), out);
            }
            Column::Parent {
                reference,
                schema,
                columns,
                ..
            } => {
                for column in columns {
                    if !std::mem::take(&mut first) {
                        out.push(delimiter);
                    }
                    let field = schema.at(*column);
                    let found = with_parent(reading, *reference, schema, |parent| {
                        csv_value(Some(parent), field, out);
                    });
                    if found.is_none() {
                        csv_value(None, field, out);
                    }
                }
            }
        }
    }
    out.extend_from_slice(line_end);
}

fn csv_value(reading: Option<&Reading<'_>>, field: &Field, out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    if !reading.is_some_and(|reading| reading.text(field, out)) {
        out.truncate(start);
    }
    double_quotes(start, out);
    out.push(b'"');
}

/// Doubles the quotes in what was written since `start`, in place and from the back.
pub(crate) fn double_quotes(start: usize, out: &mut Vec<u8>) {
    let quotes = out[start..].iter().filter(|byte| **byte == b'"').count();
    if quotes == 0 {
        return;
    }
    let mut from = out.len();
    let mut to = from + quotes;
    out.resize(to, 0);
    while from < to {
        from -= 1;
        to -= 1;
        out[to] = out[from];
        if out[from] == b'"' {
            to -= 1;
            out[to] = b'"';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::double_quotes;

    #[test]
    fn quotes_double_where_they_stand() {
        for (plain, doubled) in [
            ("", ""),
            ("a", "a"),
            ("\"", "\"\""),
            ("a\"b\"", "a\"\"b\"\""),
        ] {
            let mut out = b"\"x".to_vec();
            out.extend_from_slice(plain.as_bytes());
            double_quotes(2, &mut out);
            assert_eq!(&out[2..], doubled.as_bytes());
        }
    }
}
