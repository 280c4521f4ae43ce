//! Records as JSON text, written straight into the response buffer.

use crate::clock::iso_bytes;
use crate::generate::{Generator, Row, number, write_value};
use crate::hubspot::schema::Schema;

/// The generous size of one rendered record, for reserving buffers.
pub(crate) const RECORD_BYTES: usize = 1200;

/// A record in one of its versions, ready to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) row: Row,
    /// Whether unwritten properties are null instead of generated.
    pub(crate) blank: bool,
    pub(crate) changes: &'a [(u16, Option<Box<str>>)],
    pub(crate) archived_ms: Option<i64>,
}

impl View<'_> {
    /// Appends the text of a property and returns true, or false for null.
    pub(crate) fn value(&self, schema: &Schema, column: u16, out: &mut Vec<u8>) -> bool {
        let property = schema.property(column);
        if let Some((_, changed)) = self.changes.iter().find(|(at, _)| *at == column) {
            return changed.as_deref().is_some_and(|text| {
                out.extend_from_slice(text.as_bytes());
                true
            });
        }
        if self.blank && !schema.is_system(column) {
            return false;
        }
        write_value(property.generator, property.salt, &self.row, out)
    }
}

/// Which properties appear, prepared once per distinct request.
#[derive(Debug)]
pub(crate) struct Projection {
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    column: u16,
    /// `,"email":` - the comma is missing on the first.
    prefix: Box<[u8]>,
    generator: Generator,
    salt: u64,
    escapes: bool,
}

impl Projection {
    /// The named properties and the system ones; unknown names are ignored.
    pub(crate) fn new<'a>(
        schema: &Schema,
        names: Option<impl Iterator<Item = &'a str>>,
    ) -> Projection {
        let mut columns: Vec<u16> = match names {
            Some(names) => names
                .filter_map(|name| schema.column(name.trim()))
                .collect(),
            None => schema.defaults.clone(),
        };
        columns.extend([schema.object_id, schema.created, schema.modified]);
        Projection::of(schema, columns)
    }

    /// Every property that is not archived.
    pub(crate) fn all(schema: &Schema) -> Projection {
        let count = u16::try_from(schema.properties.len()).unwrap_or(u16::MAX);
        let live = |column: &u16| !schema.property(*column).is_archived();
        Projection::of(schema, (0..count).filter(live).collect())
    }

    /// Exactly these columns.
    pub(crate) fn of(schema: &Schema, mut columns: Vec<u16>) -> Projection {
        columns.sort_unstable();
        columns.dedup();
        let columns = columns
            .into_iter()
            .enumerate()
            .map(|(place, column)| {
                let property = schema.property(column);
                let comma = if place == 0 { "" } else { "," };
                Column {
                    column,
                    prefix: format!("{comma}\"{}\":", property.name).into_bytes().into(),
                    generator: property.generator,
                    salt: property.salt,
                    escapes: property.generator.escapes(),
                }
            })
            .collect();
        Projection { columns }
    }
}

/// Appends one record.
pub(crate) fn record(view: &View<'_>, projection: &Projection, out: &mut Vec<u8>) {
    let created = iso_bytes(view.row.created_ms);
    let modified = iso_bytes(view.row.modified_ms);
    out.extend_from_slice(b"{\"id\":\"");
    number(out, view.row.id);
    out.extend_from_slice(b"\",\"properties\":{");
    for column in &projection.columns {
        out.extend_from_slice(&column.prefix);
        match column.generator {
            Generator::Created => quoted(&created, out),
            Generator::Modified => quoted(&modified, out),
            _ => property(view, column, out),
        }
    }
    out.extend_from_slice(b"},\"createdAt\":\"");
    out.extend_from_slice(&created);
    out.extend_from_slice(b"\",\"updatedAt\":\"");
    out.extend_from_slice(&modified);
    match view.archived_ms {
        None => out.extend_from_slice(b"\",\"archived\":false}"),
        Some(time_ms) => {
            out.extend_from_slice(b"\",\"archived\":true,\"archivedAt\":");
            quoted(&iso_bytes(time_ms), out);
            out.push(b'}');
        }
    }
}

fn property(view: &View<'_>, column: &Column, out: &mut Vec<u8>) {
    if let Some(changed) = changed(view.changes, column.column) {
        match changed {
            Some(text) => escaped(text.as_bytes(), out),
            None => out.extend_from_slice(b"null"),
        }
        return;
    }
    if view.blank && !matches!(column.generator, Generator::ObjectId) {
        out.extend_from_slice(b"null");
        return;
    }
    let start = out.len();
    out.push(b'"');
    if !write_value(column.generator, column.salt, &view.row, out) {
        out.truncate(start);
        out.extend_from_slice(b"null");
        return;
    }
    if column.escapes {
        escape_from(start + 1, out);
    }
    out.push(b'"');
}

fn changed(changes: &[(u16, Option<Box<str>>)], column: u16) -> Option<Option<&str>> {
    changes
        .iter()
        .find(|(at, _)| *at == column)
        .map(|(_, value)| value.as_deref())
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Appends text as a JSON string.
pub(crate) fn escaped(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.extend_from_slice(text);
    escape_from(start, out);
    out.push(b'"');
}

/// Escapes what was written since `start`, in place: from the back, so that
/// every byte moves once and nothing is allocated.
fn escape_from(start: usize, out: &mut Vec<u8>) {
    let extra: usize = out[start..]
        .iter()
        .filter(|byte| needs_escape(**byte))
        .map(|byte| escape(*byte).1 - 1)
        .sum();
    if extra == 0 {
        return;
    }
    let mut from = out.len();
    let mut to = from + extra;
    out.resize(to, 0);
    while from < to {
        from -= 1;
        let (text, length) = if needs_escape(out[from]) {
            escape(out[from])
        } else {
            ([out[from], 0, 0, 0, 0, 0], 1)
        };
        to -= length;
        out[to..to + length].copy_from_slice(&text[..length]);
    }
}

/// The escape of a byte and how much of the array it takes.
fn escape(byte: u8) -> ([u8; 6], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        b'"' | b'\\' => byte,
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            return ([b'\\', b'u', b'0', b'0', high, low], 6);
        }
    };
    ([b'\\', short, 0, 0, 0, 0], 2)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn escaped_text_reads_back_as_written() {
        for text in [
            "",
            "plain",
            "a\"b",
            "\\",
            "line\nbreak\ttab\r",
            "\u{1}x\u{1f}",
            "Größe 🚀\u{2028}",
        ] {
            let mut out = b"x".to_vec();
            escaped(text.as_bytes(), &mut out);
            let read: String = serde_json::from_slice(&out[1..]).expect("valid JSON");
            assert_eq!(read, text);
        }
    }
}
